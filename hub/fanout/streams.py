"""The events lane of one stream (a camera's, or a site's in Redis) inside a hub: in order, each
once, no hole passed on (pure).

Publications may be missing after a silent resubscription. The lane passes on what continues its
position, drops what lies behind it, and holds what lies beyond a hole until the shell has read the
missing ones from the Redis stream or PostgreSQL.
"""

import msgspec

from hub.fanout.recovery import Item, merge

# publications held while a hole is being filled; beyond it the subscribers must recover by
# themselves
MAX_HELD = 2_000


class TopicPosition:
    """Position of one stream; `epoch` is empty until it is known."""

    __slots__ = ("_held", "epoch", "filling", "offset")

    def __init__(self) -> None:
        self.epoch = ""
        self.offset = 0
        self.filling = False
        self._held: dict[int, Item] = {}

    @property
    def known(self) -> bool:
        """Whether the lane has a position."""
        return bool(self.epoch)

    def start(self, epoch: str, offset: int) -> None:
        """Take a position: what comes next is `offset` + 1."""
        self.epoch, self.offset = epoch, offset
        self.filling = False
        self._held.clear()

    def receive(self, epoch: str, item: Item) -> "list[Item] | MissingPublications | StreamReset":
        """A publication: what can be passed on now, or what stands in the way."""
        if not self.known:
            self.start(epoch, item.offset)
            return [item]
        if epoch != self.epoch:
            return StreamReset(epoch, item)
        if item.offset <= self.offset:
            return []
        if item.offset == self.offset + 1 and not self.filling:
            self.offset = item.offset
            return [item]
        if len(self._held) >= MAX_HELD:
            return StreamReset(epoch, item)
        self._held[item.offset] = item
        if self.filling:
            return []
        self.filling = True
        return MissingPublications(self.offset)

    def lacks(self, offset: int) -> "MissingPublications | None":
        """Somebody says that `offset` exists: is there a hole to fill?"""
        if not self.known or self.filling or offset <= self.offset:
            return None
        self.filling = True
        return MissingPublications(self.offset)

    def fill(self, found: list[Item]) -> list[Item] | None:
        """What was read after the hole: everything to pass on now, None when the hole stays (then
        :meth:`start` afresh)."""
        merged = merge(found, list(self._held.values()), self.offset)
        self.filling = False
        self._held.clear()
        if merged is None:
            return None
        if merged:
            self.offset = merged[-1].offset
        return merged


class MissingPublications(msgspec.Struct, frozen=True):
    """Publications after `after` are missing."""

    after: int


class StreamReset(msgspec.Struct, frozen=True):
    """The stream has another epoch now (or far too much is missing): subscribers must start
    again."""

    epoch: str
    item: Item
