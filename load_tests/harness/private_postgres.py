"""A PostgreSQL of a bench's own, in a folder that goes with it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from actors.core.settings import DataSettings, PostgresSettings, Settings
from storage.embedded.data_dir import DataDir
from storage.embedded.postgres import EmbeddedPostgres


@contextmanager
def private_postgres() -> Iterator[Settings]:
    """Start it, without any migration; the settings that lead to it."""
    path = Path(tempfile.mkdtemp(prefix="eyrie-bench-"))
    path.chmod(0o711)  # PostgreSQL may run as a user of its own
    try:
        data = DataDir(path)
        data.prepare()
        server = EmbeddedPostgres(data, max_connections=20)
        server.start()
        try:
            yield Settings(
                data=DataSettings(dir=str(path)), postgres=PostgresSettings(dsn=server.dsn)
            )
        finally:
            server.stop()
    finally:
        shutil.rmtree(path, ignore_errors=True)
