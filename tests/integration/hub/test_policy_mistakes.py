"""A mistake of policy that is mended: devices and dashboards that were served before come back by
themselves, through any hub."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from centrifuge import Client, ClientState, SubscriptionState

from actors.core.backoff import Backoff
from actors.core.errors import Forbidden, Withdrawn
from actors.core.messages.observations import Observation
from actors.core.settings import HubSettings
from edge.client import EdgeClient
from hub.access.grants import Grants
from hub.ingest import socket
from hub.protocol import disconnects
from policy.identity.principal import Principal
from tests.integration.hub.test_centrifuge_python import Life, Watcher
from tests.support.cluster.ray_stack import free_port
from tests.support.doubles.actor_handles import FakeActor, FakeDirectory
from tests.support.doubles.memory_grants import MemoryGrants
from tests.support.doubles.stores import memory_stores
from tests.support.hub.hub import Policy, TestHub, running_hub
from tests.support.waiting import until

TIME = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVERYTHING = {
    ("connect", "dashboard"),
    ("subscribe", "cam-1"),
    ("subscribe", "fleet"),
    ("ingest", "cam-1"),
}
CHANNELS = ("camera:cam-1", "events:camera:cam-1", "fleet")


def stock(hub: TestHub, life: Life) -> Client:
    """The SDK, with a back-off for impatient tests."""
    return Client(
        hub.url, token=hub.token(), events=life, min_reconnect_delay=0.02, max_reconnect_delay=0.1
    )


def edge(hub: TestHub) -> EdgeClient:
    """The device."""
    token = hub.token("box", typ="edge", roles=["edge"])
    return EdgeClient(f"ws://127.0.0.1:{hub.port}/v1/edge", token, backoff=Backoff(0.02, 0.1))


@pytest.mark.parametrize(
    "mistake",
    [EVERYTHING, {("subscribe", "cam-1"), ("subscribe", "fleet")}],
    ids=["everything", "channels"],
)
async def test_who_was_served_before_comes_back_through_a_hub_that_never_saw_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mistake: set[tuple[str, str]]
) -> None:
    monkeypatch.setattr(socket, "TICK_S", 0.02)
    monkeypatch.setattr(socket, "RECHECK_S", 0.02)
    policy, grants, memory, life, actor = (
        Policy(),
        MemoryGrants(),
        memory_stores(),
        Life(),
        FakeActor("actor-1"),
    )
    settings, directory = HubSettings(port=free_port()), FakeDirectory(lambda camera: actor)
    async with AsyncExitStack() as clients:
        async with running_hub(
            tmp_path,
            memory=memory,
            hub=settings,
            decider=policy,
            grants=grants,
            directory=directory,
        ) as first:
            await first.register("cam-1")
            await first.show("cam-1", 1)
            dashboard, device = stock(first, life), edge(first)
            clients.push_async_callback(dashboard.disconnect)
            await clients.enter_async_context(device)
            await dashboard.connect()
            lanes = [Watcher() for _ in CHANNELS]
            subscriptions = [
                dashboard.new_subscription(name, events=lane)
                for name, lane in zip(CHANNELS, lanes, strict=True)
            ]
            for subscription in subscriptions:
                await subscription.subscribe()
                await subscription.ready(timeout=30)
            stream = await device.open("cam-1")
            await stream.send(Observation(TIME, []))
            await stream.drain()
            await until(
                lambda: len(grants.until) == 2 + len(CHANNELS),
                what="that the other hubs could know",
            )
            policy.denied |= mistake
            first.hub.policy_changed("r2")
            await until(
                lambda: all(s.state is not SubscriptionState.SUBSCRIBED for s in subscriptions),
                what="the end of what is denied",
            )
        since = len(policy.asked)
        async with running_hub(
            tmp_path,
            memory=memory,
            hub=settings,
            decider=policy,
            grants=grants,
            directory=directory,
        ) as second:
            actions = {
                action
                for action, _ in mistake
                if ("connect", "dashboard") not in mistake or action != "subscribe"
            }
            for action in actions:  # who may not connect asks for no channel
                async with asyncio.timeout(30):
                    while sum(question.action == action for question in policy.asked[since:]) < 3:
                        await asyncio.sleep(0.01)
            assert (
                second.hub.node.stats.closes.keys() & {disconnects.PERMISSION_DENIED.code}
            ) == set()
            policy.denied.clear()
            second.hub.policy_changed("r3")
            await until(
                lambda: all(s.state is SubscriptionState.SUBSCRIBED for s in subscriptions),
                what="the dashboard's return",
            )
            assert dashboard.state is ClientState.CONNECTED
            await stream.send(Observation(TIME, []))
            async with asyncio.timeout(30):
                await stream.drain()
            await second.show("cam-1", 2)
            await until(lambda: lanes[0].offsets[-1:] == [2], what="the state")
            assert life.ended == []


async def test_what_was_never_allowed_is_final_and_so_is_another_token_with_fewer_rights(
    tmp_path: Path,
) -> None:
    policy, life = Policy(), Life()
    async with running_hub(tmp_path, decider=policy, grants=MemoryGrants()) as hub:
        await hub.register("cam-1")
        async with hub.dashboard():
            pass
        policy.denied.add(("connect", "dashboard"))
        dashboard = Client(hub.url, token=hub.token(roles=["nobody"]), events=life)
        await dashboard.connect()
        await until(lambda: life.ended == [disconnects.PERMISSION_DENIED.code], what="a final no")
        assert hub.hub.node.stats.closes == {disconnects.PERMISSION_DENIED.code: 1}


ADA = Principal("ada", "ada-1", "user", 0, 2**40, ("viewer",), ("*",))


async def test_a_store_that_is_away_makes_nothing_final_and_holds_nobody_up() -> None:
    store = MemoryGrants()
    store.faults.down |= {"note", "noted"}
    grants = Grants(store)
    grants.note(ADA, "connect")
    assert isinstance(await grants.denial(ADA, "see", "fleet", Forbidden("no")), Withdrawn)
    await grants.close()


async def test_a_grant_is_told_once_a_day_and_forgotten_after_a_week() -> None:
    store, now = MemoryGrants(), 0.0
    grants, denied = Grants(store, lambda: now), Forbidden("no")
    for _ in range(100):
        grants.note(ADA, "connect")
    await until(lambda: store.until, what="the note")
    assert store.faults.calls["note"] == 1
    store.until.clear()  # Redis was lost
    now = 6 * 86_400.0
    assert isinstance(await grants.denial(ADA, "connect", "", denied), Withdrawn)
    now = 8 * 86_400.0
    assert await grants.denial(ADA, "connect", "", denied) is denied
    await grants.close()
