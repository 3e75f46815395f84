"""``eyrie config``: what is in force, and where each value comes from."""

import argparse
from pathlib import Path
from typing import Any

import msgspec

from actors.core.errors import ConfigError
from actors.core.settings import Settings
from cluster.cli import console
from cluster.cli.options import add_settings_options, loaded
from cluster.launcher.setup import resolve
from storage.embedded.data_dir import of
from storage.process.settings_files import shown, write_resolved

EXAMPLES = """examples:
  eyrie config                     every setting with its origin
  eyrie config --changed           only what is not the default
  EYRIE_HUB_PORT=9000 eyrie config --json
  eyrie config --write "$EYRIE_SETTINGS_FILE"    for the processes that Ray starts on a machine without a launcher (a pod)
"""  # noqa: E501


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "config",
        help="print the settings in force",
        description="Print the settings in force, secrets hidden.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_settings_options(parser)
    parser.add_argument("--changed", action="store_true", help="only values that are no defaults")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--write",
        default="",
        metavar="FILE",
        help="write what processes on this machine read; needs the fleet's servers",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print; 0, or 2 for settings that cannot be used."""
    found = loaded(arguments)
    if arguments.write:
        write_resolved(Path(arguments.write), fleet_settings(found.settings))
        console.note(f"wrote {arguments.write}")
        return console.OK
    tree: dict[str, dict[str, Any]] = msgspec.to_builtins(found.settings)
    rows = [
        (f"{section}.{key}", shown(value), found.origins.get(f"{section}.{key}", "default"))
        for section, values in tree.items()
        for key, value in values.items()
    ]
    if arguments.changed:
        rows = [row for row in rows if row[2] != "default"]
    if arguments.json:
        console.emit({name: {"value": value, "origin": origin} for name, value, origin in rows})
    else:
        console.table(
            "",
            ("setting", "value", "from"),
            [(name, _text(value), origin) for name, value, origin in rows],
        )
    return console.OK


def fleet_settings(settings: Settings) -> Settings:
    """`settings` as processes on a machine without a launcher read them.

    Raises ConfigError unless they name the fleet's servers and keys.
    """
    given = {
        "EYRIE_POSTGRES_DSN": settings.postgres.dsn,
        "EYRIE_REDIS_URL": settings.redis.url,
        "EYRIE_RAY_TOKEN_FILE": settings.ray.token_file,
        "EYRIE_POLICY_KEY_FILE": settings.policy.key_file,
        "EYRIE_AUTH_JWKS_FILE, EYRIE_AUTH_JWKS_URL or EYRIE_AUTH_HS256_SECRET_FILE": settings.auth.jwks_file  # noqa: E501
        or settings.auth.jwks_url
        or settings.auth.hs256_secret_file,
    }
    missing = [name for name, value in given.items() if not value]
    if missing:
        raise ConfigError(
            f"not set: {'; '.join(missing)}",
            hint="Nothing can be made up on a machine that is one of many: set them.",
        )
    return resolve(
        settings, of(settings), dsn="", url="", address="", ray_token="", nats=settings.nats
    )


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode() if not isinstance(value, str) else value
