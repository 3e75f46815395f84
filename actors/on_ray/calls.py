"""Calls to Ray actors with a deadline, their failures in the words of the family."""

import asyncio
import os
from typing import Any

import ray
import ray.exceptions
import ray.util

from actors.core.errors import EyrieError, Unavailable


async def answer(reference: Any, timeout_s: float, who: str) -> Any:
    """The result of a call. Raises Unavailable when `who` is gone or does not answer in
    `timeout_s`, else the family's own errors."""
    try:
        async with asyncio.timeout(timeout_s):
            return await reference
    except TimeoutError as error:
        raise Unavailable(f"{who} did not answer in {timeout_s:g} s") from error
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, EyrieError):
            raise error.cause from error
        raise Unavailable(f"{who} failed: {type(error.cause).__name__}: {error.cause}") from error
    except ray.exceptions.RayError as error:
        raise Unavailable(f"{who} is gone: {type(error).__name__}") from error


async def find(name: str, namespace: str) -> Any | None:
    """The handle of a living named actor, or None. Asks the Ray head, in a thread because Ray's
    call blocks."""
    try:
        return await asyncio.to_thread(ray.get_actor, name, namespace)
    except ValueError:
        return None
    except ray.exceptions.RayError as error:
        raise Unavailable(f"Ray cannot be asked for {name}: {type(error).__name__}") from error


def kill(handle: Any) -> None:
    """End the process of an actor, at once; nothing happens when it is gone already."""
    try:
        ray.kill(handle, no_restart=True)
    except (ValueError, ray.exceptions.RayError):
        return


# of a head that no other machine can join: a loopback address that Ray does not turn into the
# machine's public one, as it does 127.0.0.1
ALONE = "127.0.0.2"


def ray_address() -> str:
    """The address by which Ray reaches this node."""
    return str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]


def whereabouts() -> dict[str, Any]:
    """Where this process runs: Ray's node id and the pid."""
    return {"node": ray.get_runtime_context().get_node_id(), "pid": os.getpid()}
