"""What a replay tells: where every message went, and how far it is."""

from collections import Counter

import msgspec

from actors.core.messages.object_faults import LEFT_OUT, MENDED, TOO_MANY
from actors.core.messages.observations import MAX_OBJECTS, Observation
from actors.core.times import rfc3339
from edge.adapters.readings import DroppedObject, ReadMessage, Rejection

MAX_STEPS = 256  # steps of clocks kept; the rest are only counted
MAX_REMARKS = 64  # different remarks kept; the rest count as one
OTHER_REMARKS = "other remarks"
_BEYOND = DroppedObject(TOO_MANY, f"more than {MAX_OBJECTS} objects in the messages of one frame")


class ClockStep(msgspec.Struct, frozen=True):
    """A camera's capture time went on elsewhere: set back, or more than a day ahead; one wrong
    stamp is a step there and a step back."""

    camera: str
    before: str
    after: str
    step_s: float


class ReplayAccount(msgspec.Struct):
    """Where every message went.

    `rejected` is by reason, and so are `dropped_objects` and `mended_objects` (clipped, or sent
    without what was wrong); `remarks` and `unknown_fields` are by what they name. `other_cameras`
    were left out by `--camera`. `objects` were sent. Several messages of one frame (DeepStream's
    full schema) each count, `frames` counts them once. `clock_steps` are the first `MAX_STEPS` of
    `clocks_stepped`, none of which lost a message.
    """

    messages: int = 0
    committed: int = 0
    duplicate: int = 0
    rejected: dict[str, int] = {}
    other_cameras: int = 0
    unsettled: int = 0
    frames: int = 0
    objects: int = 0
    dropped_objects: dict[str, int] = {}
    mended_objects: dict[str, int] = {}
    unknown_fields: dict[str, int] = {}
    remarks: dict[str, int] = {}
    clock_steps: list[ClockStep] = []
    clocks_stepped: int = 0
    resent: int = 0
    connections: int = 0
    cameras: int = 0
    refused_cameras: dict[str, str] = {}

    @property
    def adds_up(self) -> bool:
        """Every message is committed, duplicate, rejected with a reason, or was not asked for."""
        known = self.committed + self.duplicate + sum(self.rejected.values()) + self.other_cameras
        return known == self.messages and self.unsettled == 0

    @property
    def useless(self) -> bool:
        """Nothing of the recording could be used: no message, or no object where there were
        some."""
        used = self.committed + self.duplicate + self.other_cameras
        lost = sum(count for code, count in self.dropped_objects.items() if code != "ignored")
        return not used or (not self.objects and lost > 0 and not self.other_cameras)


class ReplayProgress(msgspec.Struct, frozen=True):
    """How far it is: bytes of the recording read, messages read, and messages settled (acked or
    rejected)."""

    read_bytes: int
    total_bytes: int
    messages: int
    settled: int


class Tally:
    """Counts what the adapter and the sorter said, and which observations stand for several
    messages."""

    def __init__(self) -> None:
        self.rejected: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.remarks: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()
        self.steps: list[ClockStep] = []
        self.stepped_count = 0
        self.frames = 0
        self.objects = 0
        self._further: dict[str, list[tuple[int, int]]] = {}

    def read(self, seen: ReadMessage) -> None:
        """A message was read."""
        self.dropped.update(dropped.code for dropped in seen.dropped if dropped.code not in MENDED)
        self._count(self.remarks, seen.remarks)

    def refused(self, rejection: Rejection, messages: int = 1) -> None:
        """A message, or the frame of several, was rejected."""
        self.rejected[rejection.code] += messages
        self._count(self.unknown, rejection.fields)

    def stepped(self, camera: str, before_us: int, after_us: int) -> None:
        """A camera's clock went from one time to another."""
        self.stepped_count += 1
        if len(self.steps) < MAX_STEPS:
            self.steps.append(
                ClockStep(
                    camera,
                    rfc3339(before_us),
                    rfc3339(after_us),
                    (after_us - before_us) / 1_000_000,
                )
            )

    def sent(self, camera: str, ordinal: int, seen: ReadMessage, messages: int) -> None:
        """The observation number `ordinal` of a camera's stream stands for so many messages."""
        self.frames += 1
        self.objects += len(seen.observation.objects or [])
        self.dropped.update(
            dropped.code for dropped in seen.dropped if dropped is _BEYOND
        )  # nobody counted these yet
        if messages > 1:
            self._further.setdefault(camera, []).append((ordinal, messages - 1))

    def further(self, camera: str, ordinal: int) -> int:
        """Messages beyond the first of a camera's first `ordinal` observations."""
        return sum(more for at, more in self._further.get(camera, []) if at <= ordinal)

    @staticmethod
    def _count(counter: Counter[str], texts: list[str]) -> None:
        for text in texts:
            counter[text if text in counter or len(counter) < MAX_REMARKS else OTHER_REMARKS] += 1


def told(seen: ReadMessage) -> Observation:
    """The observation to send: it says what the adapter left out of it or changed, for the camera's
    `health`."""
    faults = Counter(
        dropped.code
        for dropped in seen.dropped
        if dropped.code in LEFT_OUT or dropped.code in MENDED
    )
    return (
        msgspec.structs.replace(seen.observation, faults=dict(faults))
        if faults
        else seen.observation
    )


def frames(ready: list[ReadMessage]) -> list[tuple[ReadMessage, int]]:
    """Sorted messages of one camera as frames, each with the number of its messages: neighbours of
    one time that are parts are joined."""
    joined: list[tuple[ReadMessage, int]] = []
    for seen in ready:
        before = joined[-1][0] if joined else seen
        objects = [*(before.observation.objects or []), *(seen.observation.objects or [])]
        if (
            joined
            and before.part
            and seen.part
            and before.observation.time == seen.observation.time
        ):
            beyond = [_BEYOND] * max(len(objects) - MAX_OBJECTS, 0)
            observation = msgspec.structs.replace(before.observation, objects=objects[:MAX_OBJECTS])
            whole = msgspec.structs.replace(
                before, observation=observation, dropped=[*before.dropped, *seen.dropped, *beyond]
            )
            joined[-1] = (whole, joined[-1][1] + 1)
        else:
            joined.append((seen, 1))
    return joined
