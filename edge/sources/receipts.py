"""What a mapping is given and what it gives back (pure)."""

from collections import Counter
from typing import Any, Protocol, TypeVar

import msgspec

from actors.core.messages.observations import Observation

T = TypeVar("T")


class Receipt(msgspec.Struct, frozen=True):
    """One message of an origin. `received_us`: our clock, Unix microseconds. `retained`: a broker
    kept it from before the subscription. `again`: the origin sends it once more, whether we had it
    or not."""

    topic: str
    payload: bytes
    received_us: int
    retained: bool = False
    again: bool = False


class Given(msgspec.Struct, frozen=True):
    """An observation of the camera that the origin calls `source`."""

    source: str
    observation: Observation


class Presence(msgspec.Struct, frozen=True):
    """The origin says that it does not see this camera any more (`reason`, one word), or sees it
    again (None)."""

    source: str
    reason: str | None


Outcome = Given | Presence


class Memory:
    """What a mapping must know after a restart: values by key, and which of them changed. Values
    are structs, lists, dicts, texts and numbers; read back they are converted to the wanted
    type."""

    def __init__(self, kept: dict[str, Any] | None = None) -> None:
        self.kept: dict[str, Any] = dict(kept or {})
        self._changes: dict[str, Any] = {}

    def keep(self, key: str, value: Any) -> None:
        """Remember `value`. One that is changed in place afterwards must be kept again."""
        self.kept[key] = value
        self._changes[key] = value

    def forget(self, key: str) -> None:
        """Remember `key` no more."""
        if self.kept.pop(key, None) is not None:
            self._changes[key] = None

    def read(self, key: str, kind: type[T]) -> T | None:
        """The value of `key` as a `kind`, or None."""
        found = self.kept.get(key)
        return None if found is None else msgspec.convert(found, kind)

    def under(self, prefix: str, kind: type[T]) -> dict[str, T]:
        """All values whose keys begin with `prefix`, by the rest of the key, in the order in which
        they were first kept."""
        return {
            key[len(prefix) :]: msgspec.convert(value, kind)
            for key, value in self.kept.items()
            if key.startswith(prefix)
        }

    @property
    def changed(self) -> bool:
        """Whether `changes` has anything."""
        return bool(self._changes)

    def changes(self) -> dict[str, Any]:
        """What changed since the last call; None for what was forgotten."""
        changed, self._changes = self._changes, {}
        return changed


class Mapping(Protocol):
    """Receipts in, observations out. It holds no clock: all that it knows is in its memory."""

    counts: Counter[str]  # receipts that gave nothing, by reason

    def present(self) -> list[Outcome]:
        """Which cameras the origin sees, as far as it told before."""
        ...

    def receive(self, receipt: Receipt) -> list[Outcome]:
        """What a receipt tells. Raises :class:`edge.adapters.readings.RefusedInput`."""
        ...

    def due(self, now_us: int) -> list[Outcome]:
        """What time alone brings."""
        ...

    def due_us(self) -> int | None:
        """When `due` may next give something, on the clock of `received_us`."""
        ...
