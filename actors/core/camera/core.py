"""The camera core: values in, effects out. The shell (`actors.camera_actor`) carries the effects
out and decides nothing.

How a shell uses it, per camera::

    core = restore(activation, owner=..., settings=..., now_us=...)      # after every activation;
    snapshot None is a fresh camera effects = step(core, items, now_us)
    # mutates `core`, at once, never waits row = pending_commit(core)
    # None: nothing to write, or one is in flight already ... store.commit([row, rows of other
    cameras]) ... answers = committed(core, row, now_us)                               # only when
    the store says that this row moved shown = live_state(core, version, now_us)
    # (state JSON, summary JSON), or None: show nothing now

* `step` mutates the core it is given. After an unknown commit outcome, a row that did not move or
  an exception, throw the core away and `restore` from a fresh activation: everything not committed
  comes again from the edge.
* One commit is in flight per camera; stepping goes on meanwhile. `Effects.urgent`: events, alarms
  or dead letters wait, commit at once; otherwise within `commit_interval_s`.
* `Effects.opens`: a session that this core has not seen. The shell (1) finishes the commit in
  flight and commits `pending_commit` until it is None, (2) awaits `store.open_session(camera,
  owner, generation, session)`, (3) calls `session_opened` with the outcome and handles its effects
  like those of a step (there may be a next `opens`). Until then the core applies nothing: data is
  asked for again later.
* Answers of `step` and `session_opened` are due at once (welcome, resync, dismissed, acks of
  duplicates); acks of new observations and `Refused` come from `committed`.
* Events of the row (`row.events`) are published after the commit, then the state.
* `restore` may itself leave something to commit (tracks of a superseded session, a changed scene):
  ask `pending_commit` after it.

Nothing here reads a clock. Liveness, hole timeouts and health look at `now_us` (`clock_stepped`
when its clock was set); whatever is derived from observations (tracks, zones, lines, dwell, counts,
occupancy) depends on their order and capture times alone, so a killed and resumed run derives the
same events.
"""

from collections.abc import Sequence

import msgspec

from actors.core.camera.commands import ClearAlert, Configure, Effects, Input, ResetCounts, Tick
from actors.core.camera.inputs import (
    apply_alive,
    apply_data,
    apply_detach,
    apply_gap,
    apply_later,
    apply_tick,
    clear_alert,
    configure,
    end_session,
    linked,
    reset_counts,
)
from actors.core.camera.rendering import render
from actors.core.camera.snapshot import VERSION, Snapshot, fill
from actors.core.camera.snapshot import decode as decode_snapshot
from actors.core.camera.state import CameraCore, dirty, snapshot_of, view_of
from actors.core.errors import BadInput
from actors.core.messages.commits import Activation, CommitRow, Position
from actors.core.messages.deliveries import (
    Acked,
    Alive,
    Answer,
    Attach,
    Data,
    DeclareGap,
    Detach,
    Refused,
)
from actors.core.messages.object_faults import since
from actors.core.messages.personal import Sealing
from actors.core.scene.scene import Scene
from actors.core.settings import CameraSettings

__all__ = [
    "CameraCore",
    "ClearAlert",
    "Configure",
    "Effects",
    "Input",
    "ResetCounts",
    "Tick",
    "ask_again",
    "clock_stepped",
    "committed",
    "live_state",
    "next_deadline_us",
    "pause",
    "pending_commit",
    "restore",
    "session_opened",
    "set_window",
    "step",
]


def restore(
    activation: Activation, *, owner: str, settings: CameraSettings, now_us: int
) -> CameraCore:
    """The core of an activation. Raises :class:`~actors.core.errors.BadInput` for a snapshot or
    scene that cannot be read."""
    try:
        scene = msgspec.json.decode(activation.scene or b"{}", type=Scene)
    except msgspec.MsgspecError as error:
        raise BadInput(
            f"the scene of camera {activation.camera} cannot be read: {error}",
            hint="Mend the scene in the registry.",
        ) from error
    if activation.snapshot is None:
        return CameraCore(activation, owner, settings, scene, Snapshot(VERSION), now_us)
    found = decode_snapshot(activation.snapshot)
    core = CameraCore(activation, owner, settings, scene, found, now_us)
    fill(core.picture, found)
    core.watch_alerts()
    core.faults_told = dict(found.faults)
    if found.session != activation.position.session:
        end_session(core, found.session, found.seq, now_us)
    if found.scene_version != activation.scene_version or found.digests != core.digests:
        core.digests = found.digests
        configure(core, scene, activation.scene_version, now_us)
    return core


def step(core: CameraCore, items: Sequence[Input], now_us: int) -> Effects:
    """Apply `items` in order. `now_us` serves liveness, hole timeouts and health only: nothing
    derived from observations depends on it."""
    effects = Effects()
    order = core.order
    was_opening = bool(order.opening)
    before = (
        order.seq,
        core.journal.offset,
        core.liveness.blind,
    )  # another status comes with an event
    answers = effects.answers
    for item in items:
        if isinstance(item, Data):
            apply_data(core, item, answers, now_us)
        elif isinstance(item, Alive):
            if item.link == order.link:
                apply_alive(core, now_us)
            else:
                answers.extend(order.stranger(item.link))
        elif isinstance(item, DeclareGap):
            apply_gap(core, item, answers, now_us)
        elif isinstance(item, Attach):
            answers.extend(order.attach(item))
            linked(core)
        elif isinstance(item, Detach):
            apply_detach(core, item, now_us)
        elif isinstance(item, Tick):
            apply_tick(core, answers, now_us)
        elif isinstance(item, ResetCounts):
            if order.opening:
                core.reset_next = (
                    core.reset_next.merged(item) if core.reset_next is not None else item
                )
            else:
                reset_counts(core, item, now_us)
        elif isinstance(item, ClearAlert):
            if not order.opening:
                clear_alert(core, item, now_us)
        elif order.opening:
            core.configure_next = item
        else:
            configure(core, item.scene, item.version, now_us)
    if order.ack_due:
        order.ack_due = False
        if order.link is not None:
            answers.append(
                Acked(core.camera, order.link, order.acked, order.credit.grant(order.acked))
            )
    if order.opening and not was_opening:
        effects.opens = order.opening[0].session
    effects.urgent = bool(core.journal.waiting or core.letters)
    effects.live_changed = before != (order.seq, core.journal.offset, core.liveness.blind)
    return effects


def session_opened(core: CameraCore, session: str, outcome: str, now_us: int) -> Effects:
    """The answer of `store.open_session` to `Effects.opens`: ``opened``, ``superseded`` or
    ``fenced``.

    Raises ValueError when this session was not asked for or when something is not committed yet:
    both are mistakes of the shell.
    """
    order = core.order
    if outcome == "fenced":
        return Effects()
    if not order.opening or order.opening[0].session != session:
        raise ValueError(f"camera {core.camera} did not ask to open session {session!r}")
    if core.in_flight is not None or dirty(core):
        raise ValueError(f"camera {core.camera} has uncommitted work of session {order.session!r}")
    old, old_seq = order.session, order.seq
    _, answers, switched = order.opened(outcome)
    if switched:
        core.committed = Position(
            session, 0, core.committed.epoch, core.committed.last_offset, core.committed.chain
        )
        end_session(core, old, old_seq, now_us)
    linked(core)
    if not order.opening:
        apply_later(core, now_us)
    opens = order.opening[0].session if order.opening else None
    return Effects(answers, opens, urgent=bool(core.journal.waiting), live_changed=switched)


def pending_commit(core: CameraCore, sealing: Sealing | None = None) -> CommitRow | None:
    """Everything stepped since the last row taken, marked in flight. None: nothing to write, or a
    row is in flight. `sealing`: how personal values are taken out of the events; a camera that is
    stored always has one."""
    if core.in_flight is not None or not dirty(core):
        return None
    order, journal = core.order, core.journal
    core.in_flight_view = view_of(core) if journal.waiting else None
    events = journal.seal(sealing)
    after = Position(order.session, order.seq, journal.epoch, journal.offset, journal.chain)
    faults = core.picture.faults
    row = CommitRow(
        core.camera,
        core.owner,
        core.generation,
        core.committed,
        after,
        snapshot_of(core),
        events,
        core.letters,
        core.replayed,
        since(core.faults_told, faults) if faults else {},
        core.alerts.taken(),
    )
    core.faults_told = dict(faults)
    core.letters, core.replayed = [], []
    core.held_bytes = 0
    core.in_flight = row
    return row


def committed(core: CameraCore, row: CommitRow, now_us: int) -> list[Answer]:
    """`row` (the one in flight) moved: the acks, with credits, and the refusals of its dead
    letters."""
    if core.in_flight is not row:
        raise ValueError(f"camera {core.camera}: this row is not the one in flight")
    order = core.order
    core.in_flight = None
    core.committed = row.after
    core.view = core.in_flight_view if core.journal.waiting else None
    core.in_flight_view = None
    order.acked = row.after.last_seq
    link = order.link
    if link is None:
        return []
    answers: list[Answer] = [
        Refused(core.camera, link, letter.seq, letter.code, letter.detail)
        for letter in row.dead_letters
    ]
    if row.after.last_seq != row.before.last_seq:
        answers.append(Acked(core.camera, link, order.acked, order.credit.grant(order.acked)))
    if not order.opening:
        answers.extend(order.ask_now())
    return answers


def live_state(core: CameraCore, version: int, now_us: int) -> tuple[bytes, bytes, int] | None:
    """(state JSON, summary JSON, offset) to show under (`core.generation`, `version`), or None when
    the last shown one must stay.

    No state folds in an uncommitted event: while events wait for their commit this renders the
    state as it was at the last committed event row, once, and then None until the next commit.
    `version` is the shell's, growing by one with every state shown.
    """
    if core.journal.waiting or (core.in_flight is not None and core.in_flight.events):
        view = core.view
        if view is None:
            return None
    else:
        view = view_of(core)
    core.view = None
    state, summary = render(
        view,
        camera=core.camera,
        site=core.site,
        generation=core.generation,
        version=version,
        now_us=now_us,
    )
    return state, summary, view.offset


def clock_stepped(core: CameraCore, by_us: int) -> None:
    """The clock that `now_us` is read from was set forward by `by_us` (negative: back): silence and
    holes are as old as they were."""
    core.liveness.clock_stepped(by_us)
    core.order.clock_stepped(by_us)


def next_deadline_us(core: CameraCore) -> int | None:
    """When a `Tick` is due (microseconds since 1970): hole re-ask or timeout, stale, offline. None:
    never."""
    if core.order.opening:
        return None
    due = [
        moment
        for moment in (core.order.deadline_us(), core.liveness.deadline_us())
        if moment is not None
    ]
    return min(due, default=None)


def ask_again(core: CameraCore) -> list[Answer]:
    """The resync of what the shell had no room for. None while a session is opened: its welcome
    says where to go on."""
    return [] if core.order.opening else core.order.ask()


def pause(core: CameraCore, paused: bool, window_items: int, now_us: int) -> Effects:
    """Take nothing new in, or go on with `window_items` of credits; the edge is told at once.

    Credits that were given stay good, so what is on its way is taken. Dashboards see ``stale`` with
    the reason ``paused``: signs of life go on, and the camera must not look as if it were watched.
    """
    effects = Effects()
    order = core.order
    core.liveness.paused = paused
    set_window(core, 0 if paused else window_items)
    if not order.opening:
        apply_tick(core, effects.answers, now_us)
        if order.link is not None:
            effects.answers.append(
                Acked(core.camera, order.link, order.acked, order.credit.grant(order.acked))
            )
    effects.urgent = bool(core.journal.waiting or core.letters)
    effects.live_changed = True
    return effects


def set_window(core: CameraCore, items: int) -> None:
    """The credit window in items from now on (`admission.window`); granted credits never move
    back."""
    core.order.credit.window = items
