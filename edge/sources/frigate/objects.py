"""What Frigate holds open, by camera, as it is remembered over restarts (pure)."""

from typing import Any

import msgspec

from actors.core.messages.observations import Object
from edge.adapters.readings import RefusedInput
from edge.sources.receipts import Memory

FORGET_US = 130_000_000  # of Frigate's clock: more than two of its repetitions
SWEEP_US = 5_000_000  # between looks for forgotten objects
ENDED_KEPT = 256  # ids per camera that ended and are still known
MAX_CAMERAS = 1_024
MAX_NAME = 256  # characters of a camera's name


class OpenObject(msgspec.Struct):
    """An object that Frigate holds. `sub_label` and `learned` came by later updates, which events
    do not repeat."""

    camera: str
    frame_us: int
    seen: Object
    sub_label: str | None = None
    learned: dict[str, Any] = {}


class CameraMemory(msgspec.Struct):
    """`newest_us`: of the frame said last. `away`: receipts in a row far behind it. `settle`: when,
    on our clock, the frame is said again and with what capture time."""

    newest_us: int = 0
    away: int = 0
    settle: tuple[int, int] | None = None


class HeldObjects:
    """Cameras, their open objects, and the ids that ended."""

    def __init__(self, memory: Memory) -> None:
        self.cameras = memory.under("camera/", CameraMemory)
        self._memory = memory
        self._open: dict[str, dict[str, OpenObject]] = {}
        for key, found in memory.under("open/", OpenObject).items():
            self._open.setdefault(found.camera, {})[key] = found
        self._ended: dict[str, dict[str, int]] = {}
        for key, camera in memory.under("ended/", str).items():
            self._ended.setdefault(camera, {})[key] = 1
        self._swept_us = 0
        self._since_us = 0  # of Frigate's clock: nothing from before it is missed yet

    def camera(self, name: str) -> CameraMemory:
        """A camera, made when it is heard of for the first time. Raises :class:`RefusedInput`."""
        found = self.cameras.get(name)
        if found is None:
            if not 0 < len(name) <= MAX_NAME or len(self.cameras) >= MAX_CAMERAS:
                raise RefusedInput("no_camera", f"no name, or more than {MAX_CAMERAS} cameras")
            found = self.cameras[name] = CameraMemory()
        return found

    def here(self, name: str) -> dict[str, OpenObject]:
        """The open objects of a camera by id, oldest first. Not to be changed."""
        return self._open.get(name, {})

    def anywhere(self, key: str) -> OpenObject | None:
        """The open object of that id."""
        return next((here[key] for here in self._open.values() if key in here), None)

    def has_ended(self, name: str, key: str) -> bool:
        """Whether it is over."""
        return key in self._ended.get(name, ())

    def hold(self, key: str, found: OpenObject) -> None:
        """It is open, or changed."""
        self._open.setdefault(found.camera, {})[key] = found
        self._memory.keep(f"open/{key}", found)

    def drop(self, name: str, key: str) -> None:
        """It is not seen any more; an event of it brings it back."""
        self._open.get(name, {}).pop(key, None)
        self._memory.forget(f"open/{key}")

    def end(self, name: str, key: str) -> None:
        """It is over for good."""
        self.drop(name, key)
        ended = self._ended.setdefault(name, {})
        ended[key] = 1
        self._memory.keep(f"ended/{key}", name)
        while len(ended) > ENDED_KEPT:
            oldest = next(iter(ended))
            del ended[oldest]
            self._memory.forget(f"ended/{oldest}")

    def began(self) -> None:
        """Frigate is there again: until its next event nothing is missed."""
        self._since_us = 0

    def forget(self, now_us: int) -> dict[str, int]:
        """Drop what was not heard of for `FORGET_US` of Frigate's clock; how many, by camera. A
        hole in what we heard is not held against them."""
        if not self._since_us or not -FORGET_US < now_us - self._swept_us < FORGET_US:
            self._since_us = now_us
        if self._swept_us <= now_us < self._swept_us + SWEEP_US:
            return {}
        self._swept_us = now_us
        dropped: dict[str, int] = {}
        for name, here in self._open.items():
            for key, found in list(here.items()):
                if now_us - max(found.frame_us, self._since_us) > FORGET_US:
                    self.drop(name, key)
                    dropped[name] = dropped.get(name, 0) + 1
        return dropped
