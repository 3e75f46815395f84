"""The test suite of centrifuge-go, as its authors wrote it and unmodified, against hubs with the
insecure profile, and against Centrifugo.

The suite talks to ``localhost:8000``: the hubs share that port, as the hubs of a node do. It gives
each of its connections one second, and two of its tests keep 100 clients busy: nothing that costs
time stands between it and the hubs.
"""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest

from tests.support.hub.compatible_hubs import compatible_hub, insecure
from tests.support.servers.centrifugo import centrifugo
from tests.support.servers.store_servers import redis

VERSION = (
    (Path(__file__).parents[3] / ".ci" / "centrifuge-go-version")
    .read_text(encoding="ascii")
    .strip()
)
MODULE = f"github.com/centrifugal/centrifuge-go@{VERSION}"
PORT = 8000
DELTA = "TestHandlePublishFossil"  # delta compression is not built
TESTS = 59  # of the module, which it has one of
BUILD_S, SUITE_S = 300, 180

pytestmark = pytest.mark.timeout(BUILD_S + 2 * SUITE_S)


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled suite: the one that ``CENTRIFUGE_GO_SUITE`` names, or one made here."""
    if given := os.environ.get("CENTRIFUGE_GO_SUITE"):
        return Path(given)
    go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if go is None:
        pytest.skip("there is no Go")
    folder = tmp_path_factory.mktemp("go-suite")
    fetched = subprocess.run(
        [go, "mod", "download", "-json", MODULE],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=BUILD_S,
        check=False,
    )
    if fetched.returncode:
        if os.environ.get("CI"):
            pytest.fail(
                f"the suite cannot be fetched: {fetched.stdout[-500:]} {fetched.stderr[-500:]}"
            )
        pytest.skip("the suite cannot be fetched here")
    module = Path(msgspec.json.decode(fetched.stdout)["Dir"])
    build, environment = (
        [go, "test", "-c", "-vet=off", "-o", str(folder / "suite"), "."],
        {**os.environ, "CGO_ENABLED": "0"},
    )
    subprocess.run(
        build, cwd=module, env=environment, check=True, timeout=BUILD_S, capture_output=True
    )
    return folder / "suite"


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """A Redis of its own."""
    with redis() as (_, url):
        yield url


async def outcome(suite: Path, *words: str) -> tuple[set[str], set[str], str]:
    """(names that passed, names that failed, what was said)."""
    process = await asyncio.create_subprocess_exec(
        str(suite),
        "-test.v",
        f"-test.timeout={SUITE_S}s",
        *words,
        cwd=suite.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = output.decode(errors="replace")
    return (
        set(re.findall(r"^--- PASS: (\w+)", text, re.M)),
        set(re.findall(r"^--- FAIL: (\w+)", text, re.M)),
        text[-4000:],
    )


# With two each connection is made to one of them, and every second pair of clients meets through
# both.
@pytest.mark.parametrize("count", [pytest.param(1, marks=pytest.mark.prove), 2])
async def test_the_go_clients_suite_passes_unmodified(
    suite: Path, redis_url: str, tmp_path: Path, count: int
) -> None:
    async with AsyncExitStack() as stack:
        named = [f"hub-{number}" for number in range(count)]
        hubs = [
            await stack.enter_async_context(
                compatible_hub(tmp_path / name, redis_url, name, insecure(), port=PORT)
            )
            for name in named
        ]
        passed, failed, said = await outcome(suite, f"-test.skip=^{DELTA}$")
        assert all(hub.hub.node.stats.accepted for hub in hubs)
    assert not failed, said
    assert len(passed) == TESTS - 1, said


async def test_the_suite_fails_where_nobody_is(suite: Path) -> None:
    """The oracle: it is not one that passes anything."""
    assert (await outcome(suite, "-test.run=^TestSuccessfulConnect$"))[:2] == (
        set(),
        {"TestSuccessfulConnect"},
    )


@pytest.mark.prove
async def test_centrifugo_passes_what_hubs_pass(suite: Path, tmp_path: Path) -> None:
    """What Centrifugo passes besides is delta alone."""
    history = {
        "force_recovery": True,
        "history_ttl": "300s",
    }  # the settings that the suite names in its compose file
    plain = {
        **history,
        "history_size": 100,
        "delta_publish": True,
        "allowed_delta_types": ["fossil"],
    }
    channels = {
        "without_namespace": plain,
        "namespaces": [{"name": "smallhistory", **history, "history_size": 2}],
    }
    async with centrifugo(tmp_path, {"client": {"insecure": True}, "channel": channels}, PORT):
        passed, failed, said = await outcome(suite)
    assert passed | failed, said
    assert {name for name in failed if name != DELTA} == set(), said
