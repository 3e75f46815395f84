"""Where an edge keeps what is not acked: the port, and memory (the disk: `edge.spool`)."""

from typing import Protocol


class Spool(Protocol):
    """What :class:`edge.stream.Stream` asks of a spool. Raises Unavailable when the disk
    refuses."""

    def append(self, seq: int, body: bytes, *, alarm: bool) -> None:
        """Keep an encoded observation."""

    def get(self, seq: int) -> bytes | None:
        """The body of `seq`, or None when it is damaged."""

    def give_up(self, seqs: list[int], reason: str) -> None:
        """These were shed: forget them, and that they are gaps must survive."""

    def forget(self, seqs: list[int], acked: int) -> None:
        """Everything up to `acked` is durable at the hub; of it `seqs` were held."""

    def rewind(self, acked: int, lost_to: int, reason: str) -> None:
        """The hub knows only up to `acked` any more; the seqs after it up to `lost_to` are gaps."""

    def sync(self) -> None:
        """Bring everything to the disk; blocks for an fsync."""

    def close(self) -> None:
        """A clean end: the session may be continued."""

    def remove(self) -> None:
        """Throw the session away; it is finished."""


class MemorySpool:
    """For sources that can be read again: a recording, a simulation."""

    def __init__(self) -> None:
        self._bodies: dict[int, bytes] = {}

    def append(self, seq: int, body: bytes, *, alarm: bool) -> None:
        """Keep an encoded observation."""
        self._bodies[seq] = body

    def get(self, seq: int) -> bytes | None:
        """The body of `seq`."""
        return self._bodies.get(seq)

    def give_up(self, seqs: list[int], reason: str) -> None:
        """Forget what was shed."""
        self.forget(seqs, 0)

    def forget(self, seqs: list[int], acked: int) -> None:
        """Forget what is acked."""
        for seq in seqs:
            self._bodies.pop(seq, None)

    def rewind(self, acked: int, lost_to: int, reason: str) -> None:
        """Nothing to do."""

    def sync(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""

    def remove(self) -> None:
        """Nothing to do."""
