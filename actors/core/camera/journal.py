"""The events of one camera between two commits: numbered when they happen, sealed and chained when
their commit is taken."""

from collections.abc import Callable

import msgspec

from actors.core import severity
from actors.core.messages.event_data import ALARM, ALERT, EventData
from actors.core.messages.events import Event, StoredEvent, seal, seal_open
from actors.core.messages.personal import Sealing
from actors.core.messages.states import LastEvent
from actors.core.redaction import repeats
from actors.core.severity import Severity
from actors.core.times import rfc3339

# Told of every event but those of alerts: kind, zone, line, label, severity, id.
Watch = Callable[["Journal", str, str | None, str | None, str | None, str, str], None]
_NEVER_LAST = ("track.", "alert.changed")  # no news on a tile

EVENT_COST = 600  # bytes counted per waiting event against the camera's mailbox


class Journal:
    """Offsets and waiting events. `moment` names the observation that events are now derived from;
    `last` is the last one worth a tile (tracks that start and end are not).

    An event's `time` is the capture time as the edge told it. It is not corrected by the estimated
    clock offset: that estimate rests on receive times, and what is derived must come out the same
    after a crash. The state's `health` tells offset and quality instead.
    """

    __slots__ = (
        "alert",
        "alert_until_us",
        "camera",
        "chain",
        "epoch",
        "last",
        "offset",
        "overrides",
        "received_us",
        "seq",
        "session",
        "site",
        "stream_us",
        "time_us",
        "waiting",
        "watch",
    )

    def __init__(self, camera: str, site: str, epoch: str, offset: int, chain: bytes) -> None:
        self.camera = camera
        self.site = site
        self.epoch = epoch
        self.offset = offset
        self.chain = chain
        self.waiting: list[tuple[Event, int, int]] = []
        self.watch: Watch | None = None
        self.overrides: dict[str, Severity] = {}
        self.last: LastEvent | None = None
        self.alert = "info"
        self.alert_until_us = 0
        self.session = ""
        self.seq = 0
        self.time_us = 0
        self.stream_us = 0
        self.received_us = 0

    def moment(
        self, session: str, seq: int, *, time_us: int, stream_us: int, received_us: int
    ) -> None:
        """Events from now on are of this observation."""
        self.session = session
        self.seq = seq
        self.time_us = time_us
        self.stream_us = stream_us
        self.received_us = received_us

    def emit(
        self,
        kind: str,
        *,
        data: EventData | None = None,
        track: str | None = None,
        label: str | None = None,
        zone: str | None = None,
        line: str | None = None,
        level: Severity | None = None,
    ) -> None:
        """Add an event of the present moment. `data` is of the struct that `event_data.TYPES` names
        for `kind`.

        `level` is given by alarms; all others have the severity of their rule.
        """
        if level is None:
            level = severity.of(kind, zone or line, self.overrides)
        self.offset += 1
        event = Event(
            id=f"{self.camera}/{self.epoch}/{self.offset}",
            type=kind,
            site=self.site,
            camera=self.camera,
            epoch=self.epoch,
            offset=self.offset,
            session=self.session,
            seq=self.seq,
            time=rfc3339(self.time_us),
            received=rfc3339(self.received_us),
            severity=level,
            track=track,
            label=label,
            zone=zone,
            line=line,
            data=msgspec.to_builtins(data) if data is not None else {},
        )
        self.waiting.append((event, self.received_us, self.time_us))
        if not kind.startswith(_NEVER_LAST):
            # Walls show this without the data, so nobody could tell there that it says again what
            # the data says.
            said = (
                repeats([kind, *([label] if label else [])], event.data)
                if kind.startswith(ALARM)
                else {}
            )
            echoes = {kind: said[kind]} if kind in said else msgspec.UNSET
            self.last = LastEvent(
                event.id,
                kind,
                event.time,
                level,
                None if label in said else label,
                zone,
                line,
                echoes,
            )
        if severity.ORDER[level] >= 2 and not kind.startswith("camera."):
            held = self.alert if self.stream_us < self.alert_until_us else "info"
            self.alert = severity.highest(held, level)
            self.alert_until_us = self.stream_us + severity.ALERT_HOLD_US
        if self.watch is not None and not kind.startswith(ALERT):
            self.watch(self, kind, zone, line, label, level, event.id)

    def seal(self, sealing: Sealing | None = None) -> list[StoredEvent]:
        """Seal what waits, in order; `chain` is then the hash of the last. Without `sealing`
        personal values stay in the bodies."""
        sealed = []
        for event, received_us, time_us in self.waiting:
            if sealing is None:
                stored = seal(event, self.chain, received_us=received_us, time_us=time_us)
            else:
                stored = seal_open(
                    event, self.chain, sealing, received_us=received_us, time_us=time_us
                )
            self.chain = stored.hash
            sealed.append(stored)
        self.waiting = []
        return sealed
