"""README's example of a stream, as it is written there: an event of the simulated site arrives in a
consumer."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cluster.product import data_folder, product

pytestmark = pytest.mark.ray

ROOT = Path(__file__).resolve().parents[2]
EVENTS = 3


def example() -> str:
    """The block of README that makes a stream and watches it, for this interpreter."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"\n\n((?:    .+\n)*    .+consume\.watch\n)", text)
    lines = "\n".join(line.strip() for line in str(block).splitlines())
    programs = {"eyrie": f"'{sys.executable}' -m cluster.cli.main", "python": f"'{sys.executable}'"}
    return re.sub(r"\.venv/bin/(\w+)", lambda found: programs[found[1]], lines)


def test_an_event_arrives_in_a_consumer() -> None:
    with data_folder() as path, product(path, "--cameras", "2"):
        ended = subprocess.run(
            ["sh", "-ec", f"{example()} --count {EVENTS}"],
            cwd=ROOT,
            env={**os.environ, "EYRIE_DATA_DIR": str(path), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert ended.returncode == 0, ended.stderr
    lines = [line.split() for line in ended.stdout.splitlines() if "/" in line]
    assert len(lines) == EVENTS, ended.stdout
    assert all(re.fullmatch(r"[\w-]+/[\w-]+/\d+", id) for _, id, _ in lines)
    assert all(kind.startswith("eyrie.") for _, _, kind in lines)
    token = (path / "keys" / "nats.token").read_text() if path.exists() else ""
    assert not token or token not in ended.stdout + ended.stderr
