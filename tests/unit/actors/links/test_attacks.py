"""What may come to an actor's link: cut, slow, garbage, strangers. Refused, logged once, and nobody
else is harmed."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from actors.links.frames import Kind, frame
from actors.links.greeting import HubGreeting, LinkRefusal
from actors.links.server import LinkBounds
from tests.support.links import CLUSTER, STRANGERS_KEY, LinkRig, RawHub, link_rig
from tests.support.waiting import until

ITEMS = frame(Kind.ITEMS, b"i" * 40)
PING = frame(Kind.PING)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[LinkRig]:
    async with link_rig(tmp_path / "links") as made:
        yield made


def refusals(frames: list[tuple[Kind, bytes]]) -> list[str]:
    return [
        msgspec.msgpack.decode(payload, type=LinkRefusal).code
        for kind, payload in frames
        if kind is Kind.REFUSED
    ]


@pytest.mark.parametrize("cut", [0, 1, 3, 4, 5, 20, 39, 44])
async def test_of_a_frame_that_is_cut_off_nothing_is_taken(rig: LinkRig, cut: int) -> None:
    peer = await RawHub.come(rig)
    await peer.greet()
    peer.writer.write(PING + ITEMS + ITEMS[:cut])
    assert await peer.hear() == [(Kind.PONG, b"")]
    peer.writer.close()
    await until(lambda: not rig.server.links)
    assert rig.behind.taken == [b"i" * 40]
    assert rig.behind.hubs == {}
    await rig.still_takes()


async def test_a_greeting_that_is_cut_off_anywhere_leaves_nothing(rig: LinkRig) -> None:
    hello = HubGreeting(STRANGERS_KEY, RawHub.hello()).begin()
    for cut in (0, 1, 4, 5, len(hello) // 2, len(hello) - 1, len(hello)):
        peer = await RawHub.come(rig)
        peer.writer.write(hello[:cut])
        await peer.writer.drain()
        peer.writer.close()
    await until(lambda: not rig.server.unproven)
    assert (rig.behind.taken, rig.behind.hubs) == ([], {})
    await rig.still_takes()


async def test_a_link_that_comes_byte_by_byte_is_a_link(rig: LinkRig) -> None:
    peer = await RawHub.come(rig)
    await peer.greet()
    for byte in ITEMS + PING:
        peer.writer.write(bytes((byte,)))
        await peer.writer.drain()
    assert await peer.hear() == [(Kind.PONG, b"")]
    assert rig.behind.taken == [b"i" * 40]
    peer.writer.close()


@pytest.mark.parametrize("proven", [False, True])
@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff\xff\xff\xff\x06" + b"x" * 1_000,  # 4 GB
        b"\x00\x00\x00\x00" + b"x" * 100,
        b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00" + b"\0" * 300,  # TLS
        frame(Kind.ANSWERS, b"x"),
        frame(Kind.PROOF, b"p" * 32),
    ],
    ids=["4GB", "empty", "http", "tls", "answers", "proof"],
)
async def test_garbage_is_refused_before_the_greeting_and_after_it(
    rig: LinkRig, garbage: bytes, proven: bool
) -> None:
    peer = await RawHub.come(rig)
    if proven:
        await peer.greet()
    peer.writer.write(garbage + ITEMS)
    assert len(refusals(await peer.closed())) == 1
    assert rig.behind.taken == []
    await until(lambda: not (rig.server.links or rig.server.unproven))
    await rig.still_takes()


async def test_items_without_a_proof_are_not_taken(rig: LinkRig) -> None:
    peer = await RawHub.come(rig)
    peer.writer.write(HubGreeting(STRANGERS_KEY, RawHub.hello()).begin() + ITEMS)
    assert refusals(await peer.closed()) == ["bad_input"]
    assert rig.behind.taken == []
    await rig.still_takes()


async def test_a_stranger_s_proof_is_refused_and_all_of_its_tries_are_one_line_of_the_log(
    rig: LinkRig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="eyrie.actors.links")
    for _attempt in range(20):
        peer = await RawHub.come(rig)
        peer.writer.write(HubGreeting(STRANGERS_KEY, RawHub.hello()).begin())
        assert [kind for kind, _payload in await peer.hear()] == [Kind.CHALLENGE]
        peer.writer.write(frame(Kind.PROOF, b"p" * 32))
        assert refusals(await peer.closed()) == ["forbidden"]
    assert [record.getMessage() for record in caplog.records] == [
        "cam.1 refuses a link of this machine: the proof is not one of this cluster's token"
    ]
    assert rig.server.refused == 20
    await rig.still_takes()


@pytest.mark.parametrize(
    "changes", [{"version": 2}, {"cluster": f"{CLUSTER}-2"}, {"actor": "cam.0"}]
)
async def test_another_version_cluster_or_incarnation_is_refused(
    rig: LinkRig, changes: dict[str, object]
) -> None:
    peer = await RawHub.come(rig)
    other = msgspec.structs.replace(RawHub.hello(), **changes)
    peer.writer.write(HubGreeting(STRANGERS_KEY, other).begin())
    assert refusals(await peer.closed()) == ["conflict"]
    await rig.still_takes()


async def test_a_process_of_another_user_is_refused(
    rig: LinkRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: real + 1)
    peer = await RawHub.come(rig)
    (refused,) = [payload for kind, payload in await peer.closed() if kind is Kind.REFUSED]
    refusal = msgspec.msgpack.decode(refused, type=LinkRefusal)
    assert (refusal.code, refusal.detail) == ("forbidden", f"the peer is a process of user {real}")
    monkeypatch.undo()
    await rig.still_takes()


def mode(path: str) -> int:
    return os.stat(path).st_mode & 0o777


async def test_the_socket_and_its_folder_are_the_owner_s_alone(rig: LinkRig) -> None:
    path = rig.address.path
    folder = os.path.dirname(path)
    assert (mode(folder), mode(path)) == (0o700, 0o600)
    left = os.path.join(folder, "1-0-dead.sock")  # of one that was killed: pid 1 began earlier
    os.close(os.open(left, os.O_CREAT))
    async with link_rig(Path(folder)):
        assert len(os.listdir(folder)) == 2
    assert os.listdir(folder) == [os.path.basename(path)]


async def test_who_proves_nothing_has_a_deadline_and_they_are_not_many(
    tmp_path: Path,
) -> None:
    async with link_rig(tmp_path / "few", LinkBounds(unproven=3, greet_s=1.0)) as rig:
        peers = [await RawHub.come(rig) for _ in range(4)]
        refused = [code for peer in peers for code in refusals(await peer.closed())]
        assert refused == ["forbidden"] * 3 + ["too_many"]
        await rig.still_takes()


async def test_a_hub_that_does_not_read_is_cut_off_and_the_actor_waits_for_nobody(
    tmp_path: Path,
) -> None:
    async with link_rig(tmp_path / "few", LinkBounds(behind_bytes=100_000)) as rig:
        peer = await RawHub.come(rig)
        await peer.greet()
        send = rig.behind.hubs["hub-raw.1"]
        for _ in range(200):
            send(b"x" * 10_000)
        assert rig.behind.hubs == {}
        await rig.still_takes()
        peer.writer.close()


async def test_a_newer_link_ends_the_older_whose_late_frames_mean_nothing(rig: LinkRig) -> None:
    old, new = await RawHub.come(rig), await RawHub.come(rig)
    await old.greet(number=1)
    await new.greet(number=2)
    old.writer.write(frame(Kind.ITEMS, b"late"))
    assert await old.closed() == []
    new.writer.write(ITEMS + PING)
    assert await new.hear() == [(Kind.PONG, b"")]
    assert rig.behind.taken == [b"i" * 40]
    late = await RawHub.come(rig)
    with pytest.raises(Exception, match="refused"):
        await late.greet(number=1)
    assert list(rig.server.links) == ["hub-raw.1"]
    new.writer.write(PING)
    assert await new.hear() == [(Kind.PONG, b"")]
    new.writer.close()
    late.writer.close()
    await asyncio.sleep(0)
