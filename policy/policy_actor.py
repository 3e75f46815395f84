"""What the policy actor does, without the actor: it owns the engine of this process and answers batches of questions."""

import logging

import msgspec

from actors.core.errors import BadInput
from actors.core.settings import Settings
from policy import guard
from policy.opa_engine import OpaEngine
from policy.ports import Decision, Engine, Question
from policy.rego_engine import RegoEngine
from policy.sources import read_sources, revision
from policy.wire import Reply, decode_questions, encode_reply

log = logging.getLogger(__name__)


def make_engine(settings: Settings) -> Engine:
    """The engine the settings name: OPA where `opa.url` is set, else the embedded one. Raises ConfigError."""
    sources = read_sources(settings.policy.rego_dir)
    if settings.opa.url:
        return OpaEngine(settings.opa, revision(sources))
    return RegoEngine(sources)


class PolicyActor:
    """Owns the engine. Blocking: the caller keeps the deadline, and whoever runs this process replaces it when it overruns."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def from_settings(cls, settings: Settings) -> "PolicyActor":
        """The actor that the settings ask for. Raises ConfigError."""
        made = cls(make_engine(settings))
        log.info("policy revision %s is in force", made.revision[:12])
        return made

    @property
    def revision(self) -> str:
        """The revision in force."""
        return self._engine.revision

    def decide(self, data: bytes) -> bytes:
        """`policy.wire`: encoded questions in, an encoded reply out. Raises BadInput for bytes that hold no questions."""
        try:
            questions = decode_questions(data)
        except (msgspec.DecodeError, RecursionError) as error:
            raise BadInput(f"not a list of questions: {error}") from error
        return encode_reply(Reply(self._engine.revision, self._decide(questions)))

    def _decide(self, questions: list[Question]) -> list[Decision]:
        if len(questions) > guard.MAX_BATCH:
            raise BadInput(f"at most {guard.MAX_BATCH} questions at once, not {len(questions)}")
        return self._engine.decide(questions)
