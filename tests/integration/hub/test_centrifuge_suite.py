"""The public test suite of centrifuge-python, as its authors wrote it, against hubs with the
compatibility profile and a real Redis."""

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.hub.compatible_hubs import compatible_hubs
from tests.support.servers.store_servers import redis

REQUIREMENTS = Path(__file__).parents[2] / "requirements" / "centrifuge-suite.txt"
PACKAGE = "centrifuge-python"  # what its build needs comes as wheels
SUITE_S = 180  # its tests wait without deadlines
FETCH_S = 120

pytestmark = pytest.mark.timeout(FETCH_S + SUITE_S + 60)


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked suite."""
    folder = tmp_path_factory.mktemp("centrifuge")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--no-binary",
        PACKAGE,
        "--require-hashes",
        "-r",
    ]
    fetched = subprocess.run(
        [*command, str(REQUIREMENTS), "-d", str(folder)],
        check=False,
        capture_output=True,
        timeout=FETCH_S,
        text=True,
    )
    if fetched.returncode:
        if os.environ.get("CI"):
            pytest.fail(f"the suite cannot be fetched: {fetched.stderr[-500:]}")
        pytest.skip("the suite cannot be fetched here")
    [archive] = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    [unpacked] = [path for path in folder.iterdir() if path.is_dir()]
    return unpacked


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """A Redis of its own."""
    with redis() as (_, url):
        yield url


# With two each connection is made to one of them, and every second meets what came by the other.
@pytest.mark.parametrize("hubs", [pytest.param(1, marks=pytest.mark.prove), 2])
async def test_public_suite_passes(suite: Path, redis_url: str, tmp_path: Path, hubs: int) -> None:
    tests = suite / "tests" / "test_client.py"
    original = tests.read_text("utf-8")
    classes = re.findall(r"^class (Test\w+)\(", original, re.MULTILINE)
    assert len(classes) >= 20, "the suite is not what it was"
    async with compatible_hubs(tmp_path, redis_url, hubs) as port:
        for path in (tests, suite / "tests" / "centrifugo.py"):
            path.write_text(
                re.sub(r"localhost:(8000|\d+)(?=[/\"])", f"127.0.0.1:{port}", _pristine(path)),
                "utf-8",
            )
        passed, output = await _run(suite, "tests.test_client")
    assert passed, output
    assert re.search(r"^Ran 62 tests ", output, re.MULTILINE), output


def _pristine(path: Path) -> str:
    """The file as it was unpacked, kept beside it."""
    kept = path.with_suffix(".unpacked")
    if not kept.exists():
        kept.write_bytes(path.read_bytes())
    return kept.read_text("utf-8")


async def _run(suite: Path, name: str) -> tuple[bool, str]:
    """(whether all passed, the end of what was said, with the name of each)."""
    with tempfile.TemporaryFile() as said:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "unittest",
            "-v",
            name,
            cwd=suite,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONPATH": str(suite)},
        )
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SUITE_S):
                    await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        said.seek(0)
        return process.returncode == 0, said.read().decode(errors="replace")[-12_000:]
