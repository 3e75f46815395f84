"""Bad input of edges and dashboards against a whole hub with a real actor: each is answered, none
is a failure, neighbours go on."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from actors.core.messages.edge_protocol import SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK
from actors.core.settings import HubSettings
from hub.ingest.strikes import LIMIT
from tests.support.doubles.local_actor import local_actor
from tests.support.doubles.stores import memory_stores
from tests.support.hub.hub import TestHub, running_hub

TIME = "2026-03-01T12:00:00Z"
BOX = "[0.1,0.1,0.2,0.2]"


@dataclass
class Place:
    """A hub with a real actor; `other` is the camera whose edge goes on."""

    hub: TestHub

    @asynccontextmanager
    async def edge(self, protocol: str = SUBPROTOCOL_JSON) -> AsyncIterator["Edge"]:
        headers = {
            "authorization": f"Bearer {self.hub.token('edge-1', typ='edge', roles=['edge'])}"
        }
        url = f"ws://127.0.0.1:{self.hub.port}/v1/edge"
        async with connect(
            url,
            subprotocols=[protocol],  # type: ignore[list-item]
            additional_headers=headers,
            compression=None,
            proxy=None,
        ) as socket:
            yield Edge(socket)


class Edge:
    """A device that says what it is told to."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def until(self, *kinds: str) -> dict[str, Any]:
        """The next message of these kinds, or ``{"type": "closed", "code": …}``."""
        async with asyncio.timeout(30):
            while True:
                try:
                    raw = await self.socket.recv()
                except ConnectionClosed:
                    return {"type": "closed", "code": self.socket.close_code}
                found: dict[str, Any] = (
                    msgspec.json.decode(raw)
                    if isinstance(raw, str)
                    else msgspec.msgpack.decode(raw)
                )
                if found["type"] in kinds:
                    return found

    async def hello(self, camera: str, session: str = "s1") -> int:
        """Say hello; the seq to go on from."""
        message = {"type": "hello", "camera": camera, "session": session}
        packed = self.socket.subprotocol == SUBPROTOCOL_MSGPACK
        await self.socket.send(
            msgspec.msgpack.encode(message) if packed else msgspec.json.encode(message).decode()
        )
        return int((await self.until("welcome"))["resume_from"])

    async def good(self, camera: str, seq: int) -> None:
        """Send one good observation and wait until it is durable; nothing else may be asked or said
        of its camera meanwhile."""
        item = {"time": TIME, "objects": [{"label": "person", "box": [0.1, 0.1, 0.2, 0.2]}]}
        message = {"type": "observe", "camera": camera, "first_seq": seq, "observations": [item]}
        packed = self.socket.subprotocol == SUBPROTOCOL_MSGPACK
        await self.socket.send(
            msgspec.msgpack.encode(message) if packed else msgspec.json.encode(message).decode()
        )
        while True:
            found = await self.until("ack", "resync", "reject", "bye", "closed")
            if found.get("camera", camera) != camera:
                continue
            assert found["type"] == "ack", found
            if found["seq"] >= seq:
                return


@pytest.fixture
async def place(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Place]:
    """A hub; whatever a test does to it, nothing may be logged as an error."""
    memory = memory_stores()
    async with (
        local_actor(memory) as actor,
        running_hub(tmp_path, memory=memory, directory=actor, hub=HubSettings(port=0)) as hub,
    ):
        await hub.register("cam", "other")
        yield Place(hub)
        assert hub.hub.node.tasks.failed == ""
    assert [
        record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR
    ] == []


def observe(items: str, *, first_seq: str = "1", camera: str = '"cam"') -> str:
    return (
        f'{{"type":"observe","camera":{camera},"first_seq":{first_seq},"observations":[{items}]}}'
    )


def item(objects: str = "[]", *, time: str = f'"{TIME}"', more: str = "") -> str:
    return f'{{"time":{time},"objects":{objects}{more}}}'


def seen(*, label: str = '"person"', box: str = BOX, more: str = "") -> str:
    return f'[{{"label":{label},"box":{box}{more}}}]'


# Frames of which nothing can be used: their socket is closed, or their camera asked where to go on
# and at last ended, with a code of ours.
FRAMES: dict[str, str | bytes] = {
    "49 empty": "",
    "50 no object": "[1,2]",
    "50 a number": "7",
    "51 two documents": '{"type":"ping"}{"type":"ping"}',
    "52 trailing bytes": '{"type":"ping"} x',
    "53 byte order mark": '\ufeff{"type":"ping"}',
    "unknown type": '{"type":"\\u0000"}',
    "no type": "{}",
    "56 seq 0": observe(item(), first_seq="0"),
    "56 seq negative": observe(item(), first_seq="-1"),
    "56 seq 2^63": observe(item(), first_seq="9223372036854775808"),
    "56 seq of 30 digits": observe(item(), first_seq="9" * 30),
    "56 seq a fraction": observe(item(), first_seq="1.5"),
    "56 seq true": observe(item(), first_seq="true"),
    "56 seq text": observe(item(), first_seq='"1"'),
    "63 deep": '{"type":"ping","x":' + "[" * 30_000 + "]" * 30_000 + "}",
    "66 camera with a slash": observe(item(), camera='"cam/../other"'),
    "66 camera a wildcard": observe(item(), camera='"*"'),
    "66 camera with a newline": observe(item(), camera='"cam\\n"'),
    "66 camera of 10 KB": observe(item(), camera='"' + "c" * 10_000 + '"'),
    "66 camera look-alike": observe(item(), camera='"\u0441am"'),
    "no observations": observe(""),
    "71 beyond the credits": observe(item(), first_seq="9007199254740992"),
    "a gap backwards": '{"type":"gap","camera":"cam","first_seq":5,"last_seq":1,"reason":"x"}',
    "a bye with text as code": '{"type":"bye","code":"x"}',
}


async def test_a_frame_that_is_no_message_ends_its_camera_alone(place: Place) -> None:
    async with place.edge() as neighbour:
        await neighbour.hello("other")
        for number, (name, frame) in enumerate(FRAMES.items(), start=1):
            async with place.edge() as edge:
                await edge.hello("cam", f"s{number}")
                for _ in range(LIMIT):
                    await edge.socket.send(frame)
                    found = await edge.until("closed", "resync")
                    if found["type"] == "closed":
                        break
                assert 4000 <= found["code"] < 5000, name
            await neighbour.good("other", number)


async def test_frames_that_cannot_be_used_end_one_camera_of_a_gateway_and_dashboards_see_it(
    place: Place,
) -> None:
    async with place.edge() as edge, place.hub.dashboard() as dash:
        await dash.ask("subscribe", channel="camera:cam")
        await edge.hello("other")
        assert await edge.hello("cam") == 1
        await edge.good("cam", 1)
        for number in range(1, LIMIT + 1):
            await edge.socket.send(observe("", first_seq="2"))
            found = await edge.until("resync", "bye", "closed")
            await edge.good("other", number)
        assert (found["type"], found["camera"], found["code"]) == ("bye", "cam", 4500)
        await edge.good("other", LIMIT + 1)
        async with asyncio.timeout(30):
            while (shown := (await dash.publication())["data"]).get("reason") != "unusable_input":
                pass
        assert shown["status"] == "offline"


PACKED: dict[str, bytes] = {
    "64 extension": b"\xd4\x05\x00",
    "64 a key that is a number": b"\x81\x01\x02",
    "64 a key that is an array": b"\x81\x91\x01\x02",
    "64 header of 4 GB": b"\xdd\xff\xff\xff\xff",
    "64 the reserved byte": b"\xc1",
    "63 deep": b"\x91" * 60_000 + b"\xc0",
    "52 trailing": msgspec.msgpack.encode({"type": "ping"}) + b"\x01",
    "49 empty": b"",
}


async def test_a_packed_frame_that_is_no_message_closes_its_socket_alone(place: Place) -> None:
    async with place.edge() as neighbour:
        await neighbour.hello("other")
        for number, (name, frame) in enumerate(PACKED.items(), start=1):
            async with place.edge(SUBPROTOCOL_MSGPACK) as edge:
                await edge.hello("cam", f"s{number}")
                await edge.socket.send(frame)
                assert 4000 <= (await edge.until("closed"))["code"] < 5000, name
            await neighbour.good("other", number)


# Items that are bad among good ones: rejected with their seq, the others of the same frame are
# applied.
ITEMS: dict[str, str] = {
    "not an object": "7",
    "62 lone surrogate": item(seen(label='"\\ud800"')),
    "63 deep": item(more=',"alarm":{"type":"x","data":{"t":' + "[" * 8_000 + "]" * 8_000 + "}}"),
    "no time": '{"objects":[]}',
    "59 time a number": item(time="1e999"),
    "59 time of 1970": item(time='"1970-01-01T00:00:00Z"'),
    "59 time of 9999": item(time='"9999-12-31T23:59:59Z"'),
    "59 time without zone": item(time='"2026-03-01T12:00:00"'),
    "59 time at the end of the calendar with an offset": item(time='"9999-12-31T23:59:59-14:00"'),
    "59 time before the calendar with an offset": item(time='"0001-01-01T00:00:00+14:00"'),
    "an alarm with NUL": item(more=',"alarm":{"type":"x","text":"\\u0000"}'),
    "an alarm too long": item(more=',"alarm":{"type":"x","data":{"t":"' + "x" * 17_000 + '"}}'),
}


async def test_a_bad_item_is_rejected_and_its_neighbours_are_not(place: Place) -> None:
    codes: list[str] = []
    async with place.edge() as edge:
        seq = await edge.hello("cam")
        for name, bad in ITEMS.items():
            await edge.socket.send(observe(f"{item()},{bad},{item()}", first_seq=str(seq)))
            refusal = await edge.until("reject", "closed")
            assert refusal.get("seq") == seq + 1, (name, refusal)
            codes.append(refusal["code"])
            while (await edge.until("ack"))["seq"] < seq + 2:
                pass
            seq += 3
        letters = await place.hub.memory.dead_letters.list(camera="cam")
        assert [letter.code for letter in letters] == codes


# Items that are odd and allowed: they are applied, and what they carry is shown as data.
ODD: dict[str, str] = {
    "55 unknown field": item(more=',"future":1'),
    "54 a key twice": item(more=f',"time":"{TIME}"'),
    "61 right to left override": item(seen(label='"\\u202egnp"')),
    "61 markup": item(seen(label='"<script>alert(1)</script>"')),
    "61 a lookup": item(seen(label='"${jndi:ldap://x}"')),
    "65 one track twice": item("[" + ",".join([seen(more=',"id":"7"')[1:-1]] * 2) + "]"),
    "time of tomorrow": item(time='"2199-01-01T00:00:00Z"'),
    "a number that is no float": item(seen(more=',"attributes":{"n":1e308}')),
    "an integer beyond 64 bits": item(seen(more=',"attributes":{"n":18446744073709551616}')),
}


async def test_an_odd_item_is_applied(place: Place) -> None:
    async with place.edge() as edge, place.hub.dashboard() as dash:
        await dash.ask("subscribe", channel="camera:cam")
        seq = await edge.hello("cam")
        for name, odd in ODD.items():
            await edge.socket.send(observe(",".join([odd] * 3), first_seq=str(seq)))
            while (found := await edge.until("ack", "reject", "closed")).get("seq", 0) < seq + 2:
                assert found["type"] == "ack", (name, found)
            dash.pushes.clear()
            assert (await dash.publication())["data"]["camera"] == "cam", name
            seq += 3


async def test_a_gap_to_the_end_of_all_numbers_leaves_the_camera_usable(place: Place) -> None:
    async with place.edge() as edge:
        await edge.hello("cam")
        await edge.socket.send(
            '{"type":"gap","camera":"cam","first_seq":1,"last_seq":9007199254740992,"reason":"x"}'
        )
        found = await edge.until("ack", "bye")
        assert (found["type"], found["code"]) == ("bye", 4008)
    async with place.edge() as edge:
        assert await edge.hello("cam", "s2") == 1
        await edge.good("cam", 1)


async def test_the_same_seq_with_another_body_is_noticed_and_two_sockets_do_not_mix(
    place: Place,
) -> None:  # 58, 74
    async with place.edge() as one, place.edge() as two:
        await one.hello("cam")
        await one.good("cam", 1)
        await one.socket.send(observe(item(seen(label='"car"'))))
        assert (await one.until("reject", "ack"))["type"] in ("reject", "ack")
        assert await two.hello("cam") == 2
        assert (await one.until("bye", "closed"))["type"] in ("bye", "closed")
        await two.good("cam", 2)


COMMANDS: dict[str, tuple[str, int | None]] = {
    "75 subscribe to *": ('{"id":5,"subscribe":{"channel":"*"}}', 102),
    "75 subscribe to nothing": ('{"id":5,"subscribe":{}}', None),
    "75 channel of 10 KB": ('{"id":5,"subscribe":{"channel":"camera:' + "x" * 10_000 + '"}}', 107),
    "75 channel with NUL": ('{"id":5,"subscribe":{"channel":"camera:cam\\u0000"}}', 102),
    "75 channel of another": ('{"id":5,"subscribe":{"channel":"#somebody"}}', 103),
    "76 offset -1": (
        '{"id":5,"subscribe":{"channel":"events:camera:cam","recover":true,"offset":-1}}',
        None,
    ),
    "76 offset 2^63": (
        '{"id":5,"subscribe":{"channel":"events:camera:cam","recover":true,"offset":9223372036854775808}}',
        None,
    ),
    "76 beyond the head": (
        '{"id":5,"subscribe":{"channel":"events:camera:cam","recover":true,"offset":9223372036854775807,"epoch":"e"}}',
        0,
    ),
    "76 another epoch": (
        '{"id":5,"subscribe":{"channel":"events:site:north","recover":true,"offset":4,"epoch":"\\u0000\'; '  # noqa: E501
        '--"}}',
        0,
    ),
    "76 a camera that is not there": ('{"id":5,"subscribe":{"channel":"camera:nobody"}}', 102),
    "77 unsubscribe unknown": ('{"id":5,"unsubscribe":{"channel":"camera:never"}}', 0),
    "78 unknown method": ('{"id":5,"dance":{}}', None),
    "78 no id": ('{"subscribe":{"channel":"fleet"}}', None),
    "78 id text": ('{"id":"x","ping":{}}', None),
    "78 id beyond 32 bits": ('{"id":4294967296,"ping":{}}', None),
    "80 refresh with rubbish": ('{"id":5,"refresh":{"token":"a.b.c"}}', None),
    "81 a filter": (
        '{"id":5,"subscribe":{"channel":"camera:cam","tf":'
        + '{"nodes":[' * 500
        + "]}" * 500
        + "}}",
        None,
    ),
    "history limit": ('{"id":5,"history":{"channel":"events:camera:cam","limit":-2}}', 103),
    "publish": ('{"id":5,"publish":{"channel":"camera:cam","data":{}}}', 108),
    "rpc": ('{"id":5,"rpc":{"method":"x"}}', 108),
    "connect again": ('{"id":5,"connect":{"token":"x"}}', None),
    "a pong nobody asked for": ("{}", None),
    "62 surrogate": ('{"id":5,"subscribe":{"channel":"\\ud800"}}', None),
    "63 deep": ('{"id":5,"rpc":{"data":' + "[" * 20_000 + "]" * 20_000 + "}}", None),
    "not UTF-8 of the parser": ('{"id":5,"subscribe":{"channel":"camera:\u00e9"}}', 102),
    "513 commands": ("\n".join(['{"id":5,"ping":{}}'] * 513), None),
}


async def test_a_bad_command_is_refused_or_closes_its_connection(place: Place) -> None:
    """A number is the error of the reply (0: none), None: the connection is closed for good."""
    async with place.hub.dashboard() as neighbour:
        for name, (text, wanted) in COMMANDS.items():
            async with place.hub.dashboard() as dash, asyncio.timeout(30):
                await dash.socket.send(text)
                if wanted is None:
                    await dash.socket.wait_closed()
                    assert 3500 <= (dash.socket.close_code or 0) < 4000, name
                else:
                    replies = await dash.receive()
                    assert replies[0].get("error", {"code": 0})["code"] == wanted, (name, replies)
            assert "ping" in await neighbour.ask("ping"), name
        assert "subscribe" in await neighbour.ask("subscribe", channel="camera:cam")


QUERIES: dict[str, int] = {
    "/v1/cameras?limit=-1": 400,
    "/v1/cameras?limit=1e9": 400,
    "/v1/cameras?limit=NaN": 400,
    "/v1/cameras?limit=": 400,
    "/v1/cameras?limit=1&limit=2": 200,
    "/v1/cameras?site=%00": 400,
    "/v1/cameras?after=%00%ff": 200,
    "/v1/cameras/%2e%2e%2fetc": 404,
    "/v1/cameras/cam%00/state": 400,
    "/v1/cameras/%c0%af/state": 400,
    "/v1/cameras/cam/events?epoch=%ed%a0%80&after=1": 400,
    "/v1/cameras/cam/events?after=999999999999999999": 200,
    "/v1/cameras/cam/events?after=9999999999999999999": 400,
    "/v1/cameras/cam/events?after=%D9%A3": 400,
    "/v1/sites/%2A/state": 400,
    "/schemas/%00": 404,
    "/v1/" + "x" * 8_000: 404,
}


async def test_a_bad_request_is_a_problem_and_no_failure(place: Place) -> None:
    headers = {"authorization": f"Bearer {place.hub.token()}"}
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{place.hub.port}", timeout=30, headers=headers, trust_env=False
    ) as http:
        for target, status in QUERIES.items():
            answer = await http.get(target)
            assert answer.status_code == status, target
            assert status == 200 or answer.json()["hint"], target
        for target in ("/%00", "/..%2f..%2fetc%2fpasswd", "/%2e%2e/settings.json"):
            assert (await http.get(target)).status_code in (404, 503), (
                target
            )  # 503: the console is not built


BODIES: dict[str, bytes] = {
    "empty": b"",
    "no object": b"[]",
    "two documents": b"{}{}",
    "not UTF-8": b'{"session":"\xff"}',
    "deep": b'{"x":' + b"[" * 60_000 + b"]" * 60_000 + b"}",
    "session with NUL": b'{"session":"\\u0000","first_seq":1,"observations":[1]}',
    "seq beyond": b'{"session":"s","first_seq":9223372036854775808,"observations":[1]}',
    "no observations": b'{"session":"s","first_seq":1,"observations":[]}',
}


async def test_a_bad_post_is_a_problem_and_no_failure(place: Place) -> None:
    headers = {
        "authorization": f"Bearer {place.hub.token('edge-1', typ='edge', roles=['edge'])}",
        "content-type": "application/json",
    }
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{place.hub.port}", timeout=30, headers=headers, trust_env=False
    ) as http:
        for name, body in BODIES.items():
            answer = await http.post("/v1/cameras/cam/observations", content=body)
            assert (answer.status_code, bool(answer.json()["hint"])) == (400, True), name
        good = msgspec.json.encode(
            {"session": "s1", "first_seq": 1, "observations": [{"time": TIME, "objects": []}]}
        )
        assert (await http.post("/v1/cameras/cam/observations", content=good)).json()["seq"] == 1
