"""Answers on their way to hubs: a long poll per hub, as `actors.core.messages.deliveries` describes
it."""

import asyncio
import time
from collections.abc import Callable

from actors.core.messages.deliveries import PARK_S, Acked, Answer

# answers held for one hub; a hub that is further behind is taken for dead, its edges attach again
# elsewhere
MAX_ANSWERS = 16_384
FORGET_S = 60.0  # a hub that has not called for this long is forgotten


class _Outbox:
    __slots__ = ("acks", "answers", "called", "changed", "newest")

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.acks: dict[tuple[str, str], Acked] = {}
        self.changed = asyncio.Event()
        self.newest = 0
        self.called = 0.0


class HubAnswers:
    """One outbox per hub. Acks are cumulative, so only the newest of a link is kept, after
    everything said before it."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, park_s: float = PARK_S
    ) -> None:
        self._clock = clock
        self._park_s = park_s
        self._hubs: dict[str, _Outbox] = {}
        self._closed = False

    def post(self, answer: Answer) -> None:
        """Queue `answer` for the hub of its link; dropped when that hub is not known any more."""
        outbox = self._hubs.get(hub_of(answer.link))
        if outbox is None:
            return
        if isinstance(answer, Acked):
            outbox.acks[answer.camera, answer.link] = answer
        else:
            ack = outbox.acks.pop((answer.camera, answer.link), None)
            if ack is not None:
                outbox.answers.append(ack)
            outbox.answers.append(answer)
        if len(outbox.answers) > MAX_ANSWERS:
            del self._hubs[hub_of(answer.link)]
        outbox.changed.set()

    def arrive(self, hub: str) -> int:
        """A call of `hub` is here: an older one that is parked returns. The result names this call
        for :meth:`take`."""
        now = self._clock()
        outbox = self._hubs.get(hub)
        if outbox is None:
            for name in [
                name for name, known in self._hubs.items() if now - known.called > FORGET_S
            ]:
                del self._hubs[name]
            outbox = self._hubs[hub] = _Outbox()
        outbox.called = now
        outbox.newest += 1
        outbox.changed.set()
        return outbox.newest

    async def take(self, hub: str, call: int) -> list[Answer]:
        """What is due to `hub`; held until something is, a newer call arrives or `PARK_S`
        passes."""
        outbox = self._hubs.get(hub)
        if outbox is None:
            return []
        try:
            async with asyncio.timeout(self._park_s):
                while (
                    not (outbox.answers or outbox.acks)
                    and outbox.newest == call
                    and not self._closed
                ):
                    outbox.changed.clear()
                    await outbox.changed.wait()
        except TimeoutError:
            return []
        answers = [*outbox.answers, *outbox.acks.values()]
        outbox.answers, outbox.acks = [], {}
        return answers

    def close(self) -> None:
        """Every parked call returns, with what there is."""
        self._closed = True
        for outbox in self._hubs.values():
            outbox.changed.set()


def hub_of(link: str) -> str:
    """The hub of a link ``<hub>/<socket>``."""
    return link.rpartition("/")[0]
