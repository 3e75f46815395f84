"""The pump: order, bounds, pressure, and what happens when an actor is lost."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from actors.core.messages.deliveries import (
    NOT_OWNER,
    Acked,
    Answer,
    Attach,
    Data,
    Detach,
    Dismissed,
    Item,
    Welcomed,
)
from actors.core.settings import HubSettings
from hub.ingest import actor_queue
from hub.ingest import pump as pump_module
from hub.ingest.pump import Pump
from tests.support.doubles.actor_handles import FakeActor, FakeDirectory
from tests.support.waiting import until

SETTINGS = HubSettings(linger_s=0.01, call_timeout_s=0.3)


class Rig:
    """A pump, its actors and what it answered."""

    def __init__(self, settings: HubSettings) -> None:
        self.actor = FakeActor("actor-1")
        self.directory = FakeDirectory(lambda camera: self.actor)
        self.answers: list[Answer] = []
        self.pump = Pump("hub-0", self.directory, settings, self.answers.append, wall_us=lambda: 7)
        self.pump.start()

    def attach(self, camera: str = "cam", link: str = "hub-0/1") -> None:
        self.pump.put(Attach(camera, link, "s1", 1, 0))

    def data(
        self,
        first_seq: int,
        count: int = 1,
        camera: str = "cam",
        size: int = 10,
        *,
        urgent: bool = False,
    ) -> None:
        self.pump.put(
            Data(camera, "hub-0/1", "s1", first_seq, 0, "json", [b"x" * size] * count),
            urgent=urgent,
        )

    def of(self, kind: type[Answer]) -> list[Answer]:
        return [answer for answer in self.answers if isinstance(answer, kind)]

    async def welcomed(self, times: int = 1) -> None:
        await until(lambda: len(self.of(Welcomed)) >= times, what=f"{times} welcomes")


@pytest.fixture
async def rigs() -> AsyncIterator[Callable[..., Rig]]:
    made: list[Rig] = []

    def make(settings: HubSettings = SETTINGS) -> Rig:
        made.append(Rig(settings))
        return made[-1]

    yield make
    for rig in made:
        await rig.pump.stop(0.0)


async def test_an_attach_locates_the_actor_and_data_is_acked(rigs: Callable[..., Rig]) -> None:
    rig = rigs()
    rig.attach()
    await rig.welcomed()
    rig.data(1, 3)
    await until(lambda: rig.of(Acked))
    assert rig.of(Acked) == [Acked("cam", "hub-0/1", 3, 100)]
    assert [type(item) for item in rig.actor.items] == [Attach, Data]


async def test_where_an_actor_has_several_cameras_items_go_together_and_an_alarm_does_not_wait(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs(HubSettings(linger_s=0.2, call_timeout_s=2.0))
    rig.attach()
    rig.attach("other")
    await rig.welcomed(2)
    calls = len(rig.actor.calls)
    for seq in range(1, 6):
        rig.data(seq)
    assert len(rig.actor.calls) == calls
    rig.data(6, urgent=True)
    await until(lambda: rig.actor.last_seq.get("cam") == 6)
    assert [len(call) for call in rig.actor.calls[calls:]] == [6]


async def test_a_lone_camera_s_items_go_at_once_and_those_of_one_turn_together(
    rigs: Callable[..., Rig],
) -> None:
    # no bound of a setting holds here: what lingers at all fails the test
    rig = rigs(HubSettings(linger_s=60.0, call_timeout_s=2.0))
    rig.attach("other")
    rig.attach()
    await rig.welcomed(2)
    rig.pump.put(Detach("other", "hub-0/1", 0, True, "bye"))
    await until(lambda: any(isinstance(item, Detach) for item in rig.actor.items))
    calls = len(rig.actor.calls)
    for seq in (1, 2, 3):
        rig.data(seq)
    await until(lambda: rig.actor.last_seq.get("cam") == 3)
    for seq in (4, 5, 6):
        rig.data(seq)
    await until(lambda: rig.actor.last_seq.get("cam") == 6)
    assert [len(call) for call in rig.actor.calls[calls:]] == [3, 3]


async def test_a_full_link_holds_items_back_in_order_until_it_is_writable(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs()
    rig.attach()
    await rig.welcomed()
    [link] = rig.actor.made
    link.full = True
    calls = len(rig.actor.calls)
    for seq in range(1, 30):
        rig.data(seq, urgent=True)
        await asyncio.sleep(0)
    assert len(rig.actor.calls) == calls
    assert rig.pump.counts.queued_bytes > 0
    link.full = False
    link.user.writable()
    await until(lambda: rig.actor.last_seq.get("cam") == 29)
    firsts = [item.first_seq for item in rig.actor.items if isinstance(item, Data)]
    assert firsts == list(range(1, 30))
    assert rig.pump.counts.queued_bytes == 0


async def test_frames_stay_below_their_bound(rigs: Callable[..., Rig]) -> None:
    rig = rigs()
    rig.attach()
    await rig.welcomed()
    for first in range(1, 41, 4):
        rig.data(first, 4, size=10_000)
    await until(lambda: rig.actor.last_seq.get("cam") == 40)
    assert max(rig.actor.sizes) <= 98_304 + 3
    assert len(rig.actor.sizes) >= 5


async def test_a_lost_actor_is_forgotten_and_every_link_attaches_to_its_successor(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs()
    rig.attach("a")
    rig.attach("b")
    await rig.welcomed(2)
    old, rig.actor = rig.actor, FakeActor("actor-2")
    old.die()
    await rig.welcomed(4)
    assert rig.directory.forgotten == ["actor-1"]
    attaches = [item for item in rig.actor.items if isinstance(item, Attach)]
    assert {attach.camera for attach in attaches} == {"a", "b"}
    assert all(attach.received_us == 7 for attach in attaches)
    rig.data(1, camera="a")
    await until(lambda: rig.actor.last_seq.get("a") == 1)


async def test_an_actor_that_takes_no_link_is_forgotten_and_looked_up_again(
    rigs: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump_module, "BACKOFF_FIRST_S", 0.005)
    rig = rigs()
    rig.actor.dead = True
    rig.attach()
    await until(lambda: len(rig.directory.forgotten) >= 2)
    rig.actor.dead = False
    await rig.welcomed()


async def test_not_owner_routes_that_camera_again_and_leaves_its_neighbours(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs()
    rig.attach("a")
    rig.attach("b")
    await rig.welcomed(2)
    other = FakeActor("actor-2")
    first = rig.actor
    rig.directory.owner = lambda camera: other if camera == "a" else first
    first.override = lambda item: (
        [Dismissed("a", "hub-0/1", NOT_OWNER, "moved")]
        if item.camera == "a" and not isinstance(item, Detach)
        else None
    )
    rig.data(1, camera="a")
    await rig.welcomed(3)
    rig.data(1, camera="a")
    rig.data(1, camera="b")
    await until(lambda: other.last_seq.get("a") == 1 and first.last_seq.get("b") == 1)
    assert rig.of(Dismissed) == []


async def test_a_camera_that_cannot_be_located_is_tried_again(
    rigs: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump_module, "BACKOFF_FIRST_S", 0.005)
    rig = rigs()
    rig.directory.away = True
    rig.attach()
    await until(lambda: len(rig.directory.lookups) >= 3)
    rig.directory.away = False
    await rig.welcomed()


async def test_a_full_queue_drops_data_and_attaches_again_when_there_is_room(
    rigs: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actor_queue, "MAX_QUEUE_ITEMS", 4)
    rig = rigs(HubSettings(linger_s=0.05, call_timeout_s=2.0))
    rig.attach()
    await rig.welcomed()
    for seq in range(1, 9):
        rig.data(seq)
    assert rig.pump.counts.dropped == 4
    await rig.welcomed(2)
    again = rig.of(Welcomed)[-1]
    assert isinstance(again, Welcomed)
    assert again.resume_from == 5


async def test_after_a_detach_the_camera_and_its_actor_are_forgotten(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs()
    rig.attach()
    await rig.welcomed()
    rig.pump.put(Detach("cam", "hub-0/1", 0, True, "bye"))
    await until(lambda: any(isinstance(item, Detach) for item in rig.actor.items))
    await until(lambda: rig.actor.linked_hubs == [])
    rig.data(1)
    assert not [item for item in rig.actor.items if isinstance(item, Data)]


async def test_stopping_sends_what_is_queued(rigs: Callable[..., Rig]) -> None:
    rig = rigs(HubSettings(linger_s=0.5, call_timeout_s=2.0))
    rig.attach()
    await rig.welcomed()
    rig.data(1)
    rig.pump.put(Detach("cam", "hub-0/1", 0, False, "stopping"), urgent=False)
    await rig.pump.stop(2.0)
    kinds: list[type[Item]] = [type(item) for item in rig.actor.items]
    assert kinds == [Attach, Data, Detach]
