"""The hub's side of decisions: a cache in front of the policy actor that fails closed.

A storm of clients with the same permissions costs one evaluation: equal questions in flight wait
for one answer (single flight), and questions that arrive together travel in one call. Everything is
bounded: cached entries, waiting questions, calls in flight, waiting time.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import msgspec

from actors.core.errors import EyrieError
from actors.core.settings import PolicySettings
from actors.core.task_set import TaskSet
from policy.decision import bounds
from policy.decision.messages import DecisionReply, decode_reply, encode_questions
from policy.decision.model import Decision, DecisionInput

log = logging.getLogger(__name__)

MAX_WAITING = 10_000  # distinct questions without an answer yet
MAX_CALLS = 2  # in flight at once
ASKED_AT_ONCE = (
    64  # questions in one call: a slow engine must answer all of them within the deadline of each
)
CATCH_UP_S = 0.25  # between two probes while the policy actors answer by another revision
PROBE = DecisionInput("connect", {}, {"kind": "dashboard"})
_PROBED = bounds.canonical(PROBE) or b""

Call = Callable[[bytes], Awaitable[bytes]]


class EnforcerStats(msgspec.Struct):
    """Counts since the start, for metrics."""

    hits: int = 0
    shared: int = 0
    evaluated: int = 0
    calls: int = 0
    unavailable: int = 0
    behind: int = 0  # answers of another revision than the one in force


class Enforcer:
    """`policy.decision.model.Decider`. `call` sends encoded questions to a policy actor and raises
    an EyrieError or TimeoutError when it cannot.

    `now` tells seconds since 1970, for decisions that end at a moment; `steady` those of a clock
    that nobody sets, for how old the policy may be. Use it in one event loop only; `close` ends
    what is in flight.
    """

    def __init__(
        self,
        call: Call,
        settings: PolicySettings,
        *,
        now: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        must_be_fresh: bool = False,
    ) -> None:
        self.revision = ""
        self.stats = EnforcerStats()
        self._call = call
        self._settings = settings
        self._now = now
        self._steady = steady
        self._cache: OrderedDict[bytes, Decision] = OrderedDict()
        self._waiting: OrderedDict[bytes, tuple[DecisionInput, asyncio.Future[Decision]]] = (
            OrderedDict()
        )
        self._flying: dict[bytes, asyncio.Future[Decision]] = {}
        self._tasks = TaskSet(log)
        self._calls = 0  # in flight
        self._starting: asyncio.Handle | None = None
        self._announced = False
        self._must_be_fresh = must_be_fresh
        self._fresh_until = float("-inf")
        self._listeners: list[Callable[[str], None]] = []
        self._closed = False
        self._behind = False
        self._catching_up = False

    @property
    def behind(self) -> bool:
        """Whether the last answer came from another revision than the one in force: the policy
        actors have not loaded it, or refuse to."""
        return self._behind

    async def decide(self, question: DecisionInput) -> Decision:
        """The decision; deny with reason ``policy_unavailable`` when none can be had in
        `decide_timeout_s`. Never raises for a question."""
        key = bounds.canonical(question)
        if key is None:
            return bounds.denied(bounds.BAD_QUESTION, self.revision)
        if self._must_be_fresh and self._steady() > self._fresh_until:
            return bounds.denied(bounds.POLICY_STALE, self.revision)
        if (found := self._cached(key)) is not None:
            self.stats.hits += 1
            return found
        future = self._ask(key, question)
        if future is None:
            return self._unavailable()
        try:
            async with asyncio.timeout(self._settings.decide_timeout_s):
                return await asyncio.shield(future)
        except TimeoutError:
            return self._unavailable()

    def mark_fresh(self, now: float, revision: str | None = None) -> None:
        """The store was read at `now` (steady clock): access may be given for `max_age_s` more.
        From the first call on, staleness denies.

        `revision` is the active one as read; from the first time it is given, only its decisions
        are cached.
        """
        self._must_be_fresh = True
        self._fresh_until = now + self._settings.max_age_s
        if revision is not None:
            self._announced = True
            self._adopt(revision)

    def on_revision(self, listener: Callable[[str], None]) -> None:
        """`listener(revision)` is called after the cache was dropped for a new revision: open
        subscriptions must be asked about again."""
        self._listeners.append(listener)

    def drop(self) -> None:
        """Forget every cached decision."""
        self._cache.clear()

    async def close(self) -> None:
        """End the calls in flight; who waits is denied, and so is who asks later."""
        self._closed = True
        if self._starting is not None:
            self._starting.cancel()
        await self._tasks.close()
        self._resolve({key: future for key, (_, future) in self._waiting.items()}, {})
        self._waiting.clear()

    def _cached(self, key: bytes) -> Decision | None:
        found = self._cache.get(key)
        if found is None:
            return None
        if found.valid_until is not None and self._now() >= found.valid_until:
            del self._cache[key]
            return None
        self._cache.move_to_end(key)
        return found

    def _ask(self, key: bytes, question: DecisionInput) -> asyncio.Future[Decision] | None:
        future = self._flying.get(key)
        if future is None and key in self._waiting:
            future = self._waiting[key][1]
        if future is not None:
            self.stats.shared += 1
            return future
        if self._closed or len(self._waiting) >= MAX_WAITING:
            return None
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._waiting[key] = (question, future)
        if self._starting is None:
            # One turn of the loop later: whatever arrives in this turn goes in the same call.
            self._starting = loop.call_soon(self._start_calls)
        return future

    def _start_calls(self) -> None:
        self._starting = None
        while self._waiting and self._calls < MAX_CALLS:
            batch = [
                self._waiting.popitem(last=False)
                for _ in range(min(len(self._waiting), ASKED_AT_ONCE))
            ]
            flight = {key: future for key, (_, future) in batch}
            self._flying.update(flight)
            self._calls += 1
            work = self._fly([question for _, (question, _) in batch], flight)
            self._tasks.spawn(work, "policy-call").add_done_callback(self._landed)

    def _landed(self, _: asyncio.Task[None]) -> None:
        self._calls -= 1
        if self._waiting and self._starting is None and not self._closed:
            self._start_calls()

    async def _fly(
        self, questions: list[DecisionInput], flight: dict[bytes, "asyncio.Future[Decision]"]
    ) -> None:
        made: dict[bytes, Decision] = {}
        try:
            self.stats.calls += 1
            self.stats.evaluated += len(questions)
            async with asyncio.timeout(self._settings.decide_timeout_s):
                reply = decode_reply(await self._call(encode_questions(questions)))
            if len(reply.decisions) == len(questions):
                made = dict(zip(flight, reply.decisions, strict=True))
                self._keep(reply, made)
            else:
                log.error(
                    "policy call failed: %d decisions for %d questions",
                    len(reply.decisions),
                    len(questions),
                )
        except (EyrieError, TimeoutError, msgspec.DecodeError) as error:
            log.warning("policy call failed: %s: %s", type(error).__name__, error)
        finally:
            for key in flight:
                self._flying.pop(key, None)
            self._resolve(flight, made)

    def _resolve(
        self, flight: dict[bytes, "asyncio.Future[Decision]"], made: dict[bytes, Decision]
    ) -> None:
        for key, future in flight.items():
            if not future.done():
                future.set_result(
                    made.get(key) or bounds.denied(bounds.POLICY_UNAVAILABLE, self.revision)
                )

    def _keep(self, reply: DecisionReply, made: dict[bytes, Decision]) -> None:
        if not self._announced:
            self._adopt(reply.revision)
        if reply.revision != self.revision:
            # An actor that still has another revision answers for the moment; its answers are not
            # kept, and asked again later.
            self.stats.behind += 1
            self._behind = True
            if not self._catching_up and not self._closed:
                self._catching_up = True
                self._tasks.spawn(self._catch_up(), "policy-catch-up")
            return
        if self._behind:
            self._behind = False
            self._tell()
        for key, decision in made.items():
            if decision.reason not in bounds.UNCACHED:
                self._cache[key] = decision
        while len(self._cache) > self._settings.cache_entries:
            self._cache.popitem(last=False)

    def _adopt(self, revision: str) -> None:
        if revision == self.revision:
            return
        before, self.revision = self.revision, revision
        self._cache.clear()
        self._flying.clear()  # who asks from now on must not share an answer of the revision before
        log.info("policy revision %s is in force", revision[:12])
        if before:
            self._tell()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener(self.revision)

    async def _catch_up(self) -> None:
        """Ask, whoever else asks, until the revision in force answers: what older ones answered
        meanwhile has then to be asked again."""
        while self._behind and not self._closed:
            await asyncio.sleep(CATCH_UP_S)
            self._cache.pop(
                _PROBED,
                None,
                # another replica may have answered it by the revision in force: that says nothing
                # of this one
            )
            await self.decide(PROBE)
        self._catching_up = False

    def _unavailable(self) -> Decision:
        self.stats.unavailable += 1
        return bounds.denied(bounds.POLICY_UNAVAILABLE, self.revision)
