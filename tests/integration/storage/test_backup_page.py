"""`docs/backup.md` does what it says: its commands are carried out as they stand there."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.backup_places import filled, place

__all__ = ["place"]

PAGE = Path(__file__).parents[3] / "docs" / "backup.md"


@pytest.fixture
def named(place: Path) -> Iterator[dict[str, str]]:
    """The variables of the page. `eyrie` on the path is this checkout's."""
    (place / "bin").mkdir()
    command = place / "bin" / "eyrie"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m cluster.cli.main "$@"\n')
    command.chmod(0o755)
    (place / "passphrase").write_text("correct horse\n")
    data, _ = filled(place)
    yield {
        "PATH": f"{place / 'bin'}:{os.environ['PATH']}",
        "EYRIE_DATA_DIR": str(data.path),
        "BACKUPS": str(place / "backups"),
        "VAULT": str(place / "vault"),
        "PASSPHRASE": str(place / "passphrase"),
        "DATA": str(place / "restored"),
    }
    shutil.rmtree(place / "restored", ignore_errors=True)


@pytest.mark.prove
@pytest.mark.timeout(900)
def test_every_command_of_the_page_succeeds_in_their_order(named: dict[str, str]) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        done = subprocess.run(
            ["sh", "-eu", "-c", block],
            env=os.environ | named,
            cwd=PAGE.parents[1],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    assert (Path(named["DATA"]) / "keys" / "policy.secret").read_text() == "planted-key"
