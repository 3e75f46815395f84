"""One camera's state in memory, and what is taken out of it: its snapshot and its view."""

from actors.core.camera.alerts import Alerts
from actors.core.camera.clocks import FrameRate, OffsetEstimate, StreamClock
from actors.core.camera.commands import Configure, ResetCounts
from actors.core.camera.credits import window
from actors.core.camera.journal import Journal
from actors.core.camera.liveness import Liveness
from actors.core.camera.ordering import Ordering
from actors.core.camera.rendering import (
    RenderedState,
    line_counts,
    objects_by_label,
    severity_now,
    track_views,
)
from actors.core.camera.snapshot import VERSION, Snapshot, encode, track_rows
from actors.core.camera.tracks import Picture
from actors.core.messages.commits import Activation, CommitRow, DeadLetter, Replayed
from actors.core.messages.object_faults import LEFT_OUT, MENDED, Faults, of
from actors.core.messages.observations import Backlog
from actors.core.messages.states import Health, Status
from actors.core.scene.compiled import SceneRules
from actors.core.scene.scene import Scene
from actors.core.settings import CameraSettings
from actors.core.severity import highest
from actors.core.times import rfc3339

MOST = (
    2**53 - 1
)  # counts stop here: beyond it JSON is not exact, and beyond 64 bits there is no snapshot


class CameraCore:
    """One camera's state in memory: opaque to the shell but for `camera`, `site`, `generation` and
    `status`."""

    __slots__ = (
        "alerts",
        "backlog",
        "camera",
        "capture_us",
        "clock",
        "committed",
        "configure_next",
        "digests",
        "faults_told",
        "frame_us",
        "gaps",
        "generation",
        "held_bytes",
        "in_flight",
        "in_flight_view",
        "journal",
        "letters",
        "liveness",
        "mailbox_bytes",
        "missing",
        "offset_estimate",
        "order",
        "owner",
        "picture",
        "rate",
        "received_us",
        "rejected",
        "replayed",
        "replays",
        "reset_next",
        "scene_version",
        "sent_us",
        "site",
        "stepped_ahead_seq",
        "stepped_seq",
        "view",
    )

    def __init__(
        self,
        activation: Activation,
        owner: str,
        settings: CameraSettings,
        scene: Scene,
        found: Snapshot,
        now_us: int,
    ) -> None:
        position = activation.position
        self.camera = activation.camera
        self.site = activation.site
        self.generation = activation.generation
        self.owner = owner
        self.mailbox_bytes = settings.mailbox_bytes
        self.committed = position
        self.in_flight: CommitRow | None = None
        self.in_flight_view: RenderedState | None = None
        self.view: RenderedState | None = None
        self.configure_next: Configure | None = None
        self.reset_next: ResetCounts | None = None
        self.sent_us: int | None = None
        self.backlog: Backlog | None = None
        self.order = Ordering(
            activation.camera,
            position.session,
            position.last_seq,
            window_items=window(settings),
            inherited_items=settings.mailbox_items,
            gap_timeout_us=round(settings.gap_timeout_s * 1_000_000),
        )
        self.journal = Journal(
            activation.camera, activation.site, position.epoch, position.last_offset, position.chain
        )
        self.liveness = Liveness(settings, found.status, found.reason, now_us)
        self.letters: list[DeadLetter] = []
        self.replayed: list[Replayed] = []
        self.replays: dict[int, None] = {}
        self.held_bytes = 0
        self.faults_told: Faults = {}
        self.rate = FrameRate()
        self.offset_estimate = OffsetEstimate()
        self.frame_us = 0
        self.clock = StreamClock(found.stream_us, found.shift_us)
        self.capture_us = found.capture_us
        self.received_us = found.received_us
        self.stepped_seq = found.stepped_seq
        self.stepped_ahead_seq = found.stepped_ahead_seq
        self.gaps = min(found.gaps, MOST)
        self.missing = min(found.missing, MOST)
        self.rejected = found.rejected
        self.journal.last = found.last_event
        self.journal.alert = found.alert
        self.journal.alert_until_us = found.alert_until_us
        self.scene_version = activation.scene_version
        rules = SceneRules(scene)
        self.digests = rules.digests
        self.journal.overrides = rules.severities
        self.picture = Picture(rules)
        self.alerts = Alerts(rules.alerts, found.alerts)
        self.watch_alerts()
        self.liveness.expect(rules.expected_fps, event_only=rules.event_only)

    def watch_alerts(self) -> None:
        """Rules see the events from now on; none costs nothing."""
        self.alerts.occupancy = self.picture.occupancy
        self.journal.watch = self.alerts.saw if self.alerts.rules else None

    @property
    def status(self) -> Status:
        """The camera's status as of the last step."""
        return self.liveness.status


def dirty(core: CameraCore) -> bool:
    """True when something waits to be committed."""
    return bool(core.journal.waiting or core.letters) or core.order.seq != core.committed.last_seq


def present(core: CameraCore, time_us: int, now_us: int) -> None:
    """Events from now on are not of a new observation: they stand at the last applied one."""
    core.journal.moment(
        core.order.session,
        core.order.seq,
        time_us=time_us,
        stream_us=core.clock.now_us,
        received_us=now_us,
    )


def snapshot_of(core: CameraCore) -> bytes:
    """The snapshot that goes with a commit row."""
    order, journal, picture = core.order, core.journal, core.picture
    return encode(
        Snapshot(
            VERSION,
            order.session,
            order.seq,
            core.liveness.status,
            core.liveness.reason,
            core.scene_version,
            core.digests,
            core.clock.now_us,
            core.clock.shift_us,
            core.capture_us,
            core.received_us,
            core.stepped_seq,
            core.gaps,
            core.missing,
            core.rejected,
            journal.alert,
            journal.alert_until_us,
            journal.last,
            picture.occupancy,
            picture.counts,
            track_rows(picture),
            picture.faults,
            stepped_ahead_seq=core.stepped_ahead_seq,
            alerts=core.alerts.rows(),
        )
    )


def view_of(core: CameraCore) -> RenderedState:
    """The camera as of now, uncommitted events included: see `actors.core.camera.core.live_state`
    for when it may be shown."""
    picture, journal, order = core.picture, core.journal, core.order
    offset_us = core.offset_estimate.offset_us()
    alert = journal.alert if core.clock.now_us < journal.alert_until_us else "info"
    seen_us = core.frame_us or core.received_us
    unknown = core.liveness.unknown and seen_us
    return RenderedState(
        offset=journal.offset,
        status=core.liveness.status,
        reason=core.liveness.reason,
        time=rfc3339(core.capture_us) if core.capture_us else None,
        received=rfc3339(core.received_us) if core.received_us else None,
        fps=core.rate.fps(),
        frame_us=core.frame_us,
        unknown_since=rfc3339(seen_us) if unknown else None,
        objects=objects_by_label(picture),
        occupancy={zone: dict(labels) for zone, labels in picture.occupancy.items()},
        counts=line_counts(picture),
        severity=highest(
            severity_now(core.liveness.status, alert, 0 if unknown else picture.loitering),
            core.alerts.worst(),
        ),
        alerts=core.alerts.views(),
        last_event=journal.last,
        health=Health(
            session=order.session,
            seq=order.seq,
            clock_offset_s=offset_us / 1_000_000 if offset_us is not None else None,
            clock_quality=core.offset_estimate.quality(),
            expected_fps=picture.rules.expected_fps,
            gaps=core.gaps,
            missing=core.missing,
            rejected=core.rejected,
            duplicates=order.duplicates,
            late=order.late,
            tracks_refused=picture.refused,
            left_out=of(picture.faults, LEFT_OUT),
            mended=of(picture.faults, MENDED),
            sent=rfc3339(core.sent_us) if core.sent_us is not None else None,
            spool=core.backlog,
        ),
        place=picture.rules.place,
        tracks=track_views(picture),
    )
