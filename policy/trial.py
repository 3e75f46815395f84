"""Tries a policy out where it can do no harm: a process of its own, with a deadline and a bound of CPU seconds.

The embedded engine may take its process down (`with`, deep nesting, long strings) or never come back; whatever happens here is a finding.
The child reads one msgpack message from its standard input and writes one to its standard output: ``python -m policy.trial``.
"""

import asyncio
import os
import resource
import sys
from collections.abc import Mapping, Sequence

import msgspec

from actors.core.errors import BadInput, ConfigError, Unavailable
from policy import lint
from policy.ports import Decision, Question

DEADLINE_S = 15.0  # most of it is the start of a process on a busy machine
CPU_S = 5
MAX_FINDINGS = 20


class _Task(msgspec.Struct, frozen=True):
    modules: dict[str, str]
    questions: list[Question]


class _Result(msgspec.Struct, frozen=True):
    error: str = ""
    decisions: list[Decision] = []


async def attempt(modules: Mapping[str, str], questions: Sequence[Question] = (), *, deadline_s: float = DEADLINE_S) -> list[Decision]:
    """What `modules` decide about `questions`. Raises BadInput for a policy that cannot be used, Unavailable when nothing can be tried."""
    findings = lint.lint(modules)
    if findings:
        raise BadInput("the policy is refused: " + "; ".join(map(str, findings[:MAX_FINDINGS])))
    try:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "policy.trial",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except OSError as error:
        raise Unavailable(f"no process to try the policy in: {error}") from error
    task = msgspec.msgpack.encode(_Task(dict(modules), list(questions)))
    try:
        async with asyncio.timeout(deadline_s):
            output, _ = await child.communicate(task)
    except TimeoutError as error:
        raise BadInput(f"the policy was not done within {deadline_s:g} s") from error
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    try:
        result = msgspec.msgpack.decode(output, type=_Result)
    except msgspec.MsgspecError as error:
        raise BadInput(f"the engine ended its process ({child.returncode}) over this policy") from error
    if result.error:
        raise BadInput(result.error)
    return result.decisions


def main() -> int:
    """The child."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # No bound of memory can be set: the engine's allocator reserves 256 GiB of addresses when it is loaded. If memory runs out, it is us.
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")
    answer = os.dup(1)
    os.dup2(2, 1)  # what the library prints is no answer
    task = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=_Task)
    result = _tried(task)
    with os.fdopen(answer, "wb") as file:
        file.write(msgspec.msgpack.encode(result))
    return 0


def _tried(task: _Task) -> _Result:
    from policy.rego_engine import RegoEngine  # after the limits: loading the library is part of the trial

    try:
        return _Result(decisions=RegoEngine(task.modules).decide(task.questions))
    except ConfigError as error:
        return _Result(error=error.detail)


if __name__ == "__main__":
    raise SystemExit(main())
