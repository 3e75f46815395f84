"""Keeps the event streams in Redis within `redis.events_mb` over all cameras and sites, whatever
the size of their events.

Every stream may take an equal share: the budget by the number of keys (`DBSIZE`; what is no stream
makes the share a little smaller). Each publisher counts what it appends, and once that is a quarter
of a share it has the server weigh the stream and cuts the oldest entries off. So a stream is at
most a quarter over its share for each process that writes it, and appending costs nothing. A share
that shrank, because cameras came, is applied to the silent streams of this publisher too. Weighing
and cutting are plain commands: a server that is full refuses scripts, and takes these. Whoever
misses what was cut reads it from PostgreSQL.
"""

import math
import time
from collections.abc import Callable, Iterable

from redis.exceptions import ResponseError

from storage.redis.connection import Command, RedisLink

LOOK_S = 5.0  # seconds between two looks at the number of keys
SLACK = 0.25  # of a share, appended before the stream is weighed
SAMPLES = 8  # nodes of a stream that the server weighs for its answer
BATCH = 256  # streams weighed in one round trip
ENTRY_BYTES = 64  # about what an entry takes beside its payload


class StreamBudget:
    """For one publisher. `total_bytes` over all streams; `clock`: monotonic seconds."""

    def __init__(self, total_bytes: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total_bytes
        self._clock = clock
        self._appended: dict[
            str, int
        ] = {}  # stream → bytes since it was weighed; bounded by the cameras this publisher owned
        self._looked = -math.inf
        self._applied = float(total_bytes)  # the share at the last sweep over all
        self.share_bytes = float(total_bytes)
        self.cut = 0  # entries, ever

    def know(self, streams: Iterable[str]) -> None:
        """Streams that may hold entries of a predecessor."""
        for stream in streams:
            self._appended.setdefault(stream, 0)

    def append(self, stream: str, payload_bytes: int) -> None:
        """An event was appended."""
        self._appended[stream] = self._appended.get(stream, 0) + payload_bytes + ENTRY_BYTES

    async def keep(self, link: RedisLink) -> None:
        """Cut what is over; nearly always nothing is to be done. Raises Unavailable, UnknownOutcome
        (it may be repeated)."""
        if self._clock() - self._looked >= LOOK_S:
            (keys,) = await link.call([("DBSIZE",)], writing=False)
            self._looked = self._clock()
            self.share_bytes = self._total / max(1, keys if isinstance(keys, int) else 1)
        if self.share_bytes < self._applied * (1 - SLACK):
            self._applied = self.share_bytes
            await self._weigh(link, list(self._appended), self.share_bytes)
        else:
            self._applied = max(self._applied, self.share_bytes)
            due = [
                stream for stream, size in self._appended.items() if size > SLACK * self.share_bytes
            ]
            await self._weigh(link, due, self.share_bytes)

    async def give_way(self, link: RedisLink) -> None:
        """The server is full: every stream of this publisher is cut to half of its share."""
        await self._weigh(link, list(self._appended), self.share_bytes / 2)

    async def _weigh(self, link: RedisLink, streams: list[str], share: float) -> None:
        for start in range(0, len(streams), BATCH):
            part = streams[start : start + BATCH]
            questions: list[Command] = []
            for stream in part:
                questions += [("MEMORY", "USAGE", stream, "SAMPLES", SAMPLES), ("XLEN", stream)]
            answers = await link.call(questions, writing=False)
            cuts: list[Command] = []
            for stream, size, entries in zip(part, answers[::2], answers[1::2], strict=True):
                self._appended[stream] = 0
                if (
                    not isinstance(size, ResponseError)
                    and not isinstance(entries, ResponseError)
                    and (size or 0) > share
                ):
                    cuts.append(("XTRIM", stream, "MAXLEN", max(1, int(entries * share / size))))
            self.cut += sum(
                count for count in await link.call(cuts, writing=True) if isinstance(count, int)
            )
