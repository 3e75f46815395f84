"""Hellos of a gateway that carries many cameras: every one is answered, in turn, however many come
at once."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from actors.core.messages.edge_protocol import SUBPROTOCOL_JSON
from hub.ingest.link import MAX_CAMERAS
from hub.ingest.socket import MAX_ASKING
from policy.decision import bounds
from policy.decision.model import Decision, DecisionInput
from tests.support.doubles.actor_handles import FakeActor, FakeDirectory
from tests.support.hub.hub import running_hub
from tests.support.waiting import until


class HeldPolicy:
    """A `Decider` that allows, once it is let; `most` is how many questions waited at the same
    time."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.waiting = self.most = 0

    async def decide(self, question: DecisionInput) -> Decision:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await self.let.wait()
        self.waiting -= 1
        return Decision(True, "allowed", "r1")


@pytest.mark.parametrize("at_once", [False, True])
async def test_as_many_hellos_in_a_row_as_a_socket_may_carry_are_all_welcomed(
    tmp_path: Path, at_once: bool
) -> None:
    """`at_once`: all come with one read of the hub, as to one that was busy meanwhile."""
    policy, actor = HeldPolicy(), FakeActor("actor-1")
    cameras = [f"cam-{number}" for number in range(MAX_CAMERAS)]
    async with running_hub(
        tmp_path, directory=FakeDirectory(lambda camera: actor), decider=policy
    ) as hub:
        await hub.register(*cameras)
        headers = {"authorization": f"Bearer {hub.token('gateway', typ='edge', roles=['edge'])}"}
        url = f"ws://127.0.0.1:{hub.port}/v1/edge"
        protocols = [Subprotocol(SUBPROTOCOL_JSON)]
        async with connect(
            url,
            subprotocols=protocols,
            additional_headers=headers,
            compression=None,
            proxy=None,
            max_queue=None,
        ) as socket:
            for camera in [*cameras, "one-too-many"]:
                hello = msgspec.json.encode({"type": "hello", "camera": camera, "session": "s1"})
                if at_once:
                    socket.protocol.send_text(hello)
                else:
                    await socket.send(hello.decode())
            socket.transport.write(b"".join(socket.protocol.data_to_send()))
            # The last one is refused at once, so all before it have been read while policy was
            # silent.
            assert [await heard(socket, "bye")] == [{"camera": "one-too-many", "code": 4008}]
            await until(
                lambda: policy.waiting == MAX_ASKING, what="as many questions at once as may be"
            )
            policy.let.set()
            welcomed = [(await heard(socket, "welcome"))["camera"] for _ in cameras]
            assert sorted(welcomed) == sorted(cameras)
            assert policy.most == MAX_ASKING


class LatePolicy:
    """A `Decider` that has no decision `late` times, then allows."""

    def __init__(self, late: int) -> None:
        self.late = late

    async def decide(self, question: DecisionInput) -> Decision:
        self.late -= 1
        if self.late >= 0:
            return Decision(False, bounds.POLICY_UNAVAILABLE, "r1")
        return Decision(True, "allowed", "r1")


async def test_a_hello_that_cannot_be_decided_about_now_is_asked_about_again(
    tmp_path: Path,
) -> None:
    actor = FakeActor("actor-1")
    async with running_hub(
        tmp_path, directory=FakeDirectory(lambda camera: actor), decider=LatePolicy(1)
    ) as hub:
        await hub.register("cam")
        headers = {"authorization": f"Bearer {hub.token('gateway', typ='edge', roles=['edge'])}"}
        async with connect(
            f"ws://127.0.0.1:{hub.port}/v1/edge",
            subprotocols=[Subprotocol(SUBPROTOCOL_JSON)],
            additional_headers=headers,
            compression=None,
            proxy=None,
        ) as socket:
            hello = {"type": "hello", "camera": "cam", "session": "s1"}
            await socket.send(msgspec.json.encode(hello).decode())
            assert (await heard(socket, "welcome"))["camera"] == "cam"


async def heard(socket: Any, kind: str) -> dict[str, Any]:
    """Camera and code of the next message of this kind."""
    async with asyncio.timeout(30):
        while True:
            found = msgspec.json.decode(await socket.recv())
            if found["type"] == kind:
                return {name: found[name] for name in ("camera", "code") if name in found}
