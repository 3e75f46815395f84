"""What the registry and people ask of an actor process: new scenes, deleted cameras, dead letters
to replay.

A hub that has changed the registry asks the actor to look; the actor looks by itself every `LOOK_S`
too, so a call that was missed heals. The registry is read here again, whoever asked: what was said
in between does not matter.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec

from actors.activation import ActorStores
from actors.core.camera import dead_letters
from actors.core.camera.core import ClearAlert, Configure, ResetCounts
from actors.core.errors import Conflict, EyrieError, NotFound, Unavailable
from actors.core.messages.commits import CommitRow
from actors.core.messages.registry import read_scene
from actors.hosted_camera import Hosted
from storage.ports.registry import SceneChange

LOOK_S = 2.0  # seconds between two looks at the registry
SETTLE_S = 5.0  # seconds that the last commit of a deleted camera may take
REPLAY_S = 3.0  # seconds that the commit of a replay or a reset may take

log = logging.getLogger("eyrie.actors.registry")


class RegistrySyncHost(Protocol):
    """What the registry sync asks of its actor (`actors.camera_actor`)."""

    def step(self, hosted: Hosted, items: Sequence[Configure | ResetCounts | ClearAlert]) -> None:
        """Step a camera and carry the effects out."""

    def commit_soon(self, hosted: Hosted) -> None:
        """Something of `hosted` waits for its commit."""

    async def release(self, cameras: Sequence[str], reason: str = ..., *, code: int = ...) -> None:
        """Commit what is stepped, then stop hosting; links are dismissed with `code`."""


class RegistrySync:
    """Over the cameras of one process. `now_us` is our clock, microseconds since 1970."""

    def __init__(
        self,
        stores: ActorStores,
        cameras: dict[str, Hosted],
        host: RegistrySyncHost,
        *,
        now_us: Callable[[], int],
    ) -> None:
        self._stores = stores
        self._cameras = cameras
        self._host = host
        self._now_us = now_us
        self._unreadable: dict[str, int] = {}
        self._replaying: dict[int, asyncio.Event] = {}
        self._resetting: dict[tuple[str, str, int], asyncio.Event] = {}
        self._ended = False

    async def run(self) -> None:
        """Look again and again until :meth:`end`, or cancelled."""
        while not self._ended:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except EyrieError as error:
                log.info("the registry cannot be read now, scenes stay as they are: %s", error)

    def end(self) -> None:
        """The loop ends at its next turn."""
        self._ended = True

    async def look(self, cameras: Iterable[str] | None = None) -> dict[str, int]:
        """Compare `cameras` (by default all) with the registry and follow it; camera → the scene
        version in force, of those hosted here.

        Raises Unavailable when the registry cannot be read.
        """
        wanted = [
            camera
            for camera in (self._cameras if cameras is None else cameras)
            if (h := self._cameras.get(camera)) and _active(h)
        ]
        known = {
            camera: self._unreadable.get(camera, self._cameras[camera].core.scene_version)
            for camera in wanted
        }
        if known:
            for change in await self._stores.registry.changed_scenes(known):
                await self._follow(change)
        return {
            camera: self._cameras[camera].core.scene_version
            for camera in wanted
            if camera in self._cameras
        }

    async def replay(self, letter: int, by: str) -> str:
        """Replay a dead letter of a camera hosted here; the id of its event, committed.

        Raises NotFound, Conflict (handled already, or still refused), Unavailable (not hosted here
        now, or the commit is late: ask again).
        """
        if letter in self._replaying:
            raise Conflict(f"dead letter {letter} is being replayed")
        moved = self._replaying[letter] = asyncio.Event()
        try:
            return await self._replay(letter, by, moved)
        finally:
            del self._replaying[letter]

    async def reset_counts(
        self, camera: str, lines: Sequence[str] | None, reason: str | None
    ) -> str:
        """Let lines (None: all) of a camera hosted here count from zero; the id of its event,
        committed.

        Raises NotFound when it has none of these lines, Unavailable (not hosted here now, a session
        opens, or the commit is late).
        """
        item = ResetCounts(None if lines is None else list(lines), reason)
        nothing = NotFound(
            f"camera {camera} has no such line", hint="GET its scene; it lists the lines."
        )
        return await self._command(camera, item, nothing)

    async def clear_alert(self, camera: str, rule: str, place: str) -> str:
        """End the raised alert of a camera hosted here; the id of its event, committed.

        Raises Conflict when it is not raised, Unavailable (not hosted here now, a session opens, or
        the commit is late).
        """
        over = Conflict(f"alert {rule} of camera {camera} is not raised", hint="Look at it again.")
        return await self._command(camera, ClearAlert(rule, place), over)

    async def _command(
        self, camera: str, item: ResetCounts | ClearAlert, nothing: EyrieError
    ) -> str:
        """The id of the event of `item`, committed. Raises `nothing` where it makes none."""
        hosted = self._cameras.get(camera)
        if hosted is None or not _active(hosted) or hosted.core.order.opening:
            raise Unavailable(f"camera {camera} is not hosted here now")
        before = hosted.core.journal.offset
        self._host.step(hosted, [item])
        journal = hosted.core.journal
        if journal.offset == before or journal.last is None:
            raise nothing
        event, key = journal.last.id, (camera, journal.epoch, journal.offset)
        moved = self._resetting.setdefault(key, asyncio.Event())
        self._host.commit_soon(hosted)
        try:
            async with asyncio.timeout(REPLAY_S):
                await moved.wait()
        except TimeoutError:
            raise Unavailable(
                f"what was asked of {camera} is not committed after {REPLAY_S:g} s",
                hint="Read its state before again.",
            ) from None
        finally:
            self._resetting.pop(key, None)
        return event

    def committed(self, row: CommitRow) -> None:
        """`row` moved: its replays and resets are durable."""
        for (camera, epoch, offset), waiting in self._resetting.items():
            if (camera, epoch) == (row.camera, row.after.epoch) and offset <= row.after.last_offset:
                waiting.set()
        for replayed in row.replayed:
            if (moved := self._replaying.get(replayed.letter)) is not None:
                moved.set()

    async def _replay(self, number: int, by: str, moved: asyncio.Event) -> str:
        generations = {camera: hosted.generation for camera, hosted in self._cameras.items()}
        letter = await self._stores.dead_letters.get(number)
        if letter is None:
            raise NotFound(f"there is no dead letter {number}")
        if letter.status != "new":
            raise Conflict(f"dead letter {number} was {letter.status} already")
        hosted = self._cameras.get(letter.camera)
        # Read under another generation the letter may be marked by a commit whose outcome was not
        # known then.
        if (
            hosted is None
            or not _active(hosted)
            or hosted.generation != generations.get(letter.camera)
        ):
            raise Unavailable(f"camera {letter.camera} is not hosted here now")
        known = dead_letters.ReplayedLetter(
            number, letter.session, letter.seq, letter.code, letter.raw, by
        )
        event = dead_letters.replay(hosted.core, known, self._now_us())
        self._host.commit_soon(hosted)
        try:
            async with asyncio.timeout(REPLAY_S):
                await moved.wait()
        except TimeoutError:
            raise Unavailable(
                f"the replay of dead letter {number} is not committed after {REPLAY_S:g} s",
                hint="Read its status before anything else.",
            ) from None
        log.info(
            "dead letter %d of camera %s was replayed by %s as %s", number, letter.camera, by, event
        )
        return event

    async def _follow(self, change: SceneChange) -> None:
        hosted = self._cameras.get(change.camera)
        if hosted is None or not _active(hosted):
            return
        if change.scene is None:
            log.info("camera %s was deleted", change.camera)
            try:
                async with asyncio.timeout(SETTLE_S):
                    await self._host.release(
                        [change.camera], "the camera was deleted", code=NotFound.close_code
                    )
            except TimeoutError:
                log.warning("the last commit of deleted camera %s is late", change.camera)
            return
        try:
            scene = read_scene(change.scene)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.error(
                "camera %s goes on under scene %d: %d cannot be read: %s",
                hosted.camera,
                hosted.core.scene_version,
                change.version,
                error,
            )
            self._unreadable[change.camera] = change.version
            return
        self._unreadable.pop(change.camera, None)
        self._host.step(hosted, [Configure(scene, change.version)])
        log.info("camera %s goes on under scene %d", change.camera, change.version)


def _active(hosted: Hosted) -> bool:
    return hosted.phase == "active" and not hosted.leaving
