"""The stock JavaScript client under Node.js: tests of our own on every transport and encoding,
against one hub, two hubs, and Centrifugo.

The tests are ``js/*.mjs``. Centrifugo is the oracle: a test that it does not pass is wrong.
"""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.hub.compatible_hubs import compatible_hubs
from tests.support.servers.centrifugo import centrifugo
from tests.support.servers.store_servers import redis
from tools.build_console import npm_command
from tools.install_validators import STOCK_CLIENT, stamp

SUITE_S = 300
PROFILE = """
secret_file = "{folder}/secret"
api_key_file = "{folder}/api-key"
insecure = INSECURE

[without_namespace]
history_size = 100
history_ttl_s = 300
presence = true
join_leave = true

[namespaces.smallhistory]
history_size = 2
history_ttl_s = 300

[namespaces.bare]
"""
OPEN, SECURE = PROFILE.replace("INSECURE", "true"), PROFILE.replace("INSECURE", "false")
BRISK: dict[str, Any] = {"ping_s": 1.0, "pong_s": 0.9}

pytestmark = [
    # hubs of one process, Redis and Node.js: where they get little of the machine, connections are
    # lost for good reason
    pytest.mark.prove,
    pytest.mark.timeout(2 * SUITE_S),
    pytest.mark.skipif(
        not stamp(STOCK_CLIENT).is_file(), reason="the client is not installed (make validators)"
    ),
]


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """A Redis of its own."""
    with redis() as (_, url):
        yield url


async def outcome(*ports: int, key: str = "key", way: str = "") -> tuple[int, list[str], str]:
    """(how many passed, which failed, what was said) at the ports of a server that lets anybody in,
    one that does not, and one that pings every second; all ways of connecting, or one `way`."""
    names = ("STOCK_URL", "STOCK_SECURE_URL", "STOCK_BRISK_URL")
    urls = {name: f"http://127.0.0.1:{port}" for name, port in zip(names, ports, strict=True)}
    process = await asyncio.create_subprocess_exec(
        str(Path(npm_command("auto")[0]).parent / "node"),
        "--test-force-exit",
        "--test-reporter=tap",
        "suite.mjs",
        cwd=STOCK_CLIENT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | urls | {"STOCK_SECRET": "secret", "STOCK_API_KEY": key, "STOCK_WAY": way},
    )
    try:
        async with asyncio.timeout(SUITE_S):
            output, _ = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    text = output.decode(errors="replace")
    failed = re.findall(r"^    not ok \d+ - (.*)$", text, re.M)
    return len(re.findall(r"^    ok \d+ - ", text, re.M)), failed, text


def wanted() -> int:
    """How many tests there are: each for every way of connecting that it fits."""
    ways = {
        "": 5,
        "websocket": 2,
        "(way) => way.binary": 2,
        '(way) => way.transport !== "websocket"': 3,
    }
    count = 0
    for path in STOCK_CLIENT.glob("*.mjs"):
        for _, rest in re.findall(
            r'^each\("([^"]+)".*?^\}(.*?)\);$', path.read_text("utf-8"), re.M | re.S
        ):
            fits = re.search(r"fits: ([^,}]+?)(?:, url: \w+)? \}", rest)
            count += ways[fits[1] if fits else ""]
    return count


@asynccontextmanager
async def hubs(folder: Path, redis_url: str, count: int) -> AsyncIterator[tuple[int, int, int]]:
    """Ports for :func:`outcome`; `count` hubs are behind the first."""
    async with (
        compatible_hubs(folder / "open", redis_url, count, OPEN) as open_port,
        compatible_hubs(folder / "secure", redis_url, 1, SECURE) as secure_port,
        compatible_hubs(folder / "brisk", redis_url, 1, OPEN, **BRISK) as brisk_port,
    ):
        yield open_port, secure_port, brisk_port


@pytest.mark.parametrize("count", [1, 2])
async def test_the_stock_javascript_client_gets_what_it_expects(
    redis_url: str, tmp_path: Path, count: int
) -> None:
    async with hubs(tmp_path, redis_url, count) as ports:
        passed, failed, said = await outcome(*ports)
    assert not failed, said[-20_000:]
    assert passed == wanted(), said[-4000:]


async def test_the_stock_javascript_client_gets_what_it_expects_by_http_through_two_hubs(
    redis_url: str, tmp_path: Path
) -> None:
    """The way that differs most from the others: its commands come by requests, in protobuf, and
    every second one to the other hub."""
    async with hubs(tmp_path, redis_url, 2) as ports:
        passed, failed, said = await outcome(*ports, way="http_stream, protobuf")
    assert not failed, said[-20_000:]
    assert 45 <= passed < wanted() / 3, said[-4000:]


async def test_centrifugo_passes_what_is_asked_of_hubs(tmp_path: Path) -> None:
    channels: dict[str, Any] = {"force_recovery": True, "history_ttl": "300s", "history_size": 100}
    rooms = {"presence": True, "join_leave": True, "force_push_join_leave": True}
    namespaces = [{"name": "smallhistory", **channels, "history_size": 2}, {"name": "bare"}]
    client = {
        "token": {"hmac_secret_key": "secret"},
        "subscribe_to_user_personal_channel": {"enabled": True},
    }
    config = {
        "sse": {"enabled": True},
        "http_stream": {"enabled": True},
        "channel": {"without_namespace": {**channels, **rooms}, "namespaces": namespaces},
    }
    clients = [
        client | {"insecure": True},
        client,
        client | {"insecure": True, "ping_interval": "1s", "pong_timeout": "900ms"},
    ]
    async with contextlib.AsyncExitStack() as stack:
        made = [
            await stack.enter_async_context(centrifugo(tmp_path, config | {"client": one}))
            for one in clients
        ]
        passed, failed, said = await outcome(*(port for port, _ in made), key=made[0][1])
    assert not failed, said[-20_000:]
    assert passed == wanted(), said[-4000:]
