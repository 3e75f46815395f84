"""The stock centrifuge-python client, in both encodings: connect, subscribe, receive, lose the
connection, recover."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from centrifuge import (
    Client,
    ClientEventHandler,
    DisconnectedContext,
    PublicationContext,
    SubscribedContext,
    SubscriptionEventHandler,
    UnsubscribedContext,
)

from hub.protocol import disconnects
from policy.identity.revocations import Revocations
from storage.ports.policy import Revocation
from tests.support.hub.hub import TestHub, running_hub
from tests.support.waiting import until


class Watcher(SubscriptionEventHandler):  # type: ignore[misc]
    """Keeps what a subscription meets."""

    def __init__(self) -> None:
        self.publications: list[Any] = []
        self.subscribed: list[SubscribedContext] = []
        self.unsubscribed: list[UnsubscribedContext] = []

    async def on_publication(self, ctx: PublicationContext) -> None:
        """A publication."""
        self.publications.append(ctx.pub)

    async def on_subscribed(self, ctx: SubscribedContext) -> None:
        """Subscribed, perhaps again."""
        self.subscribed.append(ctx)

    async def on_unsubscribed(self, ctx: UnsubscribedContext) -> None:
        """For good."""
        self.unsubscribed.append(ctx)

    @property
    def offsets(self) -> list[int]:
        """Of all publications so far."""
        return [publication.offset for publication in self.publications]


class Life(ClientEventHandler):  # type: ignore[misc]
    """Keeps why a connection ended for good."""

    def __init__(self) -> None:
        self.ended: list[int] = []

    async def on_disconnected(self, ctx: DisconnectedContext) -> None:
        """For good."""
        self.ended.append(ctx.code)


@asynccontextmanager
async def client(
    hub: TestHub, *, protobuf: bool, life: Life | None = None, sub: str = "ada"
) -> AsyncIterator[Client]:
    """A connected client that reconnects fast."""
    made = Client(
        hub.url,
        token=hub.token(sub),
        use_protobuf=protobuf,
        events=life,
        min_reconnect_delay=0.01,
        max_reconnect_delay=0.05,
    )
    await made.connect()
    await made.ready(timeout=30)
    try:
        yield made
    finally:
        await made.disconnect()


@pytest.mark.parametrize("protobuf", [False, True], ids=["json", "protobuf"])
async def test_live_states_and_walls(tmp_path: Path, protobuf: bool) -> None:
    async with running_hub(tmp_path) as hub, client(hub, protobuf=protobuf) as stock:
        await hub.register("cam-1")
        await hub.show("cam-1", 1)
        camera, wall = Watcher(), Watcher()
        await stock.new_subscription("camera:cam-1", events=camera).subscribe()
        await stock.new_subscription("fleet", events=wall).subscribe()
        await until(lambda: camera.publications and wall.publications, what="the first messages")
        await hub.show("cam-1", 2)
        await until(
            lambda: camera.offsets == [1, 2] and len(wall.publications) == 2, what="the change"
        )
        assert (
            b'"version":2' in camera.publications[1].data
            if protobuf
            else camera.publications[1].data["version"] == 2
        )


@pytest.mark.parametrize("protobuf", [False, True], ids=["json", "protobuf"])
async def test_a_lost_connection_recovers_every_event_once(tmp_path: Path, protobuf: bool) -> None:
    async with running_hub(tmp_path) as hub, client(hub, protobuf=protobuf) as stock:
        await hub.register("cam-1")
        await hub.happen("cam-1", 1)
        lanes = [Watcher(), Watcher()]
        for lane, channel in zip(lanes, ("events:camera:cam-1", "events:site:north"), strict=True):
            subscription = stock.new_subscription(channel, events=lane)
            await subscription.subscribe()
            await subscription.ready(timeout=30)
        for offset in range(2, 40):
            await hub.happen("cam-1", offset)
            if offset % 10 == 0:
                for dashboard in list(hub.dashboards):
                    dashboard.drop(disconnects.FORCE_RECONNECT)
            if offset % 7 == 0:
                await asyncio.sleep(0)
        for lane in lanes:
            await until(
                lambda lane=lane: lane.offsets and lane.offsets[-1] == 39,  # type: ignore[misc]
                what="the last event",
            )
            assert lane.offsets == list(range(2, 40))
            assert all(context.recovered for context in lane.subscribed[1:])
            assert len(lane.subscribed) > 1


async def test_refusals_reach_the_client_as_it_knows_them(tmp_path: Path) -> None:
    life = Life()
    async with running_hub(tmp_path) as hub, client(hub, protobuf=False, life=life) as stock:
        await hub.register("cam-1")
        hub.policy.denied.add(("subscribe", "cam-1"))
        refused, unknown = Watcher(), Watcher()
        await stock.new_subscription("camera:cam-1", events=refused).subscribe()
        await stock.new_subscription("nonsense", events=unknown).subscribe()
        await until(lambda: refused.unsubscribed and unknown.unsubscribed, what="both refusals")
        assert (refused.unsubscribed[0].code, unknown.unsubscribed[0].code) == (103, 102)
        hub.hub.revoked(Revocations([Revocation("jti", "ada-1", 0)]))
        await until(lambda: life.ended, what="the end")
        assert life.ended == [4501]


async def test_history_and_refusals_of_what_is_off(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, client(hub, protobuf=True) as stock:
        await hub.register("cam-1")
        for offset in (1, 2, 3):
            await hub.happen("cam-1", offset)
        subscription = stock.new_subscription("events:camera:cam-1")
        await subscription.subscribe()
        await subscription.ready(timeout=30)
        history = await subscription.history(limit=2, reverse=True)
        assert [publication.offset for publication in history.publications] == [3, 2]
        with pytest.raises(Exception, match="not available"):
            await subscription.presence()
        with pytest.raises(Exception, match="not available"):
            await stock.rpc("anything", b"{}")
