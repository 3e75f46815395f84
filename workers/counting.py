"""The job that adds events up to counts, and drops buckets that are too fine for their age.

What it does stands in PostgreSQL after each slice, cursor and counts together, so it may be stopped
anywhere, and run twice at once.
"""

from storage.ports.background.counts import CountSlice, CountStore, Step
from storage.ports.background.jobs import Values
from workers.kinds import RunningJob

CAMERAS, EVENTS = 50, 500  # of one statement
KEPT_DAYS: dict[Step, float] = {"minute": 31.0, "hour": 400.0}  # days stay
BUCKETS = 1_000  # deleted by one statement


async def fold_counts(
    job: RunningJob, store: CountStore, *, cameras: int = CAMERAS, events: int = EVENTS
) -> Values:
    """Every camera up to where it is when it is looked at; how many events that were."""
    counted, after = 0, ""
    while found := await store.fold(after, cameras=cameras, events=events):
        after = found[-1].camera
        while found:
            counted += sum(one.events for one in found if one.moved)
            await job.note({"done": counted, "camera": after})
            found = await _again(store, found, events)
    return {"events": counted, "forgotten": await _forget(store)}


async def _again(store: CountStore, found: list[CountSlice], events: int) -> list[CountSlice]:
    """The next slices of those that have more. Who was faster goes on with what it moved."""
    more = [one.camera for one in found if one.moved and one.more]
    holes = [one.camera for one in found if one.holes]
    done: list[CountSlice] = []
    for only, everywhere in ((more, False), (holes, True)):
        if only:
            done += await store.fold(
                "", cameras=len(only), events=events, only=only, everywhere=everywhere
            )
    return done


async def _forget(store: CountStore) -> int:
    gone = 0
    for step, days in KEPT_DAYS.items():
        while went := await store.forget(step, days, BUCKETS):
            gone += went
    return gone
