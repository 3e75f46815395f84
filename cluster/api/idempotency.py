"""`Idempotency-Key` for what leaves nothing behind in PostgreSQL
(draft-ietf-httpapi-idempotency-key-header): answers kept in memory.

Operations keep their keys in PostgreSQL, in the transaction that stores them; here are plans,
cancellations and profiles, of which a repetition after a restart of the supervisor harms nobody.
"""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import msgspec
from starlette.responses import Response

from actors.core.errors import BadInput, Conflict, KeyReused
from cluster.api.models import Input
from hub.web.openapi import IDEMPOTENCY_KEY
from storage.ports.cluster import KEY_LIFE_S

MAX_ANSWERS = 1_000
MAX_BYTES = 16 * 1024 * 1024  # of all answers together


class _Key(Input, frozen=True):
    key: IDEMPOTENCY_KEY


class _Kept(msgspec.Struct):
    request: bytes
    until: float
    answer: Response | None = None  # None: it is under way


class Answers:
    """Answers by (who, key). `now`: monotonic seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._bytes = 0

    async def once(
        self, who: str, key: str, request: bytes, work: Callable[[], Awaitable[Response]]
    ) -> Response:
        """The answer kept for this key, or that of `work`, which is then kept; without a key
        nothing is.

        Raises KeyReused when the key came with another `request`, Conflict while the first one is
        under way.
        """
        if not key:
            return await work()
        self._forget()
        kept = self._kept.get((who, key))
        if kept is not None:
            if kept.request != request:
                raise KeyReused("this idempotency key came with another request")
            if kept.answer is None:
                raise Conflict(
                    "the first request with this idempotency key is under way",
                    hint="Send it again when it has been answered.",
                )
            return kept.answer
        kept = self._kept[who, key] = _Kept(request, self._now() + KEY_LIFE_S)
        try:
            answer = await work()
        except BaseException:
            self._kept.pop((who, key), None)  # what failed may be tried again under its key
            raise
        kept.answer = answer
        self._bytes += len(answer.body)
        return answer

    def _forget(self) -> None:
        while self._kept:
            first = next(iter(self._kept.values()))
            if (
                first.until > self._now()
                and len(self._kept) < MAX_ANSWERS
                and self._bytes <= MAX_BYTES
            ):
                return
            _, gone = self._kept.popitem(last=False)
            self._bytes -= 0 if gone.answer is None else len(gone.answer.body)


def key_of(header: str | None) -> str:
    """The key of a request, empty where there is none. Raises BadInput for one that is none."""
    if header is None:
        return ""
    try:
        return msgspec.convert({"key": header}, _Key).key
    except msgspec.ValidationError as error:
        raise BadInput("an idempotency key is 1 to 128 letters, digits and . _ : -") from error
