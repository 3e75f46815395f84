"""What a camera core derives from observations that nothing disturbed: the model that a run under
faults is compared with (pure)."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from actors.core.camera import core, snapshot
from actors.core.camera.core import CameraCore
from actors.core.messages.commits import Activation, Position
from actors.core.messages.deliveries import Attach, Data, DeclareGap
from actors.core.messages.events import CHAIN_START
from actors.core.messages.personal import comparable
from actors.core.settings import CameraSettings

BATCH = 256  # observations in one step
_SETTINGS = CameraSettings(mailbox_items=100_000, process_items=100_000, mailbox_bytes=2**31)

Key = tuple[Any, ...]


class SessionItems(msgspec.Struct):
    """The items of one session that count: all up to `upto`. `items`: seq → (encoding, body);
    `gaps`: (first, last, reason)."""

    name: str
    upto: int = 0
    items: dict[int, tuple[str, bytes]] = {}
    gaps: list[tuple[int, int, str]] = []


class Folded(msgspec.Struct):
    """`events`: key → capture times (a key may come more than once); `letters`: (session, seq) of
    what could not be applied."""

    events: dict[Key, Counter[str]]
    counts: dict[str, dict[str, int]]
    occupancy: dict[str, dict[str, int]]
    letters: set[tuple[str, int]]


def derived_key(event: Mapping[str, Any]) -> Key:
    """What identifies a derived event, its time and its personal values excepted."""
    event = comparable(event)
    names = ("type", "track", "zone", "line", "label", "session", "seq")
    return (
        *(event.get(name) for name in names),
        msgspec.json.encode(event.get("data"), order="sorted"),
    )


def is_derived(event_type: str) -> bool:
    """Whether events of this type follow from observations alone."""
    return not event_type.startswith(("camera.", "stream."))


def fold(camera: str, scene: bytes, sessions: Sequence[SessionItems]) -> Folded:
    """Fold `sessions`, in their order, through a core of its own. What is in no session and no gap
    is passed over as a gap."""
    activation = Activation(
        camera, "fold", 1, Position("", 0, "e1", 0, CHAIN_START), None, scene, 1
    )
    one = core.restore(activation, owner="fold", settings=_SETTINGS, now_us=0)
    found = Folded({}, {}, {}, set())
    row = None
    for session in sessions:
        opens = core.step(one, [Attach(camera, "fold/1", session.name, 1, 0)], 0).opens
        row = _commit(one, found) or row
        if opens is not None:
            core.session_opened(one, opens, "opened", 0)
        for item in _items(camera, session):
            core.step(one, [item], 0)
            row = _commit(one, found) or row
    row = _commit(one, found) or row
    if row is not None:
        totals = snapshot.totals(row)
        found.counts, found.occupancy = totals.counts, totals.occupancy
    return found


def _items(camera: str, session: SessionItems) -> Iterable[Data | DeclareGap]:
    seq = 1
    reasons = {first: (last, reason) for first, last, reason in session.gaps}
    while seq <= session.upto:
        gap = reasons.get(seq)
        if gap is None and seq not in session.items:
            after = min((s for s in session.items if s > seq), default=session.upto + 1)
            gap = (min(after - 1, session.upto), "not sent")
        if gap is not None:
            yield DeclareGap(
                camera, "fold/1", session.name, seq, min(gap[0], session.upto), gap[1], 0
            )
            seq = gap[0] + 1
            continue
        form = session.items[seq][0]
        last = seq
        while (
            last < session.upto
            and last - seq + 1 < BATCH
            and last + 1 not in reasons
            and session.items.get(last + 1, ("",))[0] == form
        ):
            last += 1
        yield Data(
            camera,
            "fold/1",
            session.name,
            seq,
            0,
            form,
            [session.items[s][1] for s in range(seq, last + 1)],
        )
        seq = last + 1


def _commit(one: CameraCore, found: Folded) -> bytes | None:
    row = core.pending_commit(one)
    if row is None:
        return None
    for stored in row.events:
        event = msgspec.json.decode(stored.body)
        if is_derived(event["type"]):
            found.events.setdefault(derived_key(event), Counter())[event["time"]] += 1
    found.letters.update((letter.session, letter.seq) for letter in row.dead_letters)
    core.committed(one, row, 0)
    return row.snapshot
