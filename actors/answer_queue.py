"""Answers on their way to hubs: what is due in one turn of the loop goes to a hub in one frame of
its link."""

import asyncio
from collections.abc import Callable

from actors.core.messages import deliveries
from actors.core.messages.deliveries import Acked, Answer

Send = Callable[[bytes], None]


class _Outbox:
    __slots__ = ("acks", "answers", "send")

    def __init__(self, send: Send) -> None:
        self.send = send
        self.answers: list[Answer] = []
        self.acks: dict[tuple[str, str], Acked] = {}


class HubAnswers:
    """One outbox per hub that has a link. Acks are cumulative, so only the newest of an edge's
    link is kept, after everything said before it."""

    def __init__(self) -> None:
        self._hubs: dict[str, _Outbox] = {}
        self._due: dict[str, None] = {}

    def linked(self, hub: str, send: Send) -> None:
        """Answers for `hub` go to `send` from now on; those of its older link are dropped: the hub
        attaches anew."""
        self._hubs[hub] = _Outbox(send)

    def unlinked(self, hub: str, send: Send) -> None:
        """That link is over; its hub attaches anew, here or elsewhere."""
        known = self._hubs.get(hub)
        if known is not None and known.send == send:
            del self._hubs[hub]

    def post(self, answer: Answer) -> None:
        """Queue `answer` for the hub of its link; dropped when that hub is not linked any more."""
        hub = hub_of(answer.link)
        outbox = self._hubs.get(hub)
        if outbox is None:
            return
        if isinstance(answer, Acked):
            outbox.acks[answer.camera, answer.link] = answer
        else:
            ack = outbox.acks.pop((answer.camera, answer.link), None)
            if ack is not None:
                outbox.answers.append(ack)
            outbox.answers.append(answer)
        if not self._due:
            asyncio.get_running_loop().call_soon(self.flush)
        self._due[hub] = None

    def flush(self) -> None:
        """Send what is due."""
        due, self._due = self._due, {}
        for hub in due:
            outbox = self._hubs.get(hub)
            if outbox is not None and (outbox.answers or outbox.acks):
                answers = [*outbox.answers, *outbox.acks.values()]
                outbox.answers, outbox.acks = [], {}
                outbox.send(deliveries.encoder.encode(answers))


def hub_of(link: str) -> str:
    """The hub of a link ``<hub>/<socket>``."""
    return link.rpartition("/")[0]
