"""Attacks on what is uploaded as a policy (120): what a folder may hold, and what a body may.
Signatures: `tests/integration/policy`."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from cluster.cli.main import main
from policy.engine.modules import read_sources
from storage.ports.policy import RevisionRecord
from tests.support.hub.hub import TestHub, running_hub

GIGABYTE = 2**30


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[TestHub]:
    (tmp_path / "hub").mkdir()
    async with running_hub(tmp_path / "hub") as running:
        yield running


def kept(hub: TestHub) -> dict[str, RevisionRecord]:
    records: dict[str, RevisionRecord] = hub.hub.context.stores.revisions.records  # type: ignore[attr-defined]
    return records


def _link(folder: Path) -> None:
    (folder.parent / "secret.rego").write_text(read_sources()["authz.rego"])
    (folder / "authz.rego").symlink_to(folder.parent / "secret.rego")


def _huge(folder: Path) -> None:
    with (folder / "authz.rego").open("wb") as file:
        file.truncate(GIGABYTE)  # takes no room on the disk


def _many(folder: Path) -> None:
    for number in range(33):
        (folder / f"m{number}.rego").write_text(f"package eyrie.m{number}\n")


def _large(folder: Path) -> None:
    """Every file is within its bound, all together are beyond the body's."""
    for number in range(12):
        (folder / f"m{number}.rego").write_text(
            f"package eyrie.m{number}\n# " + "x" * 60_000 + "\n"
        )


def _garbage(folder: Path) -> None:
    (folder / "authz.rego").write_bytes(b"\xff\xfe\x00")


def _other(folder: Path) -> None:
    (folder / "readme.txt").write_text("x")


FOLDERS: dict[str, Callable[[Path], None]] = {
    "a link to a file elsewhere": _link,
    "a link to what never ends": lambda folder: (folder / "authz.rego").symlink_to("/dev/zero"),
    "a pipe that nobody writes to": lambda folder: os.mkfifo(folder / "authz.rego"),
    "a folder called like a file": lambda folder: (folder / "authz.rego").mkdir(),
    "a file of 1 GB": _huge,
    "too many files": _many,
    "too much together": _large,
    "bytes that are no text": _garbage,
    "no policy at all": _other,
}


@pytest.mark.parametrize("make", FOLDERS.values(), ids=FOLDERS)
async def test_120_a_folder_that_is_no_plain_policy_is_refused(
    hub: TestHub, tmp_path: Path, make: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, token = tmp_path / "bundle", tmp_path / "token"
    folder.mkdir()
    make(folder)
    token.write_text(hub.token("pia", roles=["privacy"]))
    started = time.process_time()
    where = ["--url", f"http://127.0.0.1:{hub.port}", "--token-file", str(token)]
    async with asyncio.timeout(20):
        code = await asyncio.to_thread(main, ["policy", "upload", str(folder), *where])
    assert code in (1, 2)
    assert "Traceback" not in capsys.readouterr().err
    assert time.process_time() - started < 5
    assert kept(hub) == {}


GOOD = read_sources()["authz.rego"]
BODIES: dict[str, Any] = {
    "a path upwards": {"../authz.rego": GOOD},
    "a path down": {"a/authz.rego": GOOD},
    "an absolute path": {"/etc/authz.rego": GOOD},
    "a path of another system": {"..\\authz.rego": GOOD},
    "NUL in a name": {"authz.rego\x00.txt": GOOD},
    "a hidden file": {".rego": GOOD},
    "a name of 10,000": {"a" * 10_000 + ".rego": GOOD},
    "a file of 600 KB": {"authz.rego": GOOD + "#" * 600_000},
    "a file beyond its bound": {"authz.rego": GOOD + "#" * 66_000},
    "thirty-three files": {f"m{number}.rego": f"package eyrie.m{number}\n" for number in range(33)},
    "the product's own rule": {
        "authz.rego": GOOD,
        "revision.rego": 'package eyrie.authz\n\nrevision := "x"\n',
    },
}


@pytest.mark.parametrize("modules", BODIES.values(), ids=BODIES)
async def test_120_a_body_that_is_no_plain_policy_is_refused(
    hub: TestHub, modules: dict[str, str]
) -> None:
    headers = {"authorization": f"Bearer {hub.token('pia', roles=['privacy'])}"}
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{hub.port}", headers=headers, timeout=60
    ) as http:
        answer = await http.post("/v1/policy/revisions", json={"modules": modules})
    assert (answer.status_code, answer.json()["title"]) == (400, "bad_input")
    assert kept(hub) == {}
