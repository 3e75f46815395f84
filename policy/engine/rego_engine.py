"""The embedded Rego engine: rego-cpp through regopy, in the one way that is safe (traps R1-R13).
The only user of regopy.

Input goes in as a JSON *term* and only through :func:`policy.decision.bounds.canonical`; answers
come from prebuilt entrypoints of one type each; undefined, an error and a value of another type all
deny. The library has no deadline and may take its whole process down (measured with 1.5.2: a build
may end in `std::terminate`), so this runs in the policy actor's own process, on sources that
`policy.engine.lint` passed.
"""

import ctypes
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from regopy import Bundle, Interpreter, LogLevel, RegoError, rego_shared  # type: ignore[import-untyped]

from actors.core.errors import ConfigError
from policy.decision import bounds
from policy.decision.model import Decision, DecisionInput
from policy.engine.lint import defines, lint
from policy.engine.modules import revision

log = logging.getLogger(__name__)

BATCH_S = 5.0  # seconds after which no further question of a batch is begun: nobody waits so long

_UNDEFINED = object()
# Interpreter::stmt_limit(size_t) of rego-cpp, which the C interface lacks
_LIMIT = "_ZN4rego11Interpreter10stmt_limitEm"


class _OverrunError(Exception):
    """An answer took more than :data:`policy.decision.bounds.MAX_STEPS`."""


class RegoEngine:
    """`policy.decision.model.Engine` over rego-cpp. One interpreter, one bundle for the life of a
    revision; calls are serialised (R5)."""

    def __init__(self, sources: Mapping[str, str], now: Callable[[], float] = time.time) -> None:
        """Build the bundle. `now` tells seconds since 1970, whole ones of which policies get as
        `input.now`.

        Raises ConfigError for sources that the linter or the engine refuses.
        """
        findings = lint(sources)
        if findings:
            raise ConfigError("the policy is refused: " + "; ".join(map(str, findings[:5])))
        self.revision = revision(sources)
        self._now = now
        self._timed = defines(sources, bounds.UNTIL)
        self._lock = threading.Lock()
        self._interpreter = _interpreter(sources)
        names = (*bounds.ENTRYPOINTS, bounds.UNTIL) if self._timed else bounds.ENTRYPOINTS
        self._bundle = _build(
            self._interpreter, tuple(f"{bounds.PACKAGE}/{name}" for name in names)
        )

    def decide(self, questions: list[DecisionInput]) -> list[Decision]:
        """One decision each, in order; never raises for a question. What there is no time for is
        denied."""
        ends = time.monotonic() + BATCH_S
        late = bounds.denied(bounds.POLICY_UNAVAILABLE, self.revision)
        return [
            self._decide(question) if time.monotonic() < ends else late for question in questions
        ]

    def keep(self) -> None:
        """Nothing to do: what was built stays."""

    def _decide(self, question: DecisionInput) -> Decision:
        term = bounds.canonical(question)
        if term is None:
            return bounds.denied(bounds.BAD_QUESTION, self.revision)
        try:
            with self._lock:
                # Setting the input and asking stay together: a failed set leaves the input of the
                # caller before in place (R4).
                self._interpreter.set_input_term(
                    f'{term.decode("ascii")[:-1]},"now":{int(self._now())}}}'
                )
                allow = self._ask("allow")
                reason = self._ask("reason")
                redact, max_hz = (
                    (self._ask("redact"), self._ask("max_hz")) if allow is True else ((), None)
                )
                until = self._ask(bounds.UNTIL) if self._timed else None
        except _OverrunError:
            log.error(
                "policy error: %s took more than %d steps; denied",
                question.action[:64],
                bounds.MAX_STEPS,
            )
            return bounds.denied(bounds.POLICY_OVERRUN, self.revision)
        except (RegoError, ValueError, LookupError, RecursionError) as error:
            log.error("policy error: the engine raised %s; denied", type(error).__name__)
            return bounds.denied(bounds.POLICY_ERROR, self.revision)
        made = bounds.decision(allow, reason, redact, max_hz, self.revision, until)
        if made.reason == bounds.POLICY_ERROR:
            log.error("policy error: an answer was undefined or of another type; denied")
        return made

    def _ask(self, entrypoint: str) -> Any:
        """The value of an entrypoint; a marker that is of no answer's type when it is undefined or
        an error (R3, R10)."""
        output = self._interpreter.query_bundle_entrypoint(
            self._bundle, f"{bounds.PACKAGE}/{entrypoint}"
        )
        if not output.ok() and _overran(rego_shared.rego_output_node(output._impl)):
            raise _OverrunError
        if not output.ok() or len(output.results) != 1 or len(output.results[0].expressions) != 1:
            return _UNDEFINED
        return output.results[0].expressions[0]


def evaluate(sources: Mapping[str, str], entrypoint: str) -> Any:
    """The value of one rule that needs no input, for example the `cases` of a Rego test file.
    Raises ConfigError when it has none."""
    interpreter = _interpreter(sources)
    bundle = _build(interpreter, (entrypoint,))
    interpreter.set_input_term("{}")
    output = interpreter.query_bundle_entrypoint(bundle, entrypoint)
    if not output.ok() or len(output.results) != 1 or not output.results[0].expressions:
        raise ConfigError(f"{entrypoint} is undefined")
    return output.results[0].expressions[0]


def _interpreter(sources: Mapping[str, str]) -> Interpreter:
    made = Interpreter()
    made.log_level = LogLevel.NONE  # R11: C++ would print inputs to stderr
    made.strict_built_in_errors = True
    _bound_steps(made)
    try:
        for name in sorted(sources):
            made.add_module(name, sources[name])
    except RegoError as error:
        raise ConfigError(f"the policy file {name} does not compile") from error
    return made


def _build(interpreter: Interpreter, names: tuple[str, ...]) -> Bundle:
    try:
        bundle = interpreter.build(None, names)
        if bundle.ok():
            return bundle
    except RegoError as error:
        raise ConfigError(
            f"the policy does not compile; it must define {', '.join(names)}"
        ) from error
    raise ConfigError(f"the policy does not compile; it must define {', '.join(names)}")


def _bound_steps(interpreter: Interpreter) -> None:
    """Answers end after :data:`policy.decision.bounds.MAX_STEPS` (rego-cpp: ten million, seconds).
    Raises ConfigError where none can be set."""
    try:
        set_limit = getattr(_library(), _LIMIT)
    except (AttributeError, StopIteration) as error:
        raise ConfigError(
            "the embedded engine of this platform cannot be bounded",
            hint="Use an OPA server: opa.url.",
        ) from error
    set_limit.argtypes, set_limit.restype = [ctypes.c_void_p, ctypes.c_size_t], None
    set_limit(interpreter._impl, bounds.MAX_STEPS)


def _library() -> ctypes.CDLL:
    """regopy's own handle of the engine."""
    return next(value for value in vars(rego_shared).values() if isinstance(value, ctypes.CDLL))


def _overran(node: Any) -> bool:
    """Whether an error of the engine (its tree, as the C interface hands it out) says that the
    steps were used up."""
    size = rego_shared.rego_node_size(node)
    if size:
        return any(_overran(rego_shared.rego_node_get(node, index)) for index in range(size))
    try:
        return bool(rego_shared.rego_node_value(node) == "timeout_error")
    except RegoError:
        return False
