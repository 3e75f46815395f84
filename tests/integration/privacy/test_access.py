"""Requests for access on real stores."""

from privacy.access_bundle import bundled
from storage.ports.privacy import NewRequest
from tests.support.privacy.rig import EVERYTHING, FIRST, Rig, no_audit


async def test_one_persons_events_are_read_by_their_places_and_the_request_ends_once(
    rig: Rig,
) -> None:
    found = await rig.requests.search(EVERYTHING, frozenset({"qxplant1"}))
    id = "a" * 32
    new = NewRequest(id, "access", EVERYTHING, False, found.places, "a test", "ann", 86_400.0)
    await rig.requests.ask(new, audit=no_audit)
    places = await rig.requests.places(id)
    at = places[0]
    assert {(one.camera, one.epoch, one.offset) for one in places} == {
        (at.camera, at.epoch, at.offset)
    }
    (row,) = await rig.events.after(at.camera, at.epoch, at.offset - 1, 1)
    shown = bundled(row, {one.path for one in places}).event
    assert shown["data"]["data"]["plate"] == FIRST["plate"]
    assert str(FIRST["name"]) not in str(shown), "who asked by the plate alone gets no name"
    assert await rig.requests.answer(id, audit=no_audit)
    assert not await rig.requests.answer(id, audit=no_audit)
    assert (await rig.request(id)).state == "done"
    erasure = await rig.asked("QX-PLANT-2", id="b" * 32)
    assert not await rig.requests.answer(erasure, audit=no_audit)
