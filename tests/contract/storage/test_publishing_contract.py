"""`storage.ports.live.Publisher` and `Broker`: the doubles and Redis."""

import asyncio

import pytest

from actors.core.errors import Fenced
from storage.ports.live import BrokerMessage, LiveEvent, LiveState, LiveSummary
from tests.support.servers.store_fixtures import Contract


def state(
    camera: str = "cam-1", generation: int = 1, version: int = 1, *, site: str = "site"
) -> LiveState:
    return LiveState(site, camera, generation, version, 0, f'{{"version":{version}}}'.encode())


def event(
    offset: int,
    camera: str = "cam-1",
    generation: int = 1,
    *,
    epoch: str = "e1",
    site: str = "site",
) -> LiveEvent:
    return LiveEvent(site, camera, generation, epoch, offset, f'{{"offset":{offset}}}'.encode())


async def received(contract: Contract, count: int) -> list[BrokerMessage]:
    found: list[BrokerMessage] = []
    async with asyncio.timeout(30):
        async for publication in contract.broker.run():
            found.append(publication)
            if len(found) == count:
                break
    return found


async def test_a_state_reaches_its_watchers_and_is_kept(contract: Contract) -> None:
    await contract.broker.watch([], [("site", "cam-1")])
    assert await contract.publisher.publish([state("cam-2"), state()], [], {}, {}) == set()
    (seen,) = await received(contract, 1)
    assert (seen.kind, seen.site, seen.camera, seen.generation, seen.version, seen.body) == (
        "state",
        "site",
        "cam-1",
        1,
        1,
        b'{"version":1}',
    )
    assert await contract.broker.state("site", "cam-1") == state()
    assert await contract.broker.state("site", "unknown") is None


async def test_the_publisher_hears_whose_state_reached_nobody(contract: Contract) -> None:
    await contract.broker.watch([], [("site", "cam-1")])
    states = [state("cam-2"), state(), state("cam-3", site="elsewhere")]
    unheard: set[str] = set()
    assert await contract.publisher.publish(states, [event(1)], {}, {}, unheard=unheard) == set()
    assert unheard == {"cam-2", "cam-3"}
    await contract.publisher.raise_fences([("site", "cam-2", 7)])
    behind, unheard = [state("cam-2", version=2), state(version=2)], set()
    assert await contract.publisher.publish(behind, [], {}, {}, unheard=unheard) == {"cam-2"}
    assert unheard == set()


async def test_an_older_state_is_never_shown(contract: Contract) -> None:
    await contract.broker.watch([], [("site", "cam-1")])
    for generation, version in ((1, 2), (1, 2), (1, 1), (2, 1), (2, 2)):
        assert (
            await contract.publisher.publish(
                [state(generation=generation, version=version)], [], {}, {}
            )
            == set()
        )
    assert [(p.generation, p.version) for p in await received(contract, 3)] == [
        (1, 2),
        (2, 1),
        (2, 2),
    ]


async def test_a_lower_generation_is_refused_in_every_lane(contract: Contract) -> None:
    await contract.publisher.raise_fences([("site", "cam-1", 5), ("site", "cam-2", 1)])
    await contract.broker.watch(["site"], [("site", "cam-1"), ("site", "cam-2")])
    entries = {"site": [LiveSummary("cam-1", 4, 1, 1, b"{}"), LiveSummary("cam-2", 1, 1, 1, b"{}")]}
    publish = contract.publisher.publish
    assert await publish([state(generation=4)], [], {}, {}) == {"cam-1"}
    assert await publish([], [event(1, generation=4), event(1, "cam-2")], {}, {}) == {"cam-1"}
    assert await publish([], [], entries, {}) == {"cam-1"}
    assert await publish([], [], {}, entries) == {"cam-1"}
    assert await publish([], [], {}, {"site": entries["site"][:1]}) == {"cam-1"}, (
        "a message without entries is not sent"
    )
    seen = await received(contract, 3)
    assert [p.kind for p in seen] == ["event", "summaries", "heartbeat"]
    assert {p.camera for p in seen if p.camera} | {e.camera for p in seen for e in p.entries} == {
        "cam-2"
    }
    assert await contract.broker.state("site", "cam-1") is None
    assert [e.camera for e in await contract.broker.summaries("site")] == ["cam-2"]


async def test_operations_of_the_cluster_reach_who_watches_them_and_the_last_ones_are_kept(
    contract: Contract,
) -> None:
    assert await contract.broker.operations() == b""
    await contract.publisher.show_operations(b"[1]")
    await contract.broker.watch_operations()
    await contract.broker.watch_operations()
    assert await contract.broker.operations() == b"[1]"
    await contract.publisher.show_operations(b"[2]")
    (seen,) = await received(contract, 1)
    assert (seen.kind, seen.body) == ("operations", b"[2]")
    assert await contract.broker.operations() == b"[2]"


async def test_fences_only_rise(contract: Contract) -> None:
    await contract.publisher.raise_fences([("site", "cam-1", 5)])
    await contract.publisher.raise_fences([("site", "cam-1", 5)])
    with pytest.raises(Fenced):
        await contract.publisher.raise_fences([("site", "cam-1", 4), ("site", "cam-2", 2)])
    assert await contract.publisher.fences(
        [("site", "cam-1"), ("site", "cam-2"), ("other", "cam-3")]
    ) == {"cam-1": 5, "cam-2": 2}


async def test_what_passes_raises_a_lost_fence(contract: Contract) -> None:
    await contract.publisher.publish([state(generation=7)], [], {}, {})
    assert await contract.publisher.fences([("site", "cam-1")]) == {"cam-1": 7}


async def test_events_are_shown_once_and_numbered_by_site(contract: Contract) -> None:
    await contract.broker.watch(["site"], [])
    publish = contract.publisher.publish
    assert await publish([], [event(1), event(2), event(1, "cam-2")], {}, {}) == set()
    assert await publish([], [event(1), event(2), event(3)], {}, {}) == set(), "a repeated call"
    seen = await received(contract, 4)
    assert [(p.camera, p.epoch, p.offset, p.stream_offset) for p in seen] == [
        ("cam-1", "e1", 1, 1),
        ("cam-1", "e1", 2, 2),
        ("cam-2", "e1", 1, 3),
        ("cam-1", "e1", 3, 4),
    ]
    assert len({p.stream_epoch for p in seen}) == 1
    assert await contract.publisher.published_marks(
        [("site", "cam-1"), ("site", "cam-2"), ("site", "cam-3"), ("other", "cam-1")]
    ) == {
        "cam-1": ("e1", 3),
        "cam-2": ("e1", 1),
    }
    assert await contract.broker.history("site", None, 0, 10) == (seen[0].stream_epoch, 4, seen)
    assert await contract.broker.history("site", None, 2, 1) == (seen[0].stream_epoch, 4, seen[2:3])
    assert await contract.broker.history("site", "cam-1", 1, 10) == ("e1", 3, [seen[1], seen[3]])
    assert await contract.broker.history("site", "unknown", 0, 10) == ("", 0, [])
    assert await contract.broker.history("elsewhere", None, 0, 10) == ("", 0, [])


async def test_a_hole_after_the_mark_is_refused(contract: Contract) -> None:
    publish = contract.publisher.publish
    await publish([], [event(1)], {}, {})
    assert await publish([], [event(3), event(2, "cam-2")], {}, {}) == {"cam-1"}, (
        "a camera without a mark begins where it is"
    )
    assert await publish([], [event(2), event(3)], {}, {}) == set()
    assert await publish([], [event(2, epoch="e2")], {}, {}) == {"cam-1"}, "a new epoch begins at 1"
    assert await contract.publisher.published_marks([("site", "cam-1"), ("site", "cam-2")]) == {
        "cam-1": ("e1", 3),
        "cam-2": ("e1", 2),
    }


async def test_a_new_epoch_of_a_camera_begins_its_stream_anew(contract: Contract) -> None:
    publish = contract.publisher.publish
    await publish([], [event(1), event(2)], {}, {})
    before = await contract.broker.history("site", None, 0, 10)
    assert await publish([], [event(1, epoch="e2")], {}, {}) == set()
    epoch, top, events = await contract.broker.history("site", "cam-1", 0, 10)
    assert (epoch, top, [(p.epoch, p.offset) for p in events]) == ("e2", 1, [("e2", 1)])
    assert (await contract.broker.history("site", None, 0, 10))[:2] == (before[0], 3), (
        "the site's numbering goes on"
    )


async def test_a_lost_mark_is_set_without_replay_and_renews_the_site(contract: Contract) -> None:
    await contract.publisher.publish([], [event(1, "cam-2")], {}, {})
    before = (await contract.broker.history("site", None, 0, 10))[0]
    await contract.publisher.set_marks([("site", "cam-1", 1, "e1", 41)])
    epoch, top, events = await contract.broker.history("site", None, 0, 10)
    assert (top, events) == (0, [])
    assert epoch not in ("", before)
    await contract.publisher.set_marks([("site", "cam-1", 1, "e1", 41)])
    assert (await contract.broker.history("site", None, 0, 10))[0] == epoch, "a repeated call"
    assert await contract.publisher.publish([], [event(41), event(42)], {}, {}) == set()
    assert [p.offset for p in (await contract.broker.history("site", "cam-1", 0, 10))[2]] == [42]
    with pytest.raises(Fenced):
        await contract.publisher.set_marks([("site", "cam-1", 0, "e1", 1)])


async def test_the_mark_of_a_camera_without_events_leaves_the_site_alone(
    contract: Contract,
) -> None:
    await contract.publisher.publish([], [event(1, "cam-2")], {}, {})
    before = await contract.broker.history("site", None, 0, 10)
    await contract.publisher.set_marks([("site", "cam-1", 1, "e1", 0)])
    assert await contract.broker.history("site", None, 0, 10) == before
    assert await contract.publisher.published_marks([("site", "cam-1")]) == {"cam-1": ("e1", 0)}


async def test_large_batches_over_several_sites(contract: Contract) -> None:
    names = [f"cam-{n:03d}" for n in range(150)]
    sites = ["site-1", "site-2"]
    await contract.broker.watch(sites, [(site, name) for site in sites for name in names])
    states = [LiveState(site, name, 1, 1, 1, b"{}") for site in sites for name in names]
    events = [
        LiveEvent(site, name, 1, "e1", n, b"{}") for site in sites for name in names for n in (1, 2)
    ]
    summaries = {site: [LiveSummary(name, 1, 1, 1, b"{}") for name in names] for site in sites}
    assert await contract.publisher.publish(states, events, summaries, {}) == set()
    for site in sites:
        assert (await contract.broker.history(site, None, 0, 1000))[1] == 300
        assert [e.camera for e in await contract.broker.summaries(site)] == names
    counts: dict[str, int] = {"state": 0, "event": 0, "summaries": 0}
    async with asyncio.timeout(30):
        async for publication in contract.broker.run():
            counts[publication.kind] += len(publication.entries) or 1
            if sum(counts.values()) == 300 + 600 + 300:
                break
    assert counts == {"state": 300, "event": 600, "summaries": 300}


async def test_nothing_to_publish_is_nothing(contract: Contract) -> None:
    assert await contract.publisher.publish([], [], {}, {}) == set()
    assert await contract.publisher.published_marks([]) == {}
    await contract.publisher.set_marks([])
    await contract.publisher.raise_fences([])


async def test_unwatched_channels_fall_silent(contract: Contract) -> None:
    await contract.broker.watch(["site"], [("site", "cam-1"), ("site", "cam-2")])
    await contract.broker.unwatch(["site"], [("site", "cam-1")])
    await contract.broker.watch([], [("site", "cam-2")])
    await contract.publisher.publish([state(), state("cam-2")], [event(1)], {}, {})
    assert [p.camera for p in await received(contract, 1)] == ["cam-2"]
    await contract.broker.watch([], [("site", "cam-1")])
    await contract.publisher.publish([state(version=2)], [], {}, {})
    assert [p.camera for p in await received(contract, 1)] == ["cam-1"]


async def test_what_a_hub_sends_to_itself_comes_back_to_it(contract: Contract) -> None:
    await contract.broker.echo("hub-0.abc", b"first")
    await contract.broker.echo("hub-0.abc", b"second")
    back = await received(contract, 2)
    assert [(publication.kind, publication.site, publication.body) for publication in back] == [
        ("canary", "hub-0.abc", b"first"),
        ("canary", "hub-0.abc", b"second"),
    ]


async def test_a_hub_is_told_by_name_and_a_name_nobody_has_is_noticed(contract: Contract) -> None:
    await contract.broker.echo("hub-1.abc", b"here I am")
    assert (await received(contract, 1))[0].body == b"here I am"
    assert await contract.broker.send("hub-1.abc", b"for you")
    assert [(p.kind, p.site, p.body) for p in await received(contract, 1)] == [
        ("canary", "hub-1.abc", b"for you")
    ]
    assert not await contract.broker.send("hub-2.abc", b"for nobody")


async def test_a_site_is_numbered_from_when_somebody_begins(contract: Contract) -> None:
    assert await contract.broker.history("site", None, 0, 10) == ("", 0, []), "reading begins none"
    assert await contract.broker.history("site", "cam-1", 0, 10, begin=True) == ("", 0, [])
    epoch, top, events = await contract.broker.history("site", None, 0, 10, begin=True)
    assert epoch
    assert (top, events) == (0, [])
    assert (await contract.broker.history("site", None, 0, 10, begin=True))[0] == epoch
    await contract.publisher.publish([], [event(1)], {}, {})
    found = await contract.broker.history("site", None, 0, 10, begin=True)
    assert (found[0], found[1], [p.offset for p in found[2]]) == (epoch, 1, [1])


async def test_an_event_comes_before_the_state_that_folds_it_in(contract: Contract) -> None:
    """Given together, in whatever order the sites and cameras stand."""
    await contract.broker.watch(["site"], [("site", "cam-1"), ("site", "cam-2")])
    states = [state("cam-2"), state("cam-1")]
    events = [event(1, "cam-1"), event(1, "cam-2")]
    assert await contract.publisher.publish(states, events, {}, {}) == set()
    kinds = [seen.kind for seen in await received(contract, 4)]
    assert kinds == ["event", "event", "state", "state"]
