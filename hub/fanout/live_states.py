"""What a hub knows of the cameras it watches, and when that is too old to be shown as if it were
now (pure).

Latest (generation, version) wins; a lower generation is refused, as Redis refuses it too (Redis may
have lost its fence). Every actor process tells (generation, version, offset) of its cameras once a
second; when that stays away for :data:`STALE_AFTER_S` the camera is shown as ``stale`` with a
reason, until it is heard again. `now` is monotonic seconds.
"""

from collections.abc import Container, Iterable, Iterator

import msgspec

from actors.core.messages.states import Health, Summary
from actors.core.reasons import ACTOR_LOST, LINK_LOST, NEVER_SEEN, REDIS_LOST, TOLD_BY_ACTORS
from hub.access.redaction import ECHOES
from hub.fanout.pacing import Pacing
from storage.ports.live import LiveSummary

STALE_AFTER_S = 5.0


class LiveCamera(msgspec.Struct):
    """One camera. `state` and `summary` are ready JSON, None when not had yet; `told` is what the
    heartbeat before the last one said."""

    site: str
    camera: str
    generation: int = 0
    state_version: int = -1
    summary_version: int = -1
    state: bytes | None = None
    summary: bytes | None = None
    heard: float = 0.0
    # whether anything of it was heard since it is watched; until then its time runs from when that
    # began
    alive: bool = False
    told: tuple[int, int, int] = (0, -1, 0)
    last_told: tuple[int, int, int] = (0, -1, 0)
    stale: str | None = None  # nothing is heard
    trouble: str | None = None  # what its actor says of itself: it cannot go on
    seen: bool = False  # it ever had a session

    @property
    def wrong(self) -> str | None:
        """Why it is not shown as it was last; what is heard now is the nearer truth."""
        return self.stale or self.trouble


class _Status(msgspec.Struct, frozen=True):
    status: str = ""


class Lag(msgspec.Struct, frozen=True):
    """A camera of which this hub has missed something: its state, its summary, or events up to
    `offset` of its `generation`."""

    camera: str
    state: bool
    summary: bool
    offset: int


class LiveStates:
    """The cameras of the watched sites. Bounded by them: `forget_site` drops what is no longer
    watched."""

    def __init__(self) -> None:
        self._sites: dict[str, dict[str, LiveCamera]] = {}
        self._site_of: dict[str, str] = {}
        self._complete: set[str] = set()
        self.redis_lost = False
        self.pacing = Pacing()
        self.echoing: set[str] = (
            set()
        )  # cameras whose state or summary has echoes: views must look for what to hide

    # reading

    def cameras(self, site: str) -> Iterator[str]:
        """The known cameras of a site, by id."""
        return iter(sorted(self._sites.get(site, ())))

    def sites(self) -> Iterator[str]:
        """The sites, by id."""
        return iter(sorted(self._sites))

    def complete(self, site: str) -> bool:
        """Whether the summaries shown last have been read: a wall's first message may be made."""
        return site in self._complete

    def mark_complete(self, site: str) -> None:
        """The last summaries of the site have been read."""
        if site in self._sites:
            self._complete.add(site)

    def known(self, camera: str) -> LiveCamera | None:
        """What is known of a camera."""
        site = self._site_of.get(camera)
        return None if site is None else self._sites[site].get(camera)

    def state(self, camera: str) -> bytes | None:
        """The state to show, marked stale where it is."""
        known = self.known(camera)
        return None if known is None or known.state is None else _marked(known.state, known.wrong)

    def summary(self, camera: str) -> bytes | None:
        """The summary to show, marked stale where it is."""
        known = self.known(camera)
        if known is None:
            return None
        if known.summary is None and known.state is not None:
            known.summary, known.summary_version = without_tracks(known.state), known.state_version
        return None if known.summary is None else _marked(known.summary, known.wrong)

    def unheard(self, site: str) -> list[str]:
        """The cameras that are shown as online without having been heard since the site is
        watched."""
        return [
            known.camera
            for known in self._sites.get(site, {}).values()
            if not known.alive
            and known.stale is None
            and (body := known.summary or known.state) is not None
            and _online(body)
        ]

    def vouched(self, camera: str, body: bytes) -> bytes:
        """A state or summary for who asks once: stale as well where nothing was heard that speaks
        for it."""
        known = self.known(camera)
        if known is None or (known.stale is None and not known.alive):
            return _marked(body, REDIS_LOST if self.redis_lost else ACTOR_LOST)
        return _marked(body, known.wrong)

    # taking in

    def expect(
        self, site: str, cameras: Iterable[str], now: float, *, seen: Container[str] = ()
    ) -> None:
        """These cameras belong to a watched site; those never heard of get their time to be heard.
        `seen`: who ever had a session."""
        known = self._sites.setdefault(site, {})
        for camera in cameras:
            if camera not in known:
                known[camera] = LiveCamera(site, camera, heard=now)
                self._site_of[camera] = site
            known[camera].seen |= camera in seen

    def forget_site(self, site: str) -> None:
        """Nobody watches this site any more."""
        self._complete.discard(site)
        for camera in self._sites.pop(site, {}):
            self._site_of.pop(camera, None)
            self.echoing.discard(camera)

    def forget_camera(self, site: str, camera: str) -> None:
        """This camera does not belong to the site any more."""
        self._sites.get(site, {}).pop(camera, None)
        self.echoing.discard(camera)
        if self._site_of.get(camera) == site:
            del self._site_of[camera]

    def forget_states(self, camera: str) -> None:
        """Nobody watches this camera's own channel any more: what is kept would grow old
        unnoticed."""
        known = self.known(camera)
        if known is not None:
            known.state, known.state_version = None, -1

    def take_state(
        self,
        site: str,
        camera: str,
        generation: int,
        version: int,
        body: bytes,
        now: float,
        *,
        read: bool = False,
    ) -> bool:
        """A published state, or one read back (`read`: no sign of life); whether it is news."""
        known = self._admit(site, camera, generation, now, heard=not read)
        if known is None or version <= known.state_version:
            return False
        known.state, known.state_version = body, version
        self._note(known)
        return True

    def take_summary(
        self, site: str, entry: LiveSummary, now: float, *, read: bool = False
    ) -> bool:
        """A published summary, or one read back; whether it is news."""
        known = self._admit(site, entry.camera, entry.generation, now, heard=not read)
        if known is None or entry.version <= known.summary_version:
            return False
        known.summary, known.summary_version = entry.body, entry.version
        self._note(known)
        return True

    def _note(self, known: LiveCamera) -> None:
        if ECHOES in (known.summary or b"") or ECHOES in (known.state or b""):
            self.echoing.add(known.camera)
        else:
            self.echoing.discard(known.camera)

    def take_heartbeat(
        self, site: str, entries: Iterable[LiveSummary], now: float
    ) -> tuple[list[Lag], list[str]]:
        """A heartbeat: what this hub has missed, and cameras whose condition is another now. An
        entry's body is its actor's trouble.

        A camera lags when it has not reached what the heartbeat *before* told: what the last one
        told may still be on its way.
        """
        lags: list[Lag] = []
        back: list[str] = []
        for entry in entries:
            before = self.known(entry.camera)
            wrong = None if before is None else before.wrong
            known = self._admit(site, entry.camera, entry.generation, now, heard=True)
            if known is None:
                continue
            told = entry.body.decode("ascii", "replace")
            known.trouble = told if told in TOLD_BY_ACTORS else None
            if wrong != known.wrong:
                back.append(entry.camera)
            known.told, known.last_told = (
                known.last_told,
                (entry.generation, entry.version, entry.offset),
            )
            generation, version, offset = known.told
            if generation == known.generation and version >= 0:
                lags.append(
                    Lag(
                        entry.camera,
                        known.state_version < version,
                        known.summary_version < version,
                        offset,
                    )
                )
        return lags, back

    def sweep(self, now: float) -> list[str]:
        """The cameras that have become stale since the last sweep."""
        reason = REDIS_LOST if self.redis_lost else ACTOR_LOST
        changed = []
        for cameras in self._sites.values():
            for known in cameras.values():
                if known.stale is None and now - known.heard > STALE_AFTER_S:
                    known.stale = reason
                    changed.append(known.camera)
        return changed

    def _admit(
        self, site: str, camera: str, generation: int, now: float, *, heard: bool
    ) -> LiveCamera | None:
        cameras = self._sites.get(site)
        if cameras is None:
            return None
        known = cameras.get(camera)
        if known is None:
            known = cameras[camera] = LiveCamera(site, camera, heard=now)
            self._site_of[camera] = site
        if generation < known.generation:
            return None
        if generation > known.generation:
            known.generation = generation
            known.state_version = known.summary_version = -1
            known.told = known.last_told = (generation, -1, 0)
            known.trouble = None
        if heard:
            known.heard, known.stale, known.alive = now, None, True
        return known


def without_tracks(state: bytes) -> bytes:
    """The summary inside a state."""
    document = msgspec.json.decode(state)
    document.pop("tracks", None)
    return msgspec.json.encode(document)


def without_news(site: str, camera: str, *, seen: bool) -> bytes:
    """The summary of a camera of which no state is kept: registered and nothing more, or `seen`
    before and not connected now."""
    return msgspec.json.encode(
        Summary(
            camera=camera,
            site=site,
            generation=0,
            version=0,
            offset=0,
            status="offline",
            reason=LINK_LOST if seen else NEVER_SEEN,
            time=None,
            received=None,
            fps=0.0,
            objects={},
            occupancy={},
            counts={},
            severity="info",
            last_event=None,
            health=Health(),
        )
    )


def state_without_news(site: str, camera: str, *, seen: bool) -> bytes:
    """The state of such a camera."""
    return without_news(site, camera, seen=seen)[:-1] + b',"tracks":[]}'


def _online(body: bytes) -> bool:
    return msgspec.json.decode(body, type=_Status).status == "online"


def _marked(body: bytes, stale: str | None) -> bytes:
    if stale is None:
        return body
    document = msgspec.json.decode(body)
    if document.get("status") != "online":
        return (
            body  # what the actor knew last (stale or offline, with its reason) is the worse news
        )
    document["status"] = "stale"
    document["reason"] = stale
    document["unknown_since"] = document.get("unknown_since") or document.get("received")
    return msgspec.json.encode(document)
