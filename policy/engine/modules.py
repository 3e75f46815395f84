"""The Rego sources of one policy: read from a folder, named by one revision."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from actors.core.errors import ConfigError

PACKAGED = Path(__file__).parents[1] / "rego"
MAX_FILE_BYTES = 65_536
MAX_FILES = 32


def read_sources(folder: str = "") -> dict[str, str]:
    """File name → text of the ``*.rego`` files of `folder` (empty: the policies of the package),
    tests apart. Raises ConfigError."""
    return _read(Path(folder) if folder else PACKAGED, tests=False)


def read_tests(folder: str = "") -> dict[str, str]:
    """The same for its ``*_test.rego`` files."""
    return _read(Path(folder) if folder else PACKAGED, tests=True)


def _read(folder: Path, *, tests: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        paths = sorted(
            p
            for p in folder.iterdir()
            if p.suffix == ".rego" and p.name.endswith("_test.rego") is tests
        )
        for path in paths:
            if path.is_symlink() or not path.is_file():
                raise ConfigError(
                    f"{path} is not a regular file; policies are read from plain files only"
                )
            with open(path, "rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
            if len(data) > MAX_FILE_BYTES:
                raise ConfigError(f"{path} is longer than {MAX_FILE_BYTES} bytes")
            found[path.name] = data.decode("utf-8")
    except OSError as error:
        raise ConfigError(f"the policies in {folder} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"a policy in {folder} is not UTF-8") from error
    if len(found) > MAX_FILES or (not found and not tests):
        raise ConfigError(
            f"{folder} must hold 1 to {MAX_FILES} *.rego files; it holds {len(found)}"
        )
    return found


def revision(sources: Mapping[str, str]) -> str:
    """The identity of these sources: SHA-256 over names and texts, 64 hex digits."""
    digest = hashlib.sha256()
    for name in sorted(sources):
        for part in (name.encode(), sources[name].encode()):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
