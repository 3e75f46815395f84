"""JetStream sinks over real stores and a real NATS server: what the stream holds is what the table
of events holds, per camera, once, in order."""

import asyncio
import base64
import contextlib
import gc
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client

from actors.core.errors import Unavailable
from connectors.sinks.nats_client import NatsLink, Outgoing, Rejected
from connectors.sinks.stream_places import expecting
from storage.stores import Stores
from tests.support.connectors.fleet import Fleet, context_of, make, until, worker
from tests.support.servers.nats_server import NatsServer, nats_server

CAMERAS = ("c1", "c2", "c3")
TO = {"type": "jetstream"}


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with nats_server() as one:
        yield one


@contextlib.asynccontextmanager
async def asking(server: NatsServer) -> Any:
    client = Client()
    await client.connect(server.url, allow_reconnect=False)
    try:
        yield client
    finally:
        await client.close()


async def held(server: NatsServer, stream: str = "EYRIE_EVENTS") -> list[tuple[str, str, Any]]:
    """All messages of the stream in its order: subject, id, data."""
    found = []
    async with asking(server) as client:

        async def api(path: str, document: Mapping[str, Any]) -> dict[str, Any]:
            asked = msgspec.json.encode(document)
            answer = await client.request(f"$JS.API.{path}.{stream}", asked, timeout=20)
            return dict(msgspec.json.decode(answer.data))

        info = await api("STREAM.INFO", {})
        if "error" in info:
            return []
        for number in range(info["state"]["first_seq"], info["state"]["last_seq"] + 1):
            told = await api("STREAM.MSG.GET", {"seq": number})
            if "message" in told:
                one = told["message"]
                headers = dict(
                    line.split(": ", 1)
                    for line in base64.b64decode(one["hdrs"]).decode().split("\r\n")[1:]
                    if line
                )
                data = msgspec.json.decode(base64.b64decode(one.get("data") or ""))
                found.append((one["subject"], headers["ce-id"], data))
    return found


def by_camera(messages: list[tuple[str, str, Any]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for subject, id, _ in messages:
        found.setdefault(subject.split(".")[3], []).append(id)
    return found


async def passed_on(stores: Stores, name: str = "js") -> bool:
    lag = await stores.sinks.lag(name)
    return lag.cameras == 0


async def fleet_of(stores: Stores) -> Fleet:
    fleet = Fleet(stores)
    for camera in CAMERAS:
        await fleet.add(camera)
    return fleet


async def test_the_stream_is_what_the_table_of_events_holds(
    stores: Stores, server: NatsServer
) -> None:
    fleet = await fleet_of(stores)
    await make(stores, "js", TO, view={"sites": ["*"], "roles": ["operator"]})
    async with worker(stores, context_of(stores, nats_url=server.url)):
        for count in (1, 120, 3):
            for camera in CAMERAS:
                await fleet.commit(camera, count)
        await until(lambda: passed_on(stores))
    messages = await held(server)
    assert by_camera(messages) == fleet.ids
    hidden = {"hash": {"redacted": "faces"}}
    bodies = {one["id"]: one | hidden for all in fleet.bodies.values() for one in all}
    assert {id: data | hidden for _, id, data in messages} == bodies
    assert {subject for subject, _, _ in messages} == {
        f"eyrie.v1.site.{camera}.zone-entered" for camera in CAMERAS
    }


class LosingStore:
    """A store whose `move` fails by turns: the relay was killed between the broker's ack and the
    note of it, or the note arrived and its answer did not."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.calls = 0
        self.failed = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def move(self, claim: Any, name: str, moves: Any) -> Any:
        self.calls += 1
        if self.calls % 4 == 2:
            self.failed += 1
            raise Unavailable("killed before the note")
        moved = await self._store.move(claim, name, moves)
        if self.calls % 4 == 0:
            self.failed += 1
            raise Unavailable("killed after the note")
        return moved


async def test_a_relay_that_dies_at_every_note_and_two_at_once(
    stores: Stores, server: NatsServer
) -> None:
    """The lease changes hands again and again, and who lost it goes on until its next round."""
    fleet = await fleet_of(stores)
    await make(stores, "js", TO)
    store = LosingStore(stores.sinks)
    context = context_of(stores, nats_url=server.url)
    losing = replace(context, store=store)
    async with worker(stores, losing, "one"), worker(stores, losing, "two"):
        for _ in range(8):
            for camera in CAMERAS:
                await fleet.commit(camera, 7)
            await stores.sinks.set_state("js", "active")  # whoever has it loses it
            calls = store.calls
            await until(lambda calls=calls: store.calls > calls)  # type: ignore[misc]
        await until(lambda: passed_on(stores))
    assert store.failed > 3
    assert by_camera(await held(server)) == fleet.ids


async def test_a_broker_that_loses_its_tail_gets_it_again(
    stores: Stores, server: NatsServer
) -> None:
    fleet = await fleet_of(stores)
    await make(stores, "js", TO)
    for camera in CAMERAS:
        await fleet.commit(camera, 10)
    async with worker(stores, context_of(stores, nats_url=server.url)):
        await until(lambda: passed_on(stores))
    assert by_camera(await held(server)) == fleet.ids
    server.kill()
    server.cut(3_000)
    server.start()
    left = by_camera(await held(server))
    assert 0 < sum(map(len, left.values())) < 30
    for camera in CAMERAS[:2]:
        await fleet.commit(camera, 2)
    async with worker(stores, context_of(stores, nats_url=server.url)):
        await until(lambda: passed_on(stores))
    assert by_camera(await held(server)) == fleet.ids


@pytest.mark.parametrize("connected", [True, False])
async def test_what_a_stream_has_dropped_by_age_is_not_sent_again(
    stores: Stores, server: NatsServer, connected: bool
) -> None:
    """Also while the relay is connected and believes in an end that is no more."""
    fleet = await fleet_of(stores)
    await make(stores, "js", TO)
    await fleet.commit("c1", 3)
    await fleet.commit("c2", 1)
    async with contextlib.AsyncExitStack() as running:
        await running.enter_async_context(worker(stores, context_of(stores, nats_url=server.url)))
        await until(lambda: passed_on(stores))
        if not connected:
            await running.aclose()
        async with asking(server) as client:
            asked = b'{"filter":"eyrie.v1.site.c1.>"}'
            await client.request("$JS.API.STREAM.PURGE.EYRIE_EVENTS", asked, timeout=20)
        await fleet.commit("c1", 2)
        if not connected:
            again = worker(stores, context_of(stores, nats_url=server.url))
            await running.enter_async_context(again)
        await until(lambda: passed_on(stores))
    assert by_camera(await held(server))["c1"] == fleet.ids["c1"][3:]


async def test_an_event_too_large_for_the_broker_is_sent_thin_and_in_its_place(
    stores: Stores, server: NatsServer
) -> None:
    fleet = await fleet_of(stores)
    await make(stores, "js", TO)
    await fleet.commit("c1", 1)
    await fleet.commit("c1", 1, data={"text": "x" * 1_100_000})
    await fleet.commit("c1", 1)
    async with worker(stores, context_of(stores, nats_url=server.url)):
        await until(lambda: passed_on(stores))
    messages = await held(server)
    assert [id for _, id, _ in messages] == fleet.ids["c1"]
    assert messages[1][2] == {}


async def test_a_batch_is_stored_whole_or_not_at_all(stores: Stores, server: NatsServer) -> None:
    """The second message is refused: neither the first nor the third may be there."""
    link = await NatsLink.open(server.url)
    try:
        await link.make_stream("EYRIE_EVENTS", ["eyrie.v1.>"], 3_600)
        messages = [
            Outgoing(f"eyrie.v1.s.c{number}.t", {"Nats-Msg-Id": f"{number}"}, b"{}")
            for number in (1, 2, 3)
        ]
        stale = {**messages[1].headers, **expecting("eyrie.v1.s.c2", 7)}
        messages[1] = Outgoing(messages[1].subject, stale, b"{}")
        with pytest.raises(Rejected):
            await link.publish_batch("one", messages)
        state = await link.stream("EYRIE_EVENTS")
        assert state is not None
        assert state.last == 0
    finally:
        await link.close()


async def test_a_relay_that_believes_an_old_end_publishes_nothing(
    stores: Stores, server: NatsServer
) -> None:
    """Somebody published for the camera while the relay was connected."""
    fleet = await fleet_of(stores)
    await make(stores, "js", TO)
    await fleet.commit("c1", 2)
    async with worker(stores, context_of(stores, nats_url=server.url)):
        await until(lambda: passed_on(stores))
        epoch = fleet.places["c1"][2].epoch
        async with asking(server) as client:  # the other relay was faster with the third event
            skipped = f"c1/{epoch}/3/skipped"  # no duplicate of ours by its id
            headers = {
                "Nats-Msg-Id": skipped,
                "ce-id": skipped,
                "ce-eyrieepoch": epoch,
                "ce-sequence": f"{3:019d}",
            }
            subject = "eyrie.v1.site.c1.zone-entered"
            await client.request(subject, b"{}", timeout=20, headers=headers)
        await fleet.commit("c1", 2)
        await until(lambda: passed_on(stores))
        ids = fleet.ids["c1"]
    assert by_camera(await held(server))["c1"] == [*ids[:2], skipped, ids[3]]


async def test_whoever_is_cancelled_while_it_closes_leaves_no_connection(
    server: NatsServer,
) -> None:
    """A relay that is taken away while its broker dies: its socket was left to the garbage
    collector."""
    this = asyncio.current_task()
    for steps in range(1, 8):
        link = await NatsLink.open(server.url)
        await link.stream("EYRIE_EVENTS")  # now it has a subscription
        closing = asyncio.create_task(link.close())
        for _ in range(steps):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
    await until(
        lambda: not any("nats" in repr(one).lower() for one in asyncio.all_tasks() - {this})
    )
    gc.collect()  # a connection that nobody closed is told now
