"""Files of keys and certificates, written all or nothing: a reader sees the old file or the new
one, and nobody else ever sees a secret."""

import os
import secrets
from pathlib import Path

from actors.core.errors import ConfigError


def write_whole(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write `data`, on disk when this returns, in place of what is there. Follows no link. Raises
    ConfigError."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise ConfigError(f"the file {path} cannot be written: {error.strerror}") from error
