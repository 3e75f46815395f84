"""What each input of a camera does to its state. `actors.core.camera.core` is the entrance; nothing
here waits or answers by itself."""

from typing import cast

from actors.core.camera.clocks import FrameRate, OffsetEstimate, StreamClock
from actors.core.camera.commands import ClearAlert, ResetCounts
from actors.core.camera.decoding import Unusable, alarm_data, decode, require_time
from actors.core.camera.journal import EVENT_COST
from actors.core.camera.ordering import fresh_from
from actors.core.camera.state import MOST, CameraCore, present
from actors.core.messages.commits import DeadLetter
from actors.core.messages.deliveries import Answer, Data, DeclareGap, Detach
from actors.core.messages.event_data import (
    ClockStepped,
    CountsReset,
    Gap,
    Integrity,
    Reason,
    SceneChanged,
)
from actors.core.messages.object_faults import Faults, add
from actors.core.messages.observations import Observation
from actors.core.scene.compiled import SceneRules, changed
from actors.core.scene.scene import Scene
from actors.core.severity import Severity

STEP_REPORT_SEQS = 256  # at most one `camera.clock_stepped` in this many observations


def linked(core: CameraCore) -> None:
    """Follow the order's link. A link alone is no sign of life: an edge that reconnects or repeats
    itself for ever shows nothing new."""
    core.liveness.linked = core.order.link is not None


def apply_data(core: CameraCore, data: Data, answers: list[Answer], now_us: int) -> None:
    """Observations: apply what is new, answer the rest."""
    order = core.order
    refusal = order.admit(data.link, data.session)
    if refusal is not None:
        answers.extend(refusal)
        return
    linked(core)
    first, count = data.first_seq, len(data.items)
    refusal = order.over_credit(first + count - 1)
    if refusal is not None:
        answers.extend(refusal)
        core.liveness.linked = False
        return
    if first > order.seq + 1:
        answers.extend(order.beyond_hole(first, first + count - 1, now_us))
        return
    start = fresh_from(order, data)
    for index in range(start):
        if order.differs(first + index, data.format, data.items[index]):
            present(core, core.capture_us or now_us, now_us)
            core.journal.emit("stream.integrity", data=Integrity(seq=first + index))
    if start == count:
        order.ack_due = True
        return
    if core.held_bytes + EVENT_COST * len(core.journal.waiting) > core.mailbox_bytes:
        order.ask_due = True
        return
    refused = len(core.letters)
    for index in range(start, count):
        raw = data.items[index]
        seq = first + index
        order.remember(seq, data.format, raw)
        try:
            seen, faults = decode(raw, data.format)
            _observe(core, seen, faults, seq, data.received_us, now_us)
        except Unusable as reason:
            core.letters.append(
                DeadLetter(
                    data.session,
                    seq,
                    reason.code,
                    reason.detail.replace("\x00", ""),
                    raw,
                    data.received_us,
                )
            )
            core.held_bytes += len(raw) + EVENT_COST
            core.rejected += 1
    order.advance(first + count - 1, now_us)
    if len(core.letters) - refused < count - start:
        core.liveness.heard(now_us)
    core.received_us = data.received_us
    if data.sent_us is not None:
        core.sent_us = data.sent_us
    core.backlog = data.backlog
    if core.capture_us:
        core.offset_estimate.sample(data.received_us, core.capture_us)


def _observe(
    core: CameraCore, seen: Observation, faults: Faults, seq: int, received_us: int, now_us: int
) -> None:
    """Apply one observation, or raise `Unusable` before anything is touched. `faults`: what was
    wrong with single objects."""
    capture_us = require_time(seen)
    objects, alarm = seen.objects, seen.alarm
    details = alarm_data(alarm) if alarm is not None else None
    clock, journal = core.clock, core.journal
    step_us = clock.advance(capture_us) if objects is not None else 0
    core.capture_us = capture_us
    journal.moment(
        core.order.session, seq, time_us=capture_us, stream_us=clock.now_us, received_us=received_us
    )
    if (
        core.liveness.frame(now_us, core.rate.mean_us)
        if objects is not None
        else core.liveness.alarm()
    ):
        journal.emit("camera.online")
    if step_us:
        _clock_stepped(core, step_us, seq)
    if objects is not None:
        if faults:
            add(core.picture.faults, faults)
        core.picture.frame(objects, journal)
        if core.alerts.rules:
            core.alerts.frame(journal)
        core.rate.frame(clock.now_us)
        core.frame_us = received_us
    if alarm is not None and details is not None:
        journal.emit(
            f"alarm.{alarm.type}",
            data=details,
            track=alarm.track,
            label=alarm.label,
            level=cast(Severity, alarm.severity),
        )


def _clock_stepped(core: CameraCore, step_us: int, seq: int) -> None:
    """Tell it, at most once in `STEP_REPORT_SEQS` observations for either direction. What is known
    of the clock's offset was of another."""
    core.offset_estimate = OffsetEstimate()
    told = core.stepped_seq if step_us < 0 else core.stepped_ahead_seq
    if told and seq - told < STEP_REPORT_SEQS:
        return
    if step_us < 0:
        core.stepped_seq = seq
        data = ClockStepped(back_s=-step_us / 1_000_000)
    else:
        core.stepped_ahead_seq = seq
        data = ClockStepped(back_s=0.0, ahead_s=step_us / 1_000_000)
    core.journal.emit("camera.clock_stepped", data=data)


def apply_gap(core: CameraCore, gap: DeclareGap, answers: list[Answer], now_us: int) -> None:
    """A gap that the edge declared takes its place in the numbering."""
    order = core.order
    refusal = order.admit(gap.link, gap.session)
    if refusal is not None:
        answers.extend(refusal)
        return
    linked(core)
    refusal = order.over_credit(gap.last_seq)
    if refusal is not None:
        answers.extend(refusal)
        core.liveness.linked = False
        return
    if gap.first_seq > order.seq + 1:
        answers.extend(order.beyond_hole(gap.first_seq, gap.last_seq, now_us))
    elif gap.last_seq <= order.seq:
        order.ack_due = True
    else:
        _pass_over(core, order.seq + 1, gap.last_seq, gap.reason, gap.received_us)
        order.advance(gap.last_seq, now_us)


def _pass_over(
    core: CameraCore, first_seq: int, last_seq: int, reason: str, received_us: int
) -> None:
    missing = last_seq - first_seq + 1
    core.gaps = min(core.gaps + 1, MOST)
    core.missing = min(core.missing + missing, MOST)
    core.journal.moment(
        core.order.session,
        last_seq,
        time_us=core.capture_us or received_us,
        stream_us=core.clock.now_us,
        received_us=received_us,
    )
    core.journal.emit(
        "stream.gap",
        data=Gap(first_seq=first_seq, last_seq=last_seq, missing=missing, reason=reason),
    )


def apply_detach(core: CameraCore, detach: Detach, now_us: int) -> None:
    """A link is gone; a clean goodbye of the current one makes the camera offline at once."""
    if not core.order.detach(detach.link):
        return
    core.liveness.linked = False
    if detach.clean and not core.order.opening and core.liveness.left(detach.reason or "closed"):
        present(core, now_us, now_us)
        core.journal.emit("camera.offline", data=Reason(reason=core.liveness.reason or ""))


def apply_tick(core: CameraCore, answers: list[Answer], now_us: int) -> None:
    """Time has passed: holes are asked for again or given up, silence is told."""
    order = core.order
    if order.opening:
        return
    given_up = order.given_up(now_us)
    if given_up is not None:
        _pass_over(core, *given_up, "timeout", now_us)
        answers.extend(order.ask())
    else:
        answers.extend(order.ask_if_due(now_us))
    if core.liveness.check(now_us):
        present(core, now_us, now_us)
        core.journal.emit(
            f"camera.{core.liveness.status}", data=Reason(reason=core.liveness.reason or "")
        )


def apply_alive(core: CameraCore, now_us: int) -> None:
    """The edge of the camera's link was heard."""
    if core.order.opening:
        core.liveness.heard(now_us)
        return
    if core.liveness.back(now_us):
        present(core, now_us, now_us)
        reason = core.liveness.reason
        core.journal.emit(
            f"camera.{core.liveness.status}",
            data=Reason(reason=reason) if reason is not None else None,
        )


def end_session(core: CameraCore, session: str, seq: int, now_us: int) -> None:
    """The tracks of the session before this one end; its clock means nothing to the new one."""
    core.journal.moment(
        session,
        seq,
        time_us=core.capture_us or now_us,
        stream_us=core.clock.now_us,
        received_us=now_us,
    )
    core.picture.reset(core.journal)
    core.clock = StreamClock()
    core.rate = FrameRate()
    core.offset_estimate = OffsetEstimate()
    core.journal.alert = "info"
    core.journal.alert_until_us = 0
    core.stepped_seq = core.stepped_ahead_seq = 0


def configure(core: CameraCore, scene: Scene, version: int, now_us: int) -> None:
    """Go on under another scene; the change is an event of its own."""
    if version == core.scene_version and core.digests == core.picture.rules.digests:
        return
    rules = SceneRules(scene)
    present(core, core.capture_us or now_us, now_us)
    core.picture.adopt(rules, core.digests, core.journal)
    present(core, now_us, now_us)
    core.journal.emit(
        "camera.scene_changed",
        data=SceneChanged(version=version, **changed(core.digests, rules.digests)),
    )
    core.alerts.adopt(core.journal, rules.alerts)
    core.watch_alerts()
    core.journal.overrides = rules.severities
    core.digests = rules.digests
    core.scene_version = version
    core.liveness.expect(rules.expected_fps, event_only=rules.event_only)


def reset_counts(core: CameraCore, asked: ResetCounts, now_us: int) -> None:
    """Lines count from zero, from the last applied observation on; what they had counted is in the
    event."""
    wanted = frozenset(asked.lines) if asked.lines is not None else None
    final = core.picture.reset_counts(wanted, core.capture_us)
    if final:
        present(core, core.capture_us or now_us, now_us)
        core.journal.emit("camera.counts_reset", data=CountsReset(lines=final, reason=asked.reason))


def clear_alert(core: CameraCore, asked: ClearAlert, now_us: int) -> None:
    """It is over because a person says so; nothing happens where it is not raised."""
    present(core, core.capture_us or now_us, now_us)
    core.alerts.clear_by_hand(core.journal, asked.rule, asked.place)


def apply_later(core: CameraCore, now_us: int) -> None:
    """What had to wait while a session was opened."""
    scene, reset = core.configure_next, core.reset_next
    core.configure_next = core.reset_next = None
    if scene is not None:
        configure(core, scene.scene, scene.version, now_us)
    if reset is not None:
        reset_counts(core, reset, now_us)
