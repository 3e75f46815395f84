"""Where a process of ours writes its log: ``logs/eyrie.log`` of the data directory, else standard
error.

One file for all processes of an instance, of a bounded size (`storage.bounded_log`).
"""

import sys
from typing import TextIO, cast

from actors.core.errors import EyrieError
from actors.core.log_format import configure
from actors.core.settings import Settings
from storage.bounded_log import BoundedLog
from storage.embedded.data_dir import of

MIB = 1_048_576


def log_to_file(settings: Settings, component: str) -> None:
    """Send this process's records to the instance's log file; to standard error where the file
    cannot be opened."""
    stream: TextIO = sys.stderr
    try:
        data = of(settings)
        data.prepare()
        stream = cast(
            TextIO,
            BoundedLog(
                data.logs / "eyrie.log",
                max_bytes=settings.log.max_mb * MIB,
                files=settings.log.files,
            ),
        )
    except (OSError, EyrieError):
        stream = sys.stderr
    configure(settings.log, component, stream)
