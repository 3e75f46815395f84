"""Webhook sinks over real stores, against receivers that behave by script."""

import random
import time
from collections import Counter

import standardwebhooks

from connectors.sinks.guard import networks
from connectors.sinks.http_client import HttpClient, Limits
from connectors.sinks.signatures import new_secret, shareable
from storage.ports.background.sinks import SinkHole, SinkReplay
from storage.stores import Stores
from tests.support.connectors.fleet import LOOPBACK, Fleet, context_of, make, until, worker
from tests.support.connectors.receiver import Action, Request, receiving


async def fleet_of(stores: Stores, *cameras: str) -> Fleet:
    fleet = Fleet(stores)
    for camera in cameras:
        await fleet.add(camera)
    return fleet


async def test_events_arrive_once_in_order_and_signed(stores: Stores) -> None:
    fleet = await fleet_of(stores, "c1", "c2")
    symmetric, asymmetric = new_secret("hmac"), new_secret("ed25519")
    async with receiving(lambda _: 204) as receiver:
        to = {"type": "webhook", "url": receiver.url}
        await make(stores, "hook", to, secrets=[symmetric, asymmetric])
        await fleet.commit("c1", 30)
        async with worker(stores, context_of(stores)):
            await fleet.commit("c2", 3)
            await until(lambda: receiver.ids() == fleet.ids)
    assert len(receiver.taken) == 33
    first, second, _ = (one for one in receiver.documents() if one["subject"] == "c2")
    hidden = {"hash": {"redacted": "faces"}}  # a viewer sees no hashes
    assert first["data"] == fleet.bodies["c2"][0] | hidden
    assert "previous" not in first
    assert second["previous"] == first["id"]
    assert (first["type"], first["specversion"]) == ("eyrie.zone.entered.v1", "1.0")
    for one in receiver.taken:
        standardwebhooks.Webhook(shareable(symmetric)).verify(one.body, one.headers)
        assert one.headers["webhook-signature"].split(" ")[1].startswith("v1a,")
        assert one.headers["idempotency-key"] == one.headers["webhook-id"]


async def test_a_receiver_that_misbehaves_gets_each_event_once_by_id_and_in_order(
    stores: Stores,
) -> None:
    """The clock of breaker and retries runs 200 times as fast: an hour is over in 18 s."""
    cameras = ["c1", "c2", "c3"]
    fleet = await fleet_of(stores, *cameras)
    dice, tries = random.Random(18), Counter[str]()
    began = time.time()

    def script(request: Request) -> Action:
        tries[request.id] += 1
        if tries[request.id] > 2 or dice.random() < 0.5:
            return 200
        words: list[Action] = ["reset", 500, 503, (429, {"retry-after": "0"}), 400, 302, "flood"]
        return dice.choice(words)

    client = HttpClient(networks(LOOPBACK), Limits(total_s=5.0))
    context = context_of(
        stores, client=client, now_s=lambda: began + (time.time() - began) * 200, chance=lambda: 0.0
    )
    async with receiving(script) as receiver:
        await make(stores, "hook", {"type": "webhook", "url": receiver.url})
        async with worker(stores, context):
            for _ in range(4):
                for camera in cameras:
                    await fleet.commit(camera, 6)
            await until(lambda: receiver.ids() == fleet.ids, within_s=100)

            async def behind() -> bool:
                return (await stores.sinks.lag("hook")).events == 0

            await until(behind)
            attempts = await stores.sinks.attempts("hook", camera=None, limit=1_000)
            lag = await stores.sinks.lag("hook")
    assert receiver.most_at_once == 1  # in flight, per camera
    assert Counter(one.event for one in attempts) >= Counter(one.id for one in receiver.seen)
    assert (lag.parked, lag.failing) == (0, 0)


async def test_a_refused_event_parks_its_camera_alone_until_it_is_skipped(stores: Stores) -> None:
    fleet = await fleet_of(stores, "c1", "c2")

    def script(request: Request) -> Action:
        return 422 if request.id.endswith("/2") and request.camera == "c1" else 200

    async with receiving(script) as receiver:
        await make(stores, "hook", {"type": "webhook", "url": receiver.url})
        await fleet.commit("c1", 3)
        await fleet.commit("c2", 3)
        async with worker(stores, context_of(stores, chance=lambda: 0.0)):

            async def parked() -> bool:
                return (await stores.sinks.lag("hook")).parked == 1

            await until(parked)
            await until(lambda: len(receiver.ids().get("c2", [])) == 3)
            (row, *_) = await stores.sinks.cursors("hook", limit=10)
            assert (row.camera, row.parked, row.offset) == ("c1", True, 1)
            assert "422" in row.error
            assert len([one for one in receiver.seen if one.id.endswith("/2")]) == 4
            hole = SinkHole("c1", row.epoch, 2, 2, "skipped", "not for them", who="somebody")
            assert await stores.sinks.skip("hook", "c1", hole)
            await until(lambda: len(receiver.ids()["c1"]) == 3)
    ids = receiver.ids()["c1"]
    assert ids == [fleet.ids["c1"][0], fleet.ids["c1"][1] + "/skipped", fleet.ids["c1"][2]]
    skipped = next(one for one in receiver.documents() if one["id"] == ids[1])
    assert skipped["data"]["reason"] == "not for them"
    last = next(one for one in receiver.documents() if one["id"] == ids[2])
    assert last["previous"] == ids[1]
    (kept,) = await stores.sinks.holes("hook", cameras=None, limit=10)
    assert (kept.kind, kept.who, kept.error) == ("skipped", "somebody", row.error)


async def test_gone_disables_the_sink_and_nothing_more_is_sent(stores: Stores) -> None:
    fleet = await fleet_of(stores, "c1")
    async with receiving(lambda _: 410) as receiver:
        await make(stores, "hook", {"type": "webhook", "url": receiver.url})
        await fleet.commit("c1", 3)
        async with worker(stores, context_of(stores)) as runner:

            async def disabled() -> bool:
                row = await stores.sinks.get("hook")
                return row is not None and row.state == "disabled" and not runner.running

            await until(disabled)
            row = await stores.sinks.get("hook")
            assert row is not None
            assert "410" in row.reason
    assert len(receiver.seen) == 1


async def test_a_sites_sink_gets_no_other_sites_events_in_replays_neither(stores: Stores) -> None:
    fleet = Fleet(stores)
    await fleet.add("c1", "north")
    await fleet.add("c2", "south")
    async with receiving(lambda _: 200) as receiver:
        to = {"type": "webhook", "url": receiver.url}
        await make(stores, "hook", to, view={"sites": ["north"]})
        await fleet.commit("c1", 2)
        await fleet.commit("c2", 2)
        async with worker(stores, context_of(stores)):
            await until(lambda: len(receiver.taken) == 2)

            async def behind() -> bool:
                return (await stores.sinks.lag("hook")).events == 0

            await until(behind)
            for camera in ("c2", "c1"):
                epoch = fleet.places[camera][2].epoch
                replay = SinkReplay(0, camera, epoch, 1, 2)
                assert await stores.sinks.replay("hook", replay, who="x", audit=None)
            await until(lambda: len(receiver.taken) == 4)

            async def replayed() -> bool:
                return not await stores.sinks.replays("hook", busy=(), limit=5)

            await until(replayed)
    assert {one.camera for one in receiver.seen} == {"c1"}
    again = [one for one in receiver.taken if "webhook-replay" in one.headers]
    assert [one.id for one in again] == fleet.ids["c1"]
    assert [one.headers["webhook-id"] for one in again] == [
        one.headers["webhook-id"] for one in receiver.taken[:2]
    ]


async def test_what_the_view_hides_is_hidden_and_the_filter_sees_no_more(stores: Stores) -> None:
    fleet = await fleet_of(stores, "c1")
    async with receiving(lambda _: 200) as receiver:
        to = {"type": "webhook", "url": receiver.url, "mode": "binary"}
        await make(stores, "hook", to, filter={"types": ["alarm.*"]})
        await fleet.commit("c1", 2)
        await fleet.commit("c1", 1, type="alarm.seen", data={"data": {"plate": "B-XY 123"}})
        await fleet.commit("c1", 1)
        await fleet.commit("c1", 1, type="alarm.seen", data={"data": {"level": 2}})
        async with worker(stores, context_of(stores)):
            await until(lambda: len(receiver.taken) == 2)
    first, second = receiver.taken
    assert b"B-XY" not in first.body
    assert first.headers["ce-type"] == "eyrie.alarm.seen.v1"
    assert first.headers["ce-sequence"] == f"{3:019d}"
    assert second.headers["ce-previous"] == first.headers["ce-id"]


async def test_a_sink_that_begins_now_leaves_the_past_out(stores: Stores) -> None:
    fleet = await fleet_of(stores, "c1")
    await fleet.commit("c1", 3)
    async with receiving(lambda _: 200) as receiver:
        await make(stores, "hook", {"type": "webhook", "url": receiver.url}, from_now=True)
        await fleet.commit("c1", 1)
        await fleet.add("c2")
        await fleet.commit("c2", 1)
        async with worker(stores, context_of(stores)):
            await until(lambda: len(receiver.taken) == 2)
    assert sorted(one.id for one in receiver.taken) == [fleet.ids["c1"][3], fleet.ids["c2"][0]]


async def test_two_owners_at_once_send_no_event_out_of_order(stores: Stores) -> None:
    """The one whose lease was taken goes on for a while: its cursor moves no more."""
    fleet = await fleet_of(stores, "c1")
    async with receiving(lambda _: 200) as receiver:
        await make(stores, "hook", {"type": "webhook", "url": receiver.url})
        context = context_of(stores)
        async with worker(stores, context, "one") as first:
            await fleet.commit("c1", 5)
            await until(lambda: len(receiver.taken) >= 2)
            await stores.sinks.set_state("hook", "paused")
            await stores.sinks.set_state("hook", "active")
            async with worker(stores, context, "two"):
                await fleet.commit("c1", 20)
                await until(lambda: receiver.ids() == fleet.ids)
            assert first.running in (["sink:hook"], [])
