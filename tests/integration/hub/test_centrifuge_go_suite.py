"""The test suite of centrifuge-go, as its authors wrote it and unmodified, against hubs with the insecure profile, and against Centrifugo.

The suite talks to ``localhost:8000``: a proxy there gives its connections to the hubs in turn.
"""

import asyncio
import contextlib
import os
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from tests.support.compatible_hubs import compatible_hubs, insecure
from tests.support.store_servers import redis
from tests.support.waiting import until

MODULE = "github.com/centrifugal/centrifuge-go@v0.12.1"
PORT = 8000
DELTA = "TestHandlePublishFossil"  # delta compression is not built
TESTS = 59  # of the module, which it has one of
BUILD_S, SUITE_S = 300, 180

pytestmark = pytest.mark.timeout(BUILD_S + 2 * SUITE_S)


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(the compiled suite, the module's folder)."""
    go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if go is None:
        pytest.skip("there is no Go")
    folder = tmp_path_factory.mktemp("go-suite")
    fetched = subprocess.run(
        [go, "mod", "download", "-json", MODULE], cwd=folder, capture_output=True, text=True, timeout=BUILD_S, check=False
    )
    if fetched.returncode:
        if os.environ.get("CI"):
            pytest.fail(f"the suite cannot be fetched: {fetched.stdout[-500:]} {fetched.stderr[-500:]}")
        pytest.skip("the suite cannot be fetched here")
    module = Path(msgspec.json.decode(fetched.stdout)["Dir"])
    binary = folder / "suite"
    subprocess.run([go, "test", "-c", "-o", str(binary), "."], cwd=module, check=True, timeout=BUILD_S, capture_output=True)
    return binary, module


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """A Redis of its own."""
    with redis() as (_, url):
        yield url


async def outcome(suite: tuple[Path, Path], *words: str) -> tuple[set[str], set[str], str]:
    """(names that passed, names that failed, what was said)."""
    binary, module = suite
    process = await asyncio.create_subprocess_exec(
        str(binary), "-test.v", f"-test.timeout={SUITE_S}s", *words, cwd=module,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = output.decode(errors="replace")
    return set(re.findall(r"^--- PASS: (\w+)", text, re.M)), set(re.findall(r"^--- FAIL: (\w+)", text, re.M)), text[-4000:]


@pytest.mark.parametrize("hubs", [1, 2])
async def test_the_go_clients_suite_passes_unmodified(suite: tuple[Path, Path], redis_url: str, tmp_path: Path, hubs: int) -> None:
    with socket.create_server(("127.0.0.1", PORT)) as listener:
        async with compatible_hubs(tmp_path, redis_url, hubs, insecure(), listener):
            passed, failed, said = await outcome(suite, f"-test.skip=^{DELTA}$")
    assert not failed, said
    assert len(passed) == TESTS - 1, said


async def test_centrifugo_passes_what_hubs_pass(suite: tuple[Path, Path], tmp_path: Path) -> None:
    """The oracle: the suite is not one that passes anything, and what Centrifugo passes besides is delta alone."""
    async with centrifugo(tmp_path):
        passed, failed, said = await outcome(suite)
    assert passed | failed, said
    assert {name for name in failed if name != DELTA} == set(), said
    passed_by_nobody, failed_alone, _ = await outcome(suite, "-test.run=^TestSuccessfulConnect$")
    assert (passed_by_nobody, failed_alone) == (set(), {"TestSuccessfulConnect"})


@asynccontextmanager
async def centrifugo(folder: Path) -> AsyncIterator[None]:
    """A Centrifugo with the settings that the suite names in its compose file."""
    binary = os.environ.get("CENTRIFUGO_BINARY") or shutil.which("centrifugo")
    if binary is None:
        pytest.skip("there is no Centrifugo (CENTRIFUGO_BINARY)")
    history = {"force_recovery": True, "history_ttl": "300s"}
    plain = {**history, "history_size": 100, "delta_publish": True, "allowed_delta_types": ["fossil"]}
    config = {
        "http_server": {"address": "127.0.0.1", "port": str(PORT)},
        "client": {"insecure": True},
        "channel": {"without_namespace": plain, "namespaces": [{"name": "smallhistory", **history, "history_size": 2}]},
    }
    (folder / "centrifugo.json").write_bytes(msgspec.json.encode(config))
    process = await asyncio.create_subprocess_exec(
        binary, "-c", str(folder / "centrifugo.json"), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await until(_listens, what="Centrifugo listens", within_s=20)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def _listens() -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", PORT), timeout=1):
        return True
    return False
