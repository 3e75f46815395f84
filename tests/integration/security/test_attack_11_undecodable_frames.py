"""Devices that send what nobody can decode: it is kept within its bounds, whatever becomes of their
sockets; the rest is counted."""

import asyncio
from collections import Counter
from pathlib import Path

import httpx
import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from actors.core.messages.edge_protocol import SUBPROTOCOL_JSON
from actors.core.settings import DeadLettersSettings
from hub.ingest import undecodable
from storage.ports.dead_letters import DeadLetterRow
from tests.support.doubles.actor_handles import FakeActor, FakeDirectory
from tests.support.hub.hub import TestHub, running_hub
from tests.support.waiting import until

CAMERAS = {"gate": "north", "dock": "south"}  # camera → site
SOCKETS = 30
EACH = 8  # frames of a socket; the fifth that cannot be used ends it


def device(hub: TestHub, name: str, camera: str) -> str:
    return hub.token(name, typ="edge", roles=["edge"], sites=[CAMERAS[camera]], cameras=[camera])


async def rubbish(hub: TestHub, token: str, camera: str, number: int) -> int:
    """One socket that is greeted, sends useless frames until it is closed, and how many it could
    send."""
    url = f"ws://127.0.0.1:{hub.port}/v1/edge"
    headers = {"authorization": f"Bearer {token}"} if token else {}
    sent = 0
    async with connect(
        url,
        subprotocols=[SUBPROTOCOL_JSON],  # type: ignore[list-item]
        additional_headers=headers,
        compression=None,
        proxy=None,
    ) as socket:
        try:
            if token:
                await socket.send(
                    msgspec.json.encode(
                        {"type": "hello", "camera": camera, "session": f"s{number}"}
                    ).decode()
                )
                while msgspec.json.decode(await socket.recv())["type"] != "welcome":
                    pass
            for frame in range(EACH):
                await socket.send(
                    f'{{"type":"observe","camera":"{camera}","rubbish":"{number}-{frame}"'
                )
                sent += 1
            async with asyncio.timeout(30):
                while True:
                    await socket.recv()
        except ConnectionClosed:
            return sent


async def flood(hub: TestHub, token: str, camera: str) -> int:
    return sum(
        await asyncio.gather(*(rubbish(hub, token, camera, number) for number in range(SOCKETS)))
    )


async def letters_of(hub: TestHub) -> list[DeadLetterRow]:
    return await hub.memory.dead_letters.list(limit=100_000)


async def written(hub: TestHub) -> None:
    """All that was seen has been kept or counted."""
    frames = hub.hub.edge.frames
    await until(
        lambda: frames.seen and frames.kept + frames.lost.total() == frames.seen,
        what="every frame being kept or counted",
    )


async def test_attack_11_hundreds_of_undecodable_frames_are_kept_though_their_sockets_are_closed(
    tmp_path: Path,
) -> None:
    async with running_hub(tmp_path, directory=FakeDirectory(lambda _: FakeActor("a"))) as hub:
        for camera, site in CAMERAS.items():
            await hub.register(camera, site=site)
        for camera in CAMERAS:
            await flood(hub, device(hub, f"box-{camera}", camera), camera)
        await flood(hub, "", "gate")
        await written(hub)
        found = await letters_of(hub)
        frames = hub.hub.edge.frames
        assert len(found) == frames.kept >= 2 * SOCKETS, (
            "each socket has sent at least one that was read"
        )
        assert set(frames.lost) == {"stranger"}, "who has no token fills no table"
        assert set(Counter(letter.camera for letter in found)) == set(CAMERAS)
        assert len({letter.raw for letter in found if letter.camera == "gate"}) == sum(
            letter.camera == "gate" for letter in found
        )
        assert hub.memory.dead_letters.faults.calls["add_many"] < len(found), "they go in batches"


async def test_attack_11_beyond_the_rate_of_a_device_frames_are_counted_and_others_lose_nothing(
    tmp_path: Path,
) -> None:
    bounds = DeadLettersSettings(device_per_s=0.001, device_burst=30, hub_burst=10_000)
    async with running_hub(
        tmp_path, dead_letters=bounds, directory=FakeDirectory(lambda _: FakeActor("a"))
    ) as hub:
        await hub.register("gate")
        await hub.register("dock", site="south")
        await flood(hub, device(hub, "stolen", "gate"), "gate")
        await rubbish(hub, device(hub, "honest", "dock"), "dock", 1)
        await written(hub)
        found = Counter(letter.camera for letter in await letters_of(hub))
        frames = hub.hub.edge.frames
        assert found["gate"] == 30
        assert found["dock"] >= 1
        assert dict(frames.lost) == {"device_rate": frames.seen - found.total()}
        told = await hub.metrics()
        assert (
            f'eyrie_hub_edge_undecodable_frames_lost_total{{reason="device_rate"}} '
            f"{float(frames.lost['device_rate'])}" in told
        )
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
            health = (await http.get(f"http://127.0.0.1:{hub.port}/health/ready")).json()
        assert [
            note
            for note in health["notes"]
            if f"{frames.lost['device_rate']} for device_rate" in note
        ]


async def test_attack_11_frames_wait_for_a_store_that_is_away_as_many_as_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undecodable, "MAX_WAITING", 50)
    monkeypatch.setattr(undecodable, "RETRY_S", 0.05)
    async with running_hub(tmp_path, directory=FakeDirectory(lambda _: FakeActor("a"))) as hub:
        await hub.register("gate")
        faults, frames = hub.memory.dead_letters.faults, hub.hub.edge.frames
        faults.down.add("add_many")
        await flood(hub, device(hub, "box", "gate"), "gate")
        assert frames.seen > 50
        assert frames.kept == 0
        faults.down.clear()
        await written(hub)
        assert (len(await letters_of(hub)), dict(frames.lost)) == (50, {"queue": frames.seen - 50})


async def test_attack_11_a_frame_is_never_the_letter_of_a_camera_that_its_device_may_not_send(
    tmp_path: Path,
) -> None:
    async with running_hub(tmp_path, directory=FakeDirectory(lambda _: FakeActor("a"))) as hub:
        await hub.register("gate")
        await hub.register("dock", site="south")
        url = f"ws://127.0.0.1:{hub.port}/v1/edge"
        headers = {"authorization": f"Bearer {device(hub, 'box', 'gate')}"}
        async with connect(
            url,
            subprotocols=[SUBPROTOCOL_JSON],  # type: ignore[list-item]
            additional_headers=headers,
            compression=None,
            proxy=None,
        ) as socket:
            await socket.send('{"type":"hello","camera":"gate","session":"s1"}')
            while msgspec.json.decode(await socket.recv())["type"] != "welcome":
                pass
            await socket.send(
                '{"type":"observe","camera":"dock","first_seq":1,"observations":[{"rubbish":}]}'
            )
            await written(hub)
        assert [letter.camera for letter in await letters_of(hub)] == ["gate"]
