"""Bad tokens, expired tokens and guesses at sessions by every way in: each address gets a bounded
number (attack 11)."""

import asyncio
import re
import time
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import msgspec
import pytest
from starlette.routing import Route
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from actors.core.messages.edge_protocol import SUBPROTOCOL_JSON
from actors.core.settings import HubSettings, LimitsSettings
from tests.support.certificates import authority
from tests.support.cluster.cluster_api import running_api
from tests.support.doubles.stores import memory_stores
from tests.support.hub.hub import TestHub, running_hub
from tests.support.hub.stream_client import stream
from tests.support.waiting import until

BURST = 3
LIMITS = LimitsSettings(
    address_failures_per_s=0.001,
    address_failures_burst=BURST,
    address_expired_per_s=0.001,
    address_expired_burst=BURST,
    address_passed_per_s=0.001,
    address_passed_burst=BURST,
)
SETTINGS = HubSettings(port=0, trusted_proxies=["127.0.0.1"])
# Sessions take a cookie and the origin of a page, and count their tries by themselves.
PUBLIC = re.compile(
    r"/health/|/metrics|/openapi|/asyncapi|/docs|/schemas|/connection/|/emulation|/v1/\{rest:path\}|/v1/schemas|/v1/sign-in|/v1/session|/v1$"
)


def ways(hub: TestHub) -> list[tuple[str, str]]:
    """(method, path) of every route that asks for a token, from the application itself."""
    found = []
    for route in hub.hub.app.app.routes:
        if (
            isinstance(route, Route)
            and not PUBLIC.match(route.path)
            and route.path.startswith("/v1/")
        ):
            found += [
                (method, re.sub(r"\{[^}]*\}", "1", route.path))
                for method in sorted(route.methods or ())
                if method != "HEAD"
            ]
    return found


@pytest.mark.parametrize("kind", ["bad", "expired"])
async def test_attack_11_tokens_that_are_not_good_are_bounded_for_each_address_by_every_way(
    tmp_path: Path, kind: str
) -> None:
    async with running_hub(tmp_path, hub=SETTINGS, limits=LIMITS) as hub:
        asked = ways(hub)
        assert len(asked) > 20
        past = time.time() - 200_000
        tokens = {
            typ: hub.token("ada", typ=typ, now_s=past) if kind == "expired" else "no.good.token"
            for typ in ("user", "edge")
        }
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{hub.port}", trust_env=False, timeout=30
        ) as http:
            for number, (method, path) in enumerate(asked):
                token = tokens[
                    "edge" if path.endswith("/observations") and method == "POST" else "user"
                ]
                headers = {
                    "authorization": f"Bearer {token}",
                    "x-forwarded-for": f"10.0.0.{number}",
                }
                found = [
                    (await http.request(method, path, headers=headers)).status_code
                    for _ in range(BURST + 1)
                ]
                assert found == [401] * BURST + [429], (method, path)
            good = {"authorization": f"Bearer {hub.token('ada')}", "x-forwarded-for": "10.0.0.0"}
            assert (await http.get("/v1/cameras", headers=good)).status_code == 200, (
                "who shows a good one loses nothing"
            )
        codes = [await dashboard_code(hub, tokens["user"]) for _ in range(BURST + 1)]
        assert codes[-1] == 3013
        assert 3013 not in codes[:-1]
        assert [await edge_code(hub, tokens["edge"]) for _ in range(BURST + 1)] == [
            4501
        ] * BURST + [4008]


@pytest.mark.parametrize("proxies", [["127.0.0.1"], []], ids=["behind a proxy", "without one"])
async def test_attack_11_the_cluster_api_counts_those_that_a_proxy_names_and_nobody_else(
    tmp_path: Path, proxies: list[str]
) -> None:
    async with (
        running_api(
            tmp_path, hub=HubSettings(port=0, trusted_proxies=proxies), limits=LIMITS
        ) as api,
        httpx.AsyncClient(trust_env=False, timeout=30) as http,
    ):

        async def bad(address: str) -> int:
            headers = {"authorization": "Bearer no.good.token", "x-forwarded-for": address}
            return (
                await http.get(f"http://127.0.0.1:{api.server.port}/v1/cluster", headers=headers)
            ).status_code

        assert [await bad("10.0.0.1") for _ in range(BURST + 1)] == [401] * BURST + [429]
        assert await bad("10.0.0.2") == (401 if proxies else 429), "whose word it is decides"


async def dashboard_code(hub: TestHub, token: str) -> int:
    """How a connect ends: the code of its error, or of its close."""
    headers = {"x-forwarded-for": "10.9.0.1"}
    async with connect(hub.url, compression=None, proxy=None, additional_headers=headers) as socket:
        await socket.send(msgspec.json.encode({"id": 1, "connect": {"token": token}}).decode())
        try:
            said = msgspec.json.decode(await socket.recv())
        except ConnectionClosed:
            return socket.close_code or 0
        return int(said["error"]["code"]) if "error" in said else 0


async def edge_code(hub: TestHub, token: str) -> int:
    url, headers = (
        f"ws://127.0.0.1:{hub.port}/v1/edge",
        {"authorization": f"Bearer {token}", "x-forwarded-for": "10.9.0.2"},
    )
    async with connect(
        url,
        subprotocols=[SUBPROTOCOL_JSON],  # type: ignore[list-item]
        additional_headers=headers,
        compression=None,
        proxy=None,
    ) as socket:
        await socket.send('{"type":"hello","camera":"gate","session":"s1"}')
        while (said := msgspec.json.decode(await socket.recv()))["type"] != "bye":
            pass
        return int(said["code"])


async def test_attack_11_guesses_at_sessions_of_emulation_are_bounded_for_each_address(
    tmp_path: Path,
) -> None:
    memory = memory_stores()
    async with running_hub(
        tmp_path, memory=memory, name="hub-a", hub=SETTINGS, limits=LIMITS
    ) as hub:

        async def guess(address: str, node: str) -> int:
            body = {"session": "0" * 32, "node": node, "data": "{}"}
            return (
                await http.post("/emulation", json=body, headers={"x-forwarded-for": address})
            ).status_code

        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{hub.port}", trust_env=False, timeout=30
        ) as http:
            assert [await guess("10.0.0.1", "") for _ in range(BURST + 1)] == [404] * BURST + [429]
            assert [await guess("10.0.0.2", "hub-z") for _ in range(BURST + 1)] == [404] * BURST + [
                429
            ]
            assert await guess("10.0.0.3", "") == 404, "others are none the worse for it"


async def test_attack_11_who_guesses_sessions_keeps_nobody_out_who_comes_from_the_same_address(
    tmp_path: Path,
) -> None:
    memory = memory_stores()
    async with (
        running_hub(tmp_path, memory=memory, name="hub-a", hub=SETTINGS, limits=LIMITS) as first,
        running_hub(tmp_path, memory=memory, name="hub-b", hub=SETTINGS, limits=LIMITS) as second,
        stream(first, "sse-post") as dash,
    ):
        await until(
            lambda: all(broker.name for broker in memory.redis.brokers),
            what="both canaries singing",
        )
        guesses = [await dash.post("{}", second.port, session="0" * 64) for _ in range(2 * BURST)]
        assert guesses == [404] * BURST + [429] * BURST
        assert await dash.post("{}", second.port) == 204


@pytest.mark.parametrize(
    ("users", "session_burst", "address_burst"),
    [(2, 3, 8), pytest.param(200, 66, 333, marks=pytest.mark.prove)],
    ids=["two", "200"],
)
async def test_attack_11_one_session_keeps_no_user_out_who_comes_from_the_same_address(
    tmp_path: Path, users: int, session_burst: int, address_burst: int
) -> None:
    """The settings say 1,000 of an address and 200 of a session at once; with 200 users it is a
    third of that."""
    memory = memory_stores()
    limits = LimitsSettings(
        address_passed_per_s=0.001,
        address_passed_burst=address_burst,
        session_passed_per_s=0.001,
        session_passed_burst=session_burst,
    )
    async with (
        running_hub(tmp_path, memory=memory, name="hub-a", hub=SETTINGS, limits=limits) as first,
        running_hub(tmp_path, memory=memory, name="hub-b", hub=SETTINGS, limits=limits) as second,
        httpx.AsyncClient(
            trust_env=False, timeout=30, limits=httpx.Limits(max_connections=1_000)
        ) as watching,
        httpx.AsyncClient(trust_env=False, timeout=30) as http,
        AsyncExitStack() as streams,
    ):
        await until(
            lambda: all(broker.name for broker in memory.redis.brokers),
            what="both canaries singing",
        )

        async def session(number: int) -> str:
            connect = {"id": 1, "connect": {"token": first.token(f"user-{number}")}}
            url, asked = (
                f"http://127.0.0.1:{first.port}/connection/sse",
                {"cf_connect": msgspec.json.encode(connect).decode()},
            )
            lines = (
                await streams.enter_async_context(watching.stream("GET", url, params=asked))
            ).aiter_lines()
            while not (line := await anext(lines)).startswith("data: "):
                pass
            return str(msgspec.json.decode(line.removeprefix("data: "))["connect"]["session"])

        async def post(session: str) -> int:
            body = {"session": session, "node": "hub-a", "data": "{}"}
            return (
                await http.post(f"http://127.0.0.1:{second.port}/emulation", json=body)
            ).status_code

        greedy, *others = [await session(number) for number in range(1 + users)]
        assert [await post(greedy) for _ in range(2 * address_burst)] == [204] * session_burst + [
            429
        ] * (2 * address_burst - session_burst)
        assert {await post(other) for other in others} == {204}


HEADER = (
    b"POST /v1/sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
    b"application/json\r\nContent-Length: 60\r\n\r\n"
)


@pytest.mark.parametrize(
    "said", [b"", HEADER[:40], HEADER + b"{"], ids=["nothing", "half a header", "half a body"]
)
async def test_attack_11_connections_without_a_request_are_bounded_for_each_address(
    tmp_path: Path, said: bytes
) -> None:
    async with running_hub(tmp_path, hub=HubSettings(port=0, max_waiting_per_address=BURST)) as hub:
        opened = [await asyncio.open_connection("127.0.0.1", hub.port) for _ in range(3 * BURST)]
        try:
            for _, writer in opened:
                writer.write(said)
            ends = [asyncio.create_task(reader.read()) for reader, _ in opened]
            async with asyncio.timeout(6):  # well before the deadline that ends every one of them
                while sum(task.done() for task in ends) < 2 * BURST:
                    await asyncio.wait(
                        [task for task in ends if not task.done()],
                        return_when=asyncio.FIRST_COMPLETED,
                    )
            assert sum(task.done() for task in ends) == 2 * BURST, (
                "those within the bound may wait on"
            )
            assert all(task.result().startswith(b"HTTP/1.1 408") for task in ends if task.done())
            async with httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{hub.port}", trust_env=False, timeout=30
            ) as http:
                headers = {"authorization": f"Bearer {hub.token('ada')}"}
                assert (await http.get("/v1/cameras", headers=headers)).status_code == 200, (
                    "who says what it wants is served"
                )
        finally:
            for _, writer in opened:
                writer.close()
            await asyncio.gather(*ends, return_exceptions=True)


async def test_attack_11_a_network_of_ipv6_is_one_address_for_the_number_of_sockets_too(
    tmp_path: Path,
) -> None:
    settings = HubSettings(
        port=0,
        trusted_proxies=["127.0.0.1"],
        max_connections_per_address=1,
        max_edge_sockets_per_address=1,
    )
    neighbour, other = {"x-forwarded-for": "2001:db8::2"}, {"x-forwarded-for": "2001:db8:0:1::1"}
    async with running_hub(tmp_path, hub=settings) as hub:
        edge = f"ws://127.0.0.1:{hub.port}/v1/edge"
        for url, protocols in ((hub.url, None), (edge, [SUBPROTOCOL_JSON])):

            async def taken(
                headers: dict[str, str], url: str = url, protocols: list[str] | None = protocols
            ) -> bool:
                try:
                    async with connect(
                        url,
                        subprotocols=protocols,  # type: ignore[arg-type]
                        additional_headers=headers,
                        compression=None,
                        proxy=None,
                    ) as socket:
                        await asyncio.wait_for(socket.recv(), 0.3)
                except InvalidStatus as error:
                    return error.response.status_code != 503
                except ConnectionClosed as error:
                    return error.rcvd is None or error.rcvd.code != 4008
                except TimeoutError:
                    return True
                return True

            first = {"x-forwarded-for": "2001:db8::1"}
            async with connect(
                url,
                subprotocols=protocols,  # type: ignore[arg-type]
                additional_headers=first,
                compression=None,
                proxy=None,
            ):
                assert (await taken(neighbour), await taken(other)) == (False, True), url
            assert await taken(neighbour), "the place is free again"


async def ended(readers: list[asyncio.StreamReader], count: int, within_s: float) -> list[bytes]:
    """What the first `count` connections that end have said last; the others are open then."""
    ends = [asyncio.create_task(reader.read()) for reader in readers]
    try:
        async with asyncio.timeout(within_s):
            while sum(task.done() for task in ends) < count:
                await asyncio.wait(
                    [task for task in ends if not task.done()], return_when=asyncio.FIRST_COMPLETED
                )
        assert sum(task.done() for task in ends) == count, "those within the bound may wait on"
        return [
            b"" if task.exception() is not None else task.result() for task in ends if task.done()
        ]
    finally:
        for task in ends:
            task.cancel()
        await asyncio.gather(*ends, return_exceptions=True)


@pytest.mark.parametrize(
    "said", [b"", b"\x16\x03\x01\x02\x00\x01\x00"], ids=["nothing", "half a hello"]
)
async def test_attack_11_tls_handshakes_under_way_are_bounded_for_each_address(
    tmp_path: Path, said: bytes
) -> None:
    certs = authority(tmp_path)
    async with running_hub(tmp_path, hub=certs.hub(max_waiting_per_address=BURST)) as hub:
        opened = [await asyncio.open_connection("127.0.0.1", hub.port) for _ in range(3 * BURST)]
        try:
            for _, writer in opened:
                writer.write(said)
            await ended(
                [reader for reader, _ in opened], 2 * BURST, 6
            )  # well before the deadline that ends every one of them
            async with httpx.AsyncClient(
                verify=certs.client(), trust_env=False, timeout=30
            ) as http:
                headers = {"authorization": f"Bearer {hub.token('ada')}"}
                answer = await http.get(f"https://127.0.0.1:{hub.port}/v1/cameras", headers=headers)
                assert answer.status_code == 200, "who does his part at once is served"
        finally:
            for _, writer in opened:
                writer.close()


async def test_attack_11_connections_that_idle_are_bounded_for_each_address(tmp_path: Path) -> None:
    async with running_hub(tmp_path, hub=HubSettings(port=0, max_waiting_per_address=BURST)) as hub:
        opened = [await asyncio.open_connection("127.0.0.1", hub.port) for _ in range(3 * BURST)]
        try:
            for reader, writer in opened:
                writer.write(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200")
                length = re.search(rb"content-length: (\d+)", head)
                await reader.readexactly(int(length[1]) if length else 0)
            said = await ended(
                [reader for reader, _ in opened], 2 * BURST, 4.5
            )  # before the end of every idle one
            assert set(said) == {b""}, "an idle connection is closed without a word"
        finally:
            for _, writer in opened:
                writer.close()
