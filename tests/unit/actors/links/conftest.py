"""Folders for sockets: pytest's own are too deep for the path of a Unix socket where it runs in
several processes."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder with a short path."""
    with TemporaryDirectory(prefix="links-") as folder:
        yield Path(folder)
