"""What the policy actor does, without the actor: it owns the engine of this process and answers
batches of questions."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from actors.core.errors import BadInput, Unavailable
from actors.core.settings import Settings
from policy.actor.background import DecisionLogWriter, ShadowWriter
from policy.actor.decision_log import DecisionQueue
from policy.actor.follower import Job, PolicyFollower
from policy.decision import bounds
from policy.decision.messages import DecisionReply, decode_questions, encode_reply
from policy.decision.model import Decision, DecisionInput, Engine
from policy.engine.modules import read_sources, revision
from policy.engine.opa_engine import OpaEngine
from policy.engine.rego_engine import RegoEngine
from policy.identity.keys import read_secret

log = logging.getLogger(__name__)

FIRST = "policy-0"  # one replica writes to OPA and follows shadows, the others only decide

Heard = Callable[[list[DecisionInput], list[Decision]], None]


def make_engine(settings: Settings, sources: Mapping[str, str], *, push: bool = False) -> Engine:
    """The engine the settings name: OPA where `opa.url` is set, else the embedded one. `push`
    brings `sources` to the OPA server.

    Raises ConfigError, and Unavailable when the server does not take them.
    """
    if not settings.opa.url:
        return RegoEngine(sources)
    engine = OpaEngine(settings.opa, revision(sources))
    if push:
        engine.push(sources)
    return engine


class PolicyActor:
    """Owns the engine. Blocking: the caller keeps the deadline, and whoever runs this process
    replaces it when it overruns.

    The engine may be replaced by another thread at any moment; a batch is answered by one of them.
    """

    def __init__(self, engine: Engine | None, heard: Heard | None = None) -> None:
        self._engine = engine
        self._heard = heard
        self._follower: PolicyFollower | None = None

    @classmethod
    def from_settings(cls, settings: Settings, *, name: str = FIRST) -> "PolicyActor":
        """The actor that the settings ask for: with a key it follows the store, else it has the
        modules of the settings for good.

        Raises ConfigError, Unavailable.
        """
        if not settings.policy.key_file:
            return cls(
                make_engine(
                    settings, read_sources(settings.policy.rego_dir), push=settings.opa.push
                )
            )
        queue = DecisionQueue()
        made = cls(None, queue.add)
        first = name == FIRST
        jobs: list[Job] = [DecisionLogWriter(queue, settings.policy)]
        if first:
            jobs.append(ShadowWriter(lambda: read_secret(Path(settings.policy.key_file))))
        push = first and settings.opa.push
        made._follower = PolicyFollower(
            settings,
            name,
            lambda modules: make_engine(settings, modules, push=push),
            made.use,
            tuple(jobs),
        )
        made._follower.start()
        if made._engine is None:
            reason = made._follower.refused or "the store was not read in time"
            made.close()
            raise Unavailable(f"there is no policy that may decide: {reason}")
        return made

    @property
    def revision(self) -> str:
        """The revision that decides; empty when none does."""
        engine = self._engine
        return "" if engine is None else engine.revision

    def use(self, engine: Engine) -> None:
        """From now on this one decides."""
        self._engine = engine

    def close(self) -> None:
        """End the follower, if there is one."""
        if self._follower is not None:
            self._follower.stop()

    def decide(self, data: bytes) -> bytes:
        """`policy.decision.messages`: encoded questions in, an encoded reply out. Raises BadInput
        for bytes that hold no questions."""
        engine = self._engine
        if engine is None:
            raise Unavailable("no policy was loaded yet")
        try:
            questions = decode_questions(data)
        except (msgspec.DecodeError, RecursionError) as error:
            raise BadInput(f"not a list of questions: {error}") from error
        if len(questions) > bounds.MAX_BATCH:
            raise BadInput(f"at most {bounds.MAX_BATCH} questions at once, not {len(questions)}")
        decisions = engine.decide(questions)
        if self._heard is not None:
            self._heard(questions, decisions)
        return encode_reply(DecisionReply(engine.revision, decisions))
