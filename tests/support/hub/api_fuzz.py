"""Schemathesis over an OpenAPI document and the server that publishes it: no 500, and no answer
that the document does not tell of."""

import asyncio
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import checks
from schemathesis.config import SchemathesisConfig

T = TypeVar("T")
START_S = 30.0
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
LONGEST_S = 20.0
FEW = 2
ORDER = ["GET", "PUT", "POST", "DELETE"]


@dataclass
class Found:
    """What came back: statuses by operation (``GET /v1/sites``)."""

    statuses: dict[str, Counter[int]] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """How many there were."""
        return sum(sum(counted.values()) for counted in self.statuses.values())

    def never_good(self) -> list[str]:
        """The operations that never answered with 2xx: nothing was learnt of their good answers."""
        return sorted(
            name
            for name, counted in self.statuses.items()
            if not any(200 <= status < 300 for status in counted)
        )


@contextmanager
def in_thread(serve: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """An asynchronous server in a thread with a loop of its own, so that blocking clients can talk
    to it."""
    started: list[T] = []
    failed: list[BaseException] = []
    ready, loop = threading.Event(), asyncio.new_event_loop()
    over = asyncio.Event()

    async def run() -> None:
        try:
            async with serve() as served:
                started.append(served)
                ready.set()
                await over.wait()
        except BaseException as error:
            failed.append(error)
            ready.set()
            raise

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    try:
        assert ready.wait(START_S), "the server did not start"
        if failed:
            raise failed[0]
        yield started[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(START_S)
        loop.close()


@dataclass(frozen=True)
class Known:
    """What a server has, so that good calls can be made: names by path parameter, bodies by
    operation id, the token by (method, path).

    `slow` are ids of operations of which a call takes a second: they are called a few times only.
    """

    names: Mapping[str, list[str]]
    bodies: Mapping[str, Any]
    token: Callable[[str, str], str]
    slow: frozenset[str] = frozenset()


def fuzz(url: str, known: Known, *, examples: int, seed_number: int) -> Found:
    """Call every operation as it is meant (reading first, deleting last), then `examples` times
    with good input and as often with bad.

    Raises what schemathesis finds.
    """
    raw = httpx.get(f"{url}/openapi.json").raise_for_status().json()
    config = SchemathesisConfig.from_dict(
        {"checks": {"not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", "503"]}}}
    )
    document = schemathesis.openapi.from_dict(raw, config=config)
    found = Found()
    operations: list[Any] = [result.ok() for result in document.get_all_operations()]  # type: ignore[union-attr]
    operations.sort(key=lambda operation: ORDER.index(operation.method.upper()))
    callers = [_Caller(url, known, operation, found) for operation in operations]
    for caller in callers:
        caller.as_meant()
    for caller in callers:
        for mode in schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE:
            caller.at_random(
                mode, min(examples, FEW) if caller.id in known.slow else examples, seed_number
            )
    return found


class _Caller:
    """Calls one operation."""

    def __init__(self, url: str, known: Known, operation: Any, found: Found) -> None:
        self._url = url
        self._known = known
        self._operation = operation
        self._counted = found.statuses.setdefault(operation.label, Counter())
        self.id = str(operation.definition.raw["operationId"])
        self._body = known.bodies.get(self.id)
        self._headers = {
            "Authorization": f"Bearer {known.token(operation.method.upper(), operation.path)}"
        }

    def as_meant(self) -> None:
        """With known names, any version and a good body; where one set of names is not taken, with
        the next."""
        named = {parameter.name for parameter in self._operation.path_parameters}
        headers = (
            {"If-Match": "*"}
            if any(header.name == "If-Match" for header in self._operation.headers)
            else {}
        )
        body = {} if self._body is None else {"body": self._body, "media_type": "application/json"}
        for turn in range(max((len(self._known.names[name]) for name in named), default=1)):
            names = {
                name: self._known.names[name][min(turn, len(self._known.names[name]) - 1)]
                for name in named
            }
            if (
                self._call(self._operation.Case(path_parameters=names, headers=headers, **body))
                < 300
            ):
                return

    def at_random(self, mode: schemathesis.GenerationMode, examples: int, seed_number: int) -> None:
        """Made by schemathesis; every other time with a known name, any version or a good body in
        its place."""

        @seed(seed_number)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=self._operation.as_strategy(generation_mode=mode), data=st.data())
        def one(case: Any, data: Any) -> None:
            for name, names in self._known.names.items():
                if name in (case.path_parameters or {}) and data.draw(st.booleans()):
                    case.path_parameters[name] = data.draw(st.sampled_from(names))
            if case.headers and "If-Match" in case.headers and data.draw(st.booleans()):
                case.headers["If-Match"] = "*"
            if self._body is not None and data.draw(st.booleans()):
                case.body, case.media_type = self._body, "application/json"
            self._call(case)

        with warnings.catch_warnings():
            # The server's thread uses `random` meanwhile, which hypothesis takes for a strategy's
            # doing.
            warnings.filterwarnings("ignore", message="Do not use the `random` module")
            try:
                one()
            except Unsatisfiable:
                return  # nothing of this operation can be made wrong

    def _call(self, case: Any) -> int:
        answered = case.call(base_url=self._url, headers=self._headers, timeout=LONGEST_S)
        self._counted[answered.status_code] += 1
        case.validate_response(answered, checks=CHECKS)
        return int(answered.status_code)
