"""Our Lua scripts on a link: called by hash, loaded when the server does not know them (it forgets
them when it restarts)."""

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from redis.exceptions import NoScriptError, OutOfMemoryError, ReadOnlyError, ResponseError

from actors.core.errors import EyrieError, Full, ReadOnly, Unavailable
from storage.redis.connection import Command, RedisLink


@cache
def lua(name: str) -> str:
    """The script ``lua/<name>.lua``."""
    return files("storage").joinpath("lua", f"{name}.lua").read_text("utf-8")


NAMES = (
    "fence",
    "states",
    "events",
    "entries",
    "marks",
    "history",
    "channel_publish",
    "channel_history",
    "bucket",
    "erase",
    "replace",
)
READ_ONLY = (
    "READONLY",
    "NOREPLICAS",
    "MISCONF",
)  # a replica; too few replicas of its own; it cannot save what it is given


def call_of(script: str, keys: Sequence[str], arguments: Sequence[str | int | bytes]) -> Command:
    """The EVALSHA of one script."""
    return ("EVALSHA", _sha(script), len(keys), *keys, *arguments)


def _sha(script: str) -> str:
    return _SHA[script]


# Redis names a script by the SHA-1 of its text; nothing here is secured by it.
_SHA = {name: hashlib.sha1(lua(name).encode(), usedforsecurity=False).hexdigest() for name in NAMES}


async def run(link: RedisLink, commands: Sequence[Command], *, writing: bool) -> list[Any]:
    """All replies, in order, in one round trip (two after a restart of the server: every script of
    ours may be sent twice without harm).

    Raises Full when the server is at its limit of memory, ReadOnly when it takes no writes,
    Unavailable when it refuses a command (loading): what the others did stands.
    """
    replies = await link.call(commands, writing=writing)
    if any(isinstance(reply, NoScriptError) for reply in replies):
        loads: list[Command] = [("SCRIPT", "LOAD", lua(name)) for name in NAMES]
        replies = (await link.call([*loads, *commands], writing=writing))[len(loads) :]
    for reply in replies:
        if isinstance(reply, ResponseError):
            raise refusal(reply)
    return replies


def refusal(reply: ResponseError) -> EyrieError:
    """The family's word for an error reply. The server's own word for it does not stand first where
    a script met it."""
    text = str(reply)
    if isinstance(reply, OutOfMemoryError) or "OOM" in text:
        return Full(f"Redis is at its maxmemory: {reply}")
    if "MISCONF" in text and "No space left" in text:
        return Full(
            f"Redis has no room on its disk: {reply}", hint="Make room on the disk of Redis."
        )
    if isinstance(reply, ReadOnlyError) or any(word in text for word in READ_ONLY):
        return ReadOnly(f"Redis takes no writes: {reply}")
    return Unavailable(f"Redis refuses: {reply}")
