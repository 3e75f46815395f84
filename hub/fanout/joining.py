"""How the race of a subscribe is closed, the same everywhere: buffer what is published, read the
past, merge both (`hub.fanout.recovery`), end the buffer, answer. Nothing is awaited after the
merge.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from actors.core.errors import Unavailable

MAX_BUFFERED = 2_000  # publications held for one subscribe under way

T = TypeVar("T")


class Joining(Generic[T]):
    """The buffers of a channel's subscribes under way."""

    __slots__ = ("_buffers",)

    def __init__(self) -> None:
        self._buffers: list[list[T]] = []

    def __len__(self) -> int:
        return len(self._buffers)

    def publish(self, item: T) -> None:
        """Something was published: every subscribe under way must have it."""
        for buffer in self._buffers:
            if len(buffer) < MAX_BUFFERED:
                buffer.append(item)

    @contextmanager
    def buffer(self) -> Iterator[list[T]]:
        """What is published while the block runs. Raises Unavailable at its end when that was more
        than can be held."""
        buffer: list[T] = []
        self._buffers.append(buffer)
        try:
            yield buffer
            if len(buffer) == MAX_BUFFERED:
                raise Unavailable(
                    f"more than {MAX_BUFFERED} publications came while the subscription was made"
                )
        finally:
            # equal buffers are those of others
            self._buffers = [other for other in self._buffers if other is not buffer]
