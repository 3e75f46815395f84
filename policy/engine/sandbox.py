"""Tries a policy out where it can do no harm: a process of its own, with a deadline, and bounds of
CPU seconds and memory.

The embedded engine may take its process down (`with`, deep nesting, long strings) or never come
back; whatever happens here is a finding. The child (``python -m policy.engine.sandbox``) reads one
msgpack message from its standard input and writes to its standard output a point for each question
that it begins, so that it is known which one ended it, and then one message.
"""

import asyncio
import contextlib
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence

import msgspec

from actors.core.errors import BadInput, ConfigError, Unavailable
from policy.decision import bounds
from policy.decision.model import Decision, DecisionInput
from policy.engine import lint, review

DEADLINE_S = 15.0  # most of it is the start of a process on a busy machine
CPU_S = 10  # of all questions
QUESTION_CPU_S = 0.5
QUESTION_BYTES = 256 * 1024 * 1024  # resident memory beyond what the policy takes itself
LOOK_S = 0.01  # seconds between two looks at the memory
MAX_FINDINGS = 20
BEGUN = b"."
FULL = 86  # exit code of a child that took too much memory


class _Task(msgspec.Struct, frozen=True):
    modules: dict[str, str]
    questions: list[DecisionInput]
    strict: bool = False  # an answer of too many steps is the last one


class _Result(msgspec.Struct, frozen=True):
    error: str = ""
    decisions: list[Decision] = []


async def attempt(
    modules: Mapping[str, str],
    questions: Sequence[DecisionInput] = (),
    *,
    strict: bool = False,
    deadline_s: float = DEADLINE_S,
) -> list[Decision]:
    """What `modules` decide about `questions`. Raises BadInput for a policy that cannot be used,
    Unavailable when nothing can be tried."""
    findings = lint.lint(modules)
    if findings:
        raise BadInput("the policy is refused: " + "; ".join(map(str, findings[:MAX_FINDINGS])))
    try:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "policy.engine.sandbox",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        raise Unavailable(f"no process to try the policy in: {error}") from error
    output = bytearray()
    try:
        async with asyncio.timeout(deadline_s):
            await _talk(
                child, msgspec.msgpack.encode(_Task(dict(modules), list(questions), strict)), output
            )
    except TimeoutError as error:
        raise BadInput(
            f"the policy was not done within {deadline_s:g} s{_during(output, questions)}"
        ) from error
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    try:
        result = msgspec.msgpack.decode(output.lstrip(BEGUN), type=_Result)
    except msgspec.MsgspecError as error:
        raise BadInput(_end(child.returncode) + _during(output, questions)) from error
    if result.error:
        raise BadInput(result.error)
    return result.decisions


async def bounded(
    modules: Mapping[str, str],
    questions: Sequence[DecisionInput],
    *,
    deadline_s: float = DEADLINE_S,
) -> list[Decision]:
    """:func:`attempt`; raises BadInput also where an answer takes too many steps."""
    decisions = await attempt(modules, questions, strict=True, deadline_s=deadline_s)
    review.require_bounded(questions, decisions)
    return decisions


async def _talk(child: asyncio.subprocess.Process, task: bytes, output: bytearray) -> None:
    if child.stdin is None or child.stdout is None:
        raise Unavailable("no pipe to the process that tries the policy")
    with contextlib.suppress(
        BrokenPipeError, ConnectionResetError
    ):  # it ended early; the rest tells how
        child.stdin.write(task)
        await child.stdin.drain()
        child.stdin.close()
    while chunk := await child.stdout.read(65_536):
        output += chunk
    await child.wait()


def _end(code: int | None) -> str:
    if code == -signal.SIGPROF:
        return f"the policy is refused: more than {QUESTION_CPU_S:g} s of CPU time"
    if code == -signal.SIGXCPU:
        return f"the policy is refused: more than {CPU_S} s of CPU time for all questions"
    if code == FULL:
        return f"the policy is refused: more than {QUESTION_BYTES >> 20} MiB of memory"
    return f"the engine ended its process ({code}) over this policy"


def _during(output: bytes | bytearray, questions: Sequence[DecisionInput]) -> str:
    begun = len(output) - len(output.lstrip(BEGUN))
    return f" to decide {review.named(questions[begun - 1])}" if 0 < begun <= len(questions) else ""


def main() -> int:
    """The child."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # No bound of memory can be set: the engine's allocator reserves 256 GiB of addresses when it is
    # loaded. If memory runs out, it is us.
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")
    answer = os.dup(1)
    os.dup2(2, 1)  # what the library prints is no answer
    task = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=_Task)
    result = _tried(task, answer)
    with os.fdopen(answer, "wb") as file:
        file.write(msgspec.msgpack.encode(result))
    return 0


def _tried(task: _Task, answer: int) -> _Result:
    from policy.engine.rego_engine import (
        RegoEngine,
    )  # after the limits: loading the library is part of the trial

    try:
        engine = RegoEngine(task.modules)
        threading.Thread(
            target=_watch_memory, args=(_resident() + QUESTION_BYTES,), daemon=True
        ).start()
        decisions = []
        for question in task.questions:
            os.write(answer, BEGUN)
            signal.setitimer(
                signal.ITIMER_PROF, QUESTION_CPU_S
            )  # the signal ends the process, wherever it is
            decisions += engine.decide([question])
            if task.strict and decisions[-1].reason == bounds.POLICY_OVERRUN:
                break
        signal.setitimer(signal.ITIMER_PROF, 0)
        return _Result(decisions=decisions)
    except ConfigError as error:
        return _Result(error=error.detail)


def _watch_memory(most: int) -> None:
    while _resident() <= most:
        time.sleep(LOOK_S)
    os._exit(FULL)


def _resident() -> int:
    """Bytes of resident memory."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    raise SystemExit(main())
