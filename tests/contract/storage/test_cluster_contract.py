"""`storage.ports.cluster.ClusterStore`: the double and PostgreSQL."""

import asyncio
from typing import Any

import pytest

from actors.core.errors import Conflict, Unavailable
from storage.ports.cluster import (
    ClusterDecision,
    Cordon,
    Density,
    RequestedOperation,
    Scale,
    TroubleRecord,
    WantedShape,
)
from tests.support.servers.store_fixtures import Contract


async def no_record(_connection: Any) -> None:
    raise Unavailable("the audit log cannot be written")


def asked(id: str, **changes: Any) -> RequestedOperation:
    return RequestedOperation(
        **{
            "id": id,
            "kind": "move",
            "target": "cam-1",
            "params": {"to": "n1"},
            "who": "ann",
            **changes,
        }
    )


async def test_the_shape_is_changed_under_its_version(contract: Contract) -> None:
    cluster = contract.cluster
    assert (await cluster.orders()).wanted is None
    wanted = WantedShape(
        Scale(3, 1, 5, True), Scale(2, 1, 2), Density(4, {"north": 16}, adaptive=True)
    )
    assert await cluster.want(wanted, expected=7, who="ann") is None
    assert await cluster.want(wanted, expected=0, who="ann") == 1
    assert await cluster.want(WantedShape(), expected=0, who="eve") is None
    both = await asyncio.gather(*(cluster.want(wanted, expected=1, who="ann") for _ in range(2)))
    assert sorted(both, key=str) == [2, None]
    found = (await cluster.orders()).wanted
    assert found is not None
    assert (found.version, found.wanted, found.who) == (2, wanted, "ann")
    assert (found.wanted.density.of("north"), found.wanted.density.of("south")) == (16, 4)


async def test_nothing_changes_without_its_record(contract: Contract) -> None:
    cluster = contract.cluster
    await contract.registry.register("cam-1", "north")
    await cluster.ask(asked("op-1"))
    for change in (
        lambda: cluster.want(WantedShape(), expected=0, who="ann", audit=no_record),
        lambda: cluster.cordon("n1", reason="", who="ann", audit=no_record),
        lambda: cluster.order("camera", "cam-1", paused=True, who="ann", audit=no_record),
        lambda: cluster.quarantine("cam-1", reason="", who="ann", audit=no_record),
        lambda: cluster.ask(asked("op-2"), audit=no_record),
        lambda: cluster.cancel("op-1", who="ann", audit=no_record),
    ):
        with pytest.raises(Unavailable):
            await change()
    orders = await cluster.orders()
    assert (orders.wanted, orders.cordons, orders.orders, orders.troubles) == (None, [], [], [])
    assert [(operation.id, operation.state) for operation in await cluster.operations()] == [
        ("op-1", "waiting")
    ]


async def test_cordons(contract: Contract) -> None:
    cluster = contract.cluster
    assert await cluster.cordon("n1", reason="new memory", who="ann")
    assert not await cluster.cordon("n1", reason="again", who="eve")
    (cordon,) = (await cluster.orders()).cordons
    assert cordon == Cordon("n1", "new memory", "ann", cordon.since_us)
    assert cordon.since_us > 0
    assert await cluster.uncordon("n1")
    assert not await cluster.uncordon("n1")


async def test_orders_keep_what_is_not_named(contract: Contract) -> None:
    cluster = contract.cluster
    await cluster.order("camera", "cam-1", paused=True, reason="cleaning", who="ann")
    both = await cluster.order("camera", "cam-1", alone=True, node="n1", who="bob")
    assert (both.paused, both.alone, both.node, both.who) == (True, True, "n1", "bob")
    await cluster.order("site", "north", paused=True, who="ann")
    assert [(order.kind, order.id) for order in (await cluster.orders()).orders] == [
        ("camera", "cam-1"),
        ("site", "north"),
    ]
    nothing = await cluster.order("camera", "cam-1", paused=False, alone=False, node="", who="ann")
    assert nothing.empty
    assert [order.kind for order in (await cluster.orders()).orders] == ["site"]


async def test_who_quarantined_by_hand_is_released_by_hand(contract: Contract) -> None:
    cluster = contract.cluster
    for camera in ("cam-1", "cam-2"):
        await contract.registry.register(camera, "north")
    assert not await cluster.quarantine("nobody", reason="", who="ann")
    assert not await cluster.release("cam-1")
    await cluster.note_troubles(
        [TroubleRecord("cam-2", 3, 5, False, "it crashed"), TroubleRecord("nobody", 1)]
    )
    assert await cluster.quarantine("cam-1", reason="it smokes", who="ann")
    await cluster.note_troubles(
        [
            TroubleRecord("cam-1", 1, 9, False, "it crashed"),
            TroubleRecord("cam-2", 8, 2, True, "again"),
        ]
    )
    one, two = (await cluster.orders()).troubles
    assert (one.camera, one.quarantined, one.reason, one.who, one.failures) == (
        "cam-1",
        True,
        "it smokes",
        "ann",
        0,
    )
    assert (two.camera, two.quarantined, two.reason, two.who, two.failures, two.restarts) == (
        "cam-2",
        True,
        "again",
        "",
        8,
        5,
    )
    for camera in ("cam-1", "cam-2"):
        assert await cluster.release(camera)
        assert not await cluster.release(camera)
    assert [(t.quarantined, t.failures, t.who) for t in (await cluster.orders()).troubles] == [
        (False, 0, ""),
        (False, 0, ""),
    ]
    await cluster.note_troubles([TroubleRecord("cam-1", 1, 9, False, "it crashed")])
    assert (await cluster.orders()).troubles[0].failures == 1


async def test_who_has_a_process_of_its_own_for_its_failures_keeps_it_until_it_is_released(
    contract: Contract,
) -> None:
    cluster = contract.cluster
    await contract.registry.register("cam-1", "north")
    await cluster.note_troubles([TroubleRecord("cam-1", 0, 2, False, "it crashed", alone=True)])
    assert (await cluster.orders()).troubles[0].alone
    assert await cluster.release("cam-1")
    assert not (await cluster.orders()).troubles[0].alone
    assert not await cluster.release("cam-1")


async def test_an_operation_goes_on_once(contract: Contract) -> None:
    cluster = contract.cluster
    operation, new = await cluster.ask(asked("op-1", token="t1"))
    assert (new, operation.state, operation.params, operation.finished_us) == (
        True,
        "waiting",
        {"to": "n1"},
        None,
    )
    assert not await cluster.progress("op-1", done=1, total=2)
    assert await asyncio.gather(
        *(cluster.begin("op-1", total=2, detail="begins") for _ in range(2))
    ) in ([True, False], [False, True])
    assert await cluster.progress("op-1", done=1, total=3, detail="half", figures={"moved": 1.0})
    (running,) = await cluster.open_operations()
    assert (running.state, running.done, running.total, running.detail, running.figures) == (
        "running",
        1,
        3,
        "half",
        {"moved": 1.0},
    )
    assert await cluster.finish("op-1", "done", detail="all", figures={"interruption_p99_s": 0.25})
    assert not await cluster.finish("op-1", "failed")
    assert not await cluster.cancel("op-1", who="ann")
    over = await cluster.operation("op-1")
    assert over is not None
    assert over.over
    assert (over.figures, over.detail) == ({"moved": 1.0, "interruption_p99_s": 0.25}, "all")
    assert over.finished_us is not None
    assert await cluster.open_operations() == []


async def test_a_cancelled_operation_takes_no_more_progress(contract: Contract) -> None:
    cluster = contract.cluster
    await cluster.ask(asked("op-1"))
    await cluster.begin("op-1", total=2)
    assert await cluster.cancel("op-1", who="bob")
    assert not await cluster.progress("op-1", done=1, total=2)
    found = await cluster.operation("op-1")
    assert found is not None
    assert (found.state, found.detail) == ("cancelled", "cancelled by bob")


async def test_the_same_key_asks_once(contract: Contract) -> None:
    cluster = contract.cluster
    first, new = await cluster.ask(asked("op-1", key="k", request=b"a"))
    assert [await cluster.remembers(first.who, key) for key in ("k", "other")] == [True, False]
    again, fresh = await cluster.ask(asked("op-2", key="k", request=b"a"))
    assert (new, fresh, again.id) == (True, False, first.id)
    with pytest.raises(Conflict):
        await cluster.ask(asked("op-3", key="k", request=b"b"))
    await cluster.ask(asked("op-4", key="k", request=b"b", who="bob"))
    await cluster.ask(asked("op-5"))
    await cluster.ask(asked("op-6"))
    listed = await cluster.operations(limit=2)
    assert [operation.id for operation in listed] == ["op-6", "op-5"]
    assert [operation.id for operation in await cluster.operations(before=listed[-1].number)] == [
        "op-4",
        "op-1",
    ]
    await cluster.cancel("op-5", who="ann")
    assert [operation.id for operation in await cluster.operations(state="cancelled")] == ["op-5"]


async def test_decisions_are_told_and_bounded(contract: Contract) -> None:
    cluster = contract.cluster
    await cluster.decided(
        [
            ClusterDecision("camera:a", "placed", "the first"),
            ClusterDecision("camera:b", "placed"),
            ClusterDecision("camera:a", "moved"),
        ]
    )
    assert [(d.subject, d.what) for d in await cluster.decisions(limit=2)] == [
        ("camera:a", "moved"),
        ("camera:b", "placed"),
    ]
    of_a = await cluster.decisions(subject="camera:a")
    assert [d.what for d in of_a] == ["moved", "placed"]
    assert [d.why for d in await cluster.decisions(subject="camera:a", before=of_a[0].number)] == [
        "the first"
    ]
    await cluster.ask(asked("op-1"))
    await cluster.ask(asked("op-2"))
    await cluster.cancel("op-1", who="ann")
    assert await cluster.forget(keep_operations=1, keep_decisions=1) == 3
    assert [operation.id for operation in await cluster.operations()] == ["op-2"]
    assert [d.what for d in await cluster.decisions()] == ["moved"]
