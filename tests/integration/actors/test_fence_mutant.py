"""I4: a commit that does not ask for owner and generation lets a stale incarnation write,
and the checker says so."""

from collections.abc import Awaitable, Callable, Sequence

import msgspec
import pytest

from actors.core.messages.commits import CommitRow
from actors.core.messages.deliveries import Acked, Welcomed
from actors.core.settings import Settings
from load_tests.checker.checker import check
from load_tests.checker.stored import install_witness, read_back
from load_tests.checker.violations import Violation
from storage.ports.cameras import CameraStore
from storage.stores import Stores
from tests.support.camera_rig import Process
from tests.support.waiting import until

Begin = Callable[[Sequence[str]], Awaitable[Process]]


def unfenced(store: CameraStore) -> Callable[[Sequence[CommitRow]], Awaitable[set[str]]]:
    """A commit that takes every row for one of the owner of now, as a statement without the fence
    would."""
    kept = store.commit

    async def commit(rows: Sequence[CommitRow]) -> set[str]:
        held = await store.ownership([row.camera for row in rows])
        return await kept(
            [
                msgspec.structs.replace(
                    row, owner=held[row.camera].owner, generation=held[row.camera].generation
                )
                for row in rows
            ]
        )

    return commit


async def nothing_refused(*_: object) -> set[str]:
    """Publishing into the void."""
    return set()


async def a_zombie_writes(
    begin: Begin,
    settings: Settings,
    camera: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    fenced: bool,
) -> tuple[list[Violation], int]:
    """A replaced incarnation goes on with what it has; the violations of I4, and the seq it got
    acked."""
    await install_witness(settings.postgres)
    old = await begin([camera])
    old.attach(camera)
    await old.has(Welcomed)
    old.data(camera, range(1, 11))
    await old.acked(camera, 10)
    # Redis would tell it as well: it is cut off from there, so that PostgreSQL alone decides.
    monkeypatch.setattr(old.stores.publisher, "publish", nothing_refused)
    new = await begin([camera])
    if not fenced:
        store = old.stores.cameras
        monkeypatch.setattr(store, "commit", unfenced(store))
    old.data(camera, range(11, 31))

    def settled() -> bool:
        counts = old.actor._commits.counts
        return counts["not_moved"] > 0 or max(ack.seq for ack in old.of(Acked)) > 10

    await until(settled, what="the fate of the stale commit")
    assert new.actor.name != old.actor.name
    found = check([], await read_back(settings.postgres, [camera]))
    return [violation for violation in found if violation.invariant == "I4"], max(
        ack.seq for ack in old.of(Acked)
    )


async def test_the_fence_holds_a_stale_incarnation_off(
    begin: Begin,
    stores: Stores,
    settings: Settings,
    camera: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert await a_zombie_writes(begin, settings, camera, monkeypatch, fenced=True) == ([], 10)


async def test_a_commit_without_the_fence_is_caught(
    begin: Begin,
    stores: Stores,
    settings: Settings,
    camera: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, acked = await a_zombie_writes(begin, settings, camera, monkeypatch, fenced=False)
    assert acked > 10, "the broken statement did not write: nothing was proven"
    assert any("its owner is" in violation.detail for violation in found)


async def test_an_incarnation_that_was_written_off_leaves_its_cameras_and_ends_itself(
    begin: Begin, stores: Stores, camera: str
) -> None:
    process = await begin([camera])
    ended: list[str] = []
    process.actor._written_off = ended.append
    await stores.actors.remove(process.actor.name)
    await until(lambda: bool(ended), what="the end of the process")
    assert process.actor.describe()["hosted"] == {}
