"""The fold of frames: tracks with their life cycle, zones, lines, occupancy and counts. Depends on
observations alone, never on a clock.

Hot path. An object costs little while it moves less than its *clearance*, the distance within which
no rule can answer otherwise; only then are zones and lines looked at again. The clearance is a
cache: it is not in the snapshot and changes no result.

Times are stream time (capture time that never steps back, microseconds). Bounds: `MAX_TRACKS` open
tracks per camera.
"""

from math import hypot

import msgspec

from actors.core.boxes import Box, shown
from actors.core.camera import labels
from actors.core.camera.journal import Journal
from actors.core.messages import event_data
from actors.core.messages.object_faults import REPEATED_ID, TOO_MANY_TRACKS, Faults, note
from actors.core.messages.observations import Object
from actors.core.scene import lines, zones
from actors.core.scene.compiled import SceneRules
from actors.core.scene.ground import Pace
from actors.core.scene.zones import CompiledZone, Stay
from actors.core.times import rfc3339
from actors.core.untracked import is_untracked

MAX_TRACKS = 1024  # open tracks per camera, unconfirmed ones included
FRAME_EDGE = (
    0.02  # picture widths: a track lost this near the picture's edge has left it ("completed")
)
STILL_BASE = 0.01  # picture widths an object may move and still be stationary, plus
STILL_SHARE = 0.1  # this share of its larger side
_DIAGONAL = 0.7071067811865475
_SHRINK = 0.999999  # keeps rounding inside the clearance, and so does
_ROUNDING = 2e-9


class Track(msgspec.Struct):
    """One object over frames. `box` is as it was seen, and may leave the picture.

    `inside` and `clearance` (around `center_box`) are the cache.

    `extra` is the last sighting that carried a sub-label or attributes: shown, never kept.
    """

    id: str
    label: str
    start_us: int
    seen_us: int
    seq: int
    box: Box
    start: tuple[float, float]
    hits: int = 1
    confirmed: bool = False
    score: float = 0.0
    top_score: float = 0.0
    still: tuple[float, float] = (0.0, 0.0)
    still_us: int = 0
    tolerance: float = 0.0
    stationary: bool = False
    stationary_us: int = 0
    distance: float = 0.0
    entered: list[str] = []
    stays: dict[str, Stay] = {}
    crossings: dict[str, lines.Crossing] = {}
    center_box: Box = (0.0, 0.0, 0.0, 0.0)
    clearance: float = -1.0
    inside: tuple[CompiledZone, ...] = ()
    extra: Object | None = None
    pace: Pace | None = None
    votes: labels.Votes | None = None


class Picture:
    """All that is derived from the frames of one camera."""

    __slots__ = (
        "counts",
        "expires_us",
        "faults",
        "loitering",
        "occupancy",
        "refused",
        "rules",
        "swept_seq",
        "tracks",
        "untracked",
    )

    def __init__(self, rules: SceneRules) -> None:
        self.rules = rules
        self.tracks: dict[str, Track] = {}
        self.occupancy: dict[str, dict[str, int]] = {key: {} for key in rules.zones}
        self.counts: dict[str, lines.Count] = {key: lines.Count() for key in rules.lines}
        self.untracked: list[Object] = []
        self.faults: Faults = {}
        self.loitering = 0
        self.refused = 0
        self.swept_seq = 0
        self.expires_us = 0

    def frame(self, objects: list[Object], journal: Journal) -> None:
        """Fold one frame of the journal's present moment. Every box shows something of the picture;
        rules test it unclipped."""
        now_us, seq = journal.stream_us, journal.seq
        if now_us > self.expires_us:
            self.expire(now_us, journal)
        for count in self.counts.values():
            if not count.since_us:
                count.since_us = journal.time_us
        tracks, untracked = self.tracks, []
        stationary_us, ground = self.rules.stationary_us, self.rules.ground
        for seen in objects:
            key = seen.id
            if key is None:
                untracked.append(seen)
                continue
            box = seen.box
            x1, y1, x2, y2 = box
            track = tracks.get(key)
            renamed = False
            if track is not None and track.label != seen.label:
                renamed = True
                if track.seq != seq and labels.something_else(track.box, box):
                    self._end(track, "replaced", journal)
                    track, renamed = None, False
            if track is None:
                track = None if is_untracked(key) else self._begin(key, seen, box, now_us, seq)
                if track is None:
                    untracked.append(seen)
                    continue
                before = None
            elif track.seq == seq:
                note(self.faults, REPEATED_ID)
                untracked.append(seen)
                continue
            else:
                before = track.box
                track.hits += 1
                track.seq = seq
                track.seen_us = now_us
                track.box = box
            score = seen.score
            if score is not None:
                track.score = score
                if score > track.top_score:
                    track.top_score = score
            sx, sy = track.still
            tolerance = track.tolerance
            low = -tolerance
            if not (low < x1 + x2 - sx < tolerance and low < y1 + y2 - sy < tolerance):
                self._moved(track, now_us, journal)
            elif (
                not track.stationary
                and track.confirmed
                and now_us - track.still_us >= stationary_us
            ):
                self._stopped(track, journal)
            if ground is not None:
                if track.pace is None:
                    track.pace = Pace()
                ground.walk(track.pace, (x1 + x2) * 0.5, y2, now_us)
            if seen.attributes is not None or seen.sub_label is not None:
                track.extra = seen
            if not track.confirmed:
                if renamed:
                    track.label = seen.label
                    track.stays.clear()
                if track.hits >= self.rules.min_hits:
                    self._confirm(track, journal)
            elif renamed or track.votes is not None:
                self._vote(track, seen.label, journal)
            reach = track.clearance
            low = -reach
            cx1, cy1, cx2, cy2 = track.center_box
            if (
                low < x1 - cx1 < reach
                and low < y1 - cy1 < reach
                and low < x2 - cx2 < reach
                and low < y2 - cy2 < reach
            ):
                if track.crossings:
                    self._far_from_lines(track, journal)
            else:
                self._locate(track, before, journal)
            if track.stays or track.inside:
                self._zones(track, now_us, journal)
        self.untracked = untracked

    def expire(self, now_us: int, journal: Journal) -> None:
        """End the tracks not seen for `lost_after_s`, and note when the next may fall due."""
        lost_us = self.rules.lost_us
        gone = [track for track in self.tracks.values() if now_us - track.seen_us > lost_us]
        for track in gone:
            self._end(track, "completed" if _at_edge(track.box) else "lost", journal)
        self.expires_us = (
            min((track.seen_us for track in self.tracks.values()), default=now_us) + lost_us
        )

    def reset(self, journal: Journal) -> None:
        """A new session: its tracks are others (video reference 1.2, edge session rule)."""
        for track in list(self.tracks.values()):
            self._end(track, "session_reset", journal)
        self.untracked = []
        self.expires_us = 0

    def adopt(self, rules: SceneRules, known: dict[str, str], journal: Journal) -> None:
        """Go on under other rules: objects leave zones that went or changed, and their lines start
        counting anew."""
        for track in self.tracks.values():
            for key, stay in list(track.stays.items()):
                if rules.digests.get(f"zone:{key}") != known.get(f"zone:{key}"):
                    if stay.inside:
                        self._leave(track, key, stay, journal.stream_us, "scene_changed", journal)
                    del track.stays[key]
            for key in list(track.crossings):
                if rules.digests.get(f"line:{key}") != known.get(f"line:{key}"):
                    del track.crossings[key]
            if rules.digests.get("ground") != known.get("ground"):
                track.pace = None
            track.clearance = -1.0
            track.inside = ()
        self.rules = rules
        self.occupancy = {key: self.occupancy.get(key, {}) for key in rules.zones}
        kept = {
            key for key in rules.lines if rules.digests[f"line:{key}"] == known.get(f"line:{key}")
        }
        self.counts = {
            key: self.counts[key] if key in kept and key in self.counts else lines.Count()
            for key in rules.lines
        }
        self.expires_us = 0

    def reset_counts(
        self, lines_wanted: frozenset[str] | None, since_us: int
    ) -> dict[str, event_data.FinalCount]:
        """Count these lines (None: all) from zero; what they had counted. `since_us` 0: from the
        first frame to come."""
        final = {}
        for key, count in self.counts.items():
            if lines_wanted is None or key in lines_wanted:
                final[key] = event_data.FinalCount(
                    in_=count.ins,
                    out=count.outs,
                    since=rfc3339(count.since_us) if count.since_us else None,
                )
                self.counts[key] = lines.Count(since_us=since_us)
        return final

    def _begin(self, key: str, seen: Object, box: Box, now_us: int, seq: int) -> Track | None:
        if len(self.tracks) >= MAX_TRACKS:
            if self.swept_seq != seq:
                self.swept_seq = seq
                for other in [t for t in self.tracks.values() if not t.confirmed and t.seq != seq]:
                    del self.tracks[other.id]
            if len(self.tracks) >= MAX_TRACKS:
                self.refused += 1
                note(self.faults, TOO_MANY_TRACKS)
                return None
        track = Track(
            key,
            seen.label,
            now_us,
            now_us,
            seq,
            box,
            ((box[0] + box[2]) * 0.5, box[3]),
            entered=[],
            stays={},
            crossings={},
        )
        _stand(track, now_us)
        self.tracks[key] = track
        return track

    def _confirm(self, track: Track, journal: Journal) -> None:
        track.confirmed = True
        journal.emit(
            "track.started",
            track=track.id,
            label=track.label,
            data=event_data.TrackStarted(box=_rounded(track.box)),
        )

    def _vote(self, track: Track, seen: str, journal: Journal) -> None:
        """A sighting of a confirmed track that was not always called the same; it gets another
        label when that one leads."""
        if track.votes is None:
            track.votes = labels.Votes(others={})
        before = track.label
        if not labels.vote(track.votes, track.hits, before, seen):
            return
        for key, stay in list(track.stays.items()):
            wanted = self.rules.zones[key].labels
            if wanted is not None and seen not in wanted:
                if stay.inside:
                    self._leave(track, key, stay, journal.stream_us, "label_changed", journal)
                del track.stays[key]
            elif stay.inside:
                zones.occupy(self.occupancy[key], before, -1)
                zones.occupy(self.occupancy[key], seen, 1)
        track.label = seen
        journal.emit(
            "track.updated",
            track=track.id,
            label=seen,
            data=event_data.TrackUpdated(previous_label=before, box=_rounded(track.box)),
        )

    def _stopped(self, track: Track, journal: Journal) -> None:
        track.stationary = True
        data = event_data.TrackStopped(box=_rounded(track.box), since=rfc3339(track.still_us))
        journal.emit("track.stopped", track=track.id, label=track.label, data=data)

    def _moved(self, track: Track, now_us: int, journal: Journal) -> None:
        if track.stationary:
            track.stationary = False
            track.stationary_us += now_us - track.still_us
            data = event_data.TrackMoved(stationary_s=(now_us - track.still_us) / 1_000_000)
            journal.emit("track.moved", track=track.id, label=track.label, data=data)
        before = track.still
        _stand(track, now_us)
        track.distance += hypot(track.still[0] - before[0], track.still[1] - before[1]) * 0.5

    def _locate(self, track: Track, before: Box | None, journal: Journal) -> None:
        """Look at zones and lines afresh, and find the clearance of the answer."""
        box = track.box
        reach = 2.0
        inside = []
        for zone in self.rules.zones.values():
            within, clearance = zone.locate(box)
            if clearance < reach:
                reach = clearance
            if within:
                inside.append(zone)
        if self.rules.lines:
            reach = min(reach, self._lines(track, before, journal))
        track.inside = tuple(inside)
        track.center_box = box
        track.clearance = reach * _SHRINK - _ROUNDING

    def _lines(self, track: Track, before: Box | None, journal: Journal) -> float:
        """Advance the crossings; the clearance within which no line can be touched and no crossing
        changes."""
        box = track.box
        x, y = (box[0] + box[2]) * 0.5, box[3]
        reach = 2.0
        for line in self.rules.lines.values():
            depth = line.distance(x, y)
            crossing = track.crossings.get(line.id)
            if before is None:
                crossing = lines.first(line, depth)
                if crossing is not None:
                    track.crossings[line.id] = crossing
            else:
                px, py = (before[0] + before[2]) * 0.5, before[3]
                crossed = (
                    line.crossed(px, py, x, y)
                    if abs(x - px) + abs(y - py) + _ROUNDING >= depth
                    else 0
                )
                if crossed and crossing is None:
                    crossing = track.crossings[line.id] = lines.touched()
                if crossing is not None:
                    crossing = self._advance(track, line, crossing, crossed, depth, journal)
            spare = (depth if crossing is None else depth - line.most_travel) * _DIAGONAL
            if spare < reach:
                reach = spare
        return reach

    def _far_from_lines(self, track: Track, journal: Journal) -> None:
        for key, crossing in list(track.crossings.items()):
            line = self.rules.lines[key]
            self._advance(track, line, crossing, 0, line.most_travel, journal)

    def _advance(
        self,
        track: Track,
        line: lines.CompiledLine,
        crossing: lines.Crossing,
        crossed: int,
        depth: float,
        journal: Journal,
    ) -> lines.Crossing | None:
        """One more frame of a crossing; what is left of it."""
        sign = lines.advance(crossing, line, crossed, depth, confirmed=track.confirmed)
        left: lines.Crossing | None = crossing
        if lines.idle(crossing):
            del track.crossings[line.id]
            left = None
        if not sign or (line.labels is not None and track.label not in line.labels):
            return left
        self.counts[line.id].add(sign)
        point = [round((track.box[0] + track.box[2]) * 0.5, 5), round(track.box[3], 5)]
        way = line.name_in if sign > 0 else line.name_out
        data = event_data.LineCrossed(direction="in" if sign > 0 else "out", way=way, point=point)
        journal.emit("line.crossed", track=track.id, label=track.label, line=line.id, data=data)
        return left

    def _zones(self, track: Track, now_us: int, journal: Journal) -> None:
        stays, inside = track.stays, track.inside
        for zone in inside:
            if zone.id not in stays and (zone.labels is None or track.label in zone.labels):
                stays[zone.id] = Stay()
        for key, stay in list(stays.items()):
            zone = self.rules.zones[key]
            turn = zones.advance(stay, zone, zone in inside, now_us, confirmed=track.confirmed)
            if turn == zones.ENTERED:
                self._enter(track, key, stay, journal)
            elif turn == zones.EXITED:
                self._leave(track, key, stay, stay.since_us, "left", journal)
            if not stay.inside:
                if stay.against == 0 and zone not in inside:
                    del stays[key]
            elif (
                zone.loitering_us is not None
                and not stay.loitering
                and now_us - stay.entered_us >= zone.loitering_us
            ):
                stay.loitering = True
                self.loitering += 1
                dwell = (now_us - stay.entered_us) / 1_000_000
                journal.emit(
                    "loitering.started",
                    track=track.id,
                    label=track.label,
                    zone=key,
                    data=event_data.Dwell(dwell_s=dwell),
                )

    def _enter(self, track: Track, zone: str, stay: Stay, journal: Journal) -> None:
        if zone not in track.entered:
            track.entered.append(zone)
        zones.occupy(self.occupancy[zone], track.label, 1)
        journal.emit("zone.entered", track=track.id, label=track.label, zone=zone)

    def _leave(
        self, track: Track, zone: str, stay: Stay, until_us: int, reason: str, journal: Journal
    ) -> None:
        dwell = max(until_us - stay.entered_us, 0) / 1_000_000
        if stay.loitering:
            stay.loitering = False
            self.loitering -= 1
            journal.emit(
                "loitering.ended",
                track=track.id,
                label=track.label,
                zone=zone,
                data=event_data.Dwell(dwell_s=dwell),
            )
        zones.occupy(self.occupancy[zone], track.label, -1)
        journal.emit(
            "zone.exited",
            track=track.id,
            label=track.label,
            zone=zone,
            data=event_data.ZoneExited(dwell_s=dwell, reason=reason),
        )

    def _end(self, track: Track, reason: event_data.EndReason, journal: Journal) -> None:
        del self.tracks[track.id]
        if not track.confirmed:
            return
        for key, stay in track.stays.items():
            if stay.inside:
                self._leave(track, key, stay, track.seen_us, reason, journal)
        still_us = track.stationary_us + (track.seen_us - track.still_us if track.stationary else 0)
        box = track.box
        end = ((box[0] + box[2]) * 0.5, box[3])
        ground = self.rules.ground
        metres, average, top = (
            ground.speeds(track.pace)
            if ground is not None and track.pace is not None
            else (None, None, None)
        )
        data = event_data.TrackEnded(
            end_reason=reason,
            duration_s=(track.seen_us - track.start_us) / 1_000_000,
            hits=track.hits,
            start=[round(v, 5) for v in track.start],
            end=[round(v, 5) for v in end],
            distance=round(track.distance, 4),
            stationary_s=still_us / 1_000_000,
            top_score=round(track.top_score, 4),
            entered_zones=track.entered,
            distance_m=metres,
            average_speed_mps=average,
            top_speed_mps=top,
        )
        journal.emit("track.ended", track=track.id, label=track.label, data=data)


def _stand(track: Track, now_us: int) -> None:
    x1, y1, x2, y2 = track.box
    track.still = (x1 + x2, y1 + y2)
    track.still_us = now_us
    track.tolerance = 2.0 * (STILL_BASE + STILL_SHARE * max(x2 - x1, y2 - y1))


def _at_edge(box: Box) -> bool:
    return (
        box[0] <= FRAME_EDGE
        or box[1] <= FRAME_EDGE
        or box[2] >= 1.0 - FRAME_EDGE
        or box[3] >= 1.0 - FRAME_EDGE
    )


def _rounded(box: Box) -> list[float]:
    return [round(value, 5) for value in shown(box)]
