"""Where a process of ours writes its log: ``logs/eyrie.log`` of the data directory, else standard error.

One file for all processes of an instance: each record is one line in one write of an append-only file, so lines never mix.
"""

import sys
from typing import TextIO

from actors.core.errors import EyrieError
from actors.core.logs import configure
from actors.core.settings import Settings
from storage.data_dir import of


def log_to_file(settings: Settings, component: str) -> None:
    """Send this process's records to the instance's log file; to standard error where the file cannot be opened."""
    stream: TextIO = sys.stderr
    try:
        data = of(settings)
        data.prepare()
        stream = (data.logs / "eyrie.log").open("a", encoding="utf-8", buffering=1)
    except (OSError, EyrieError):
        stream = sys.stderr
    configure(settings.log, component, stream)
