"""Where settings come from: an ``eyrie.toml``, then ``EYRIE_<SECTION>_<KEY>``, the environment
winning; and how processes hand them on.

`eyrie up` writes the resolved tree to ``settings.json`` in its run folder (0600): every process of
Eyrie gets that path as its one argument. The tree holds no secret, only the paths of files that do.
"""

import os
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from actors.core.errors import ConfigError
from actors.core.settings import Settings, build, nearest, sections
from storage.process.connection_strings import carries_secret, redacted

PREFIX = "EYRIE_"
# EYRIE_ variables that are no settings: where files are, and where tests find recordings and tools.
OTHER_VARIABLES = frozenset(
    {
        "EYRIE_CONFIG",
        "EYRIE_SETTINGS_FILE",
        "EYRIE_SHARED_DATA",
        "EYRIE_CHROMIUM",
        "EYRIE_OPA_BINARY",
    }
)
MAX_FILE_BYTES = 262_144


class Loaded(msgspec.Struct, frozen=True):
    """Settings with the origin of every value that is no default: ``section.key`` → ``eyrie.toml``
    path or variable name."""

    settings: Settings
    origins: dict[str, str]


def load(config: str = "", environment: Mapping[str, str] | None = None) -> Loaded:
    """Read file and environment. `config` empty: ``EYRIE_CONFIG``, else ``./eyrie.toml`` if it is
    there. Raises ConfigError."""
    variables = os.environ if environment is None else environment
    path = (
        config
        or variables.get("EYRIE_CONFIG", "")
        or ("eyrie.toml" if Path("eyrie.toml").is_file() else "")
    )
    tree: dict[str, dict[str, Any]] = {}
    origins: dict[str, str] = {}
    if path:
        for section, values in _read_toml(Path(path)).items():
            tree[section] = values
            if isinstance(values, Mapping):
                origins.update({f"{section}.{key}": path for key in values})
    build(tree)
    for section, key, value, name in _from_environment(variables):
        tree[section] = {**tree.get(section, {}), key: value}
        origins[f"{section}.{key}"] = name
    settings = build(tree)
    _refuse_passwords(settings)
    return Loaded(settings, origins)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    if len(raw) > MAX_FILE_BYTES:
        raise ConfigError(f"{path} is longer than {MAX_FILE_BYTES} bytes")
    try:
        return tomllib.loads(raw.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


def _from_environment(variables: Mapping[str, str]) -> list[tuple[str, str, Any, str]]:
    known = sections()
    names = {
        f"{PREFIX}{section}_{field.name}".upper(): (section, field)
        for section, struct in known.items()
        for field in msgspec.structs.fields(struct)
    }
    found = []
    for name, text in sorted(variables.items()):
        if not name.startswith(PREFIX) or name in OTHER_VARIABLES:
            continue
        if name not in names:
            raise ConfigError(f"unknown variable {name}{nearest(name, names)}")
        section, field = names[name]
        found.append((section, field.name, _typed(name, text, field.type), name))
    return found


def _typed(name: str, text: str, kind: Any) -> Any:
    given = (
        [part.strip() for part in text.split(",") if part.strip()]
        if typing.get_origin(kind) is list
        else text
    )
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name}={text[:80]!r}: {error}") from error


def _refuse_passwords(settings: Settings) -> None:
    """A secret in a value would travel into logs and process lists: only files may hold one."""
    for key, value, where in (
        ("postgres.dsn", settings.postgres.dsn, "postgres.password_file"),
        ("redis.url", settings.redis.url, "redis.password_file"),
        ("opa.url", settings.opa.url, "opa.token_file"),
        ("auth.jwks_url", settings.auth.jwks_url, "auth.jwks_file"),
    ):
        if carries_secret(value):
            raise ConfigError(
                f"{key} carries a password, or cannot be read with certainty",
                hint=f"Put it into a file of mode 0600 and name that in {where}.",
            )


def shown(value: Any) -> Any:
    """`value` as it may be printed: what is secret inside addresses hidden, and every address that
    cannot be read."""
    if isinstance(value, list):
        return [shown(one) for one in value]
    return redacted(value) if isinstance(value, str) else value


def write_resolved(path: Path, settings: Settings) -> None:
    """Write the tree for other processes to read, 0600, replaced as a whole."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.encode(settings))
    fresh.replace(path)


def read_resolved(path: str | Path) -> Settings:
    """The tree that :func:`write_resolved` wrote. Raises ConfigError."""
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=Settings)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}",
            hint="Is Eyrie running? Start it with `eyrie up`.",
        ) from error
    except msgspec.DecodeError as error:
        raise ConfigError(
            f"{path} is not a settings file: {error}",
            hint="Stop Eyrie and start it again: it writes this file.",
        ) from error


def node_settings(path: str | Path) -> Settings:
    """What a process on any node reads: its own node's tree where the launcher of the node (or its
    pod) names one, else that of `path`.

    The variable ``EYRIE_SETTINGS_FILE`` is inherited from Ray's processes on the node. Raises
    ConfigError.
    """
    return read_resolved(os.environ.get("EYRIE_SETTINGS_FILE", "") or path)
