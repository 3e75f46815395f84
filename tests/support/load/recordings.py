"""Where the shared recordings lie: beside the repository, or where EYRIE_SHARED_DATA says. Tests
skip with a reason without them."""

import os
from pathlib import Path

import pytest


def recording(name: str) -> Path:
    """The path of a recording, for example ``nvidia-360d/garage.jsonl``."""
    root = Path(
        os.environ.get("EYRIE_SHARED_DATA")
        or Path(__file__).resolve().parents[4] / "shared" / "data"
    )
    path = root / name
    if not path.is_file():
        pytest.skip(f"the shared recording {name} is not there (EYRIE_SHARED_DATA)")
    return path
