"""A queue in which every camera has its turn: in order within a camera, one item of each in a round
(pure)."""

from collections import deque


class FairQueue:
    """Encoded items by camera. `bytes` is their sum; the caller keeps the bound."""

    __slots__ = ("_count", "_lines", "bytes")

    def __init__(self) -> None:
        self._lines: dict[str, deque[bytes]] = {}
        self._count = 0
        self.bytes = 0

    def __len__(self) -> int:
        return self._count

    def put(self, camera: str, item: bytes) -> None:
        """Add an item behind those of its camera."""
        self._lines.setdefault(camera, deque()).append(item)
        self._count += 1
        self.bytes += len(item)

    def take(self, max_bytes: int, max_items: int) -> list[bytes]:
        """The next items, at least one where there is any: round by round, at most `max_bytes` (but
        for the first) and `max_items`."""
        taken: list[bytes] = []
        size = 0
        while self._lines and len(taken) < max_items:
            camera, line = next(iter(self._lines.items()))
            if taken and size + len(line[0]) > max_bytes:
                break
            item = line.popleft()
            del self._lines[camera]
            if line:
                self._lines[camera] = line  # to the end of the round
            taken.append(item)
            size += len(item)
        self._count -= len(taken)
        self.bytes -= size
        return taken

    def clear(self) -> None:
        """Forget everything."""
        self._lines.clear()
        self._count = self.bytes = 0
