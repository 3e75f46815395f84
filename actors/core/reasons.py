"""Why a camera is not `online`: the one list of reasons of states and summaries
(`docs/protocols.md` tells what each means).

A goodbye of the edge may bring a reason of its own; all others are of this list.
"""

from typing import Final

from actors.core.errors import EyrieError, Full, ReadOnly

EDGE_SILENT: Final = "edge_silent"  # connected and silent
NO_FRAMES: Final = "no_frames"  # its device is heard, and gives no frames
LINK_LOST: Final = "link_lost"  # not connected, without a goodbye
NEVER_SEEN: Final = "never_seen"  # registered, and nothing ever came of it
PAUSED: Final = "paused"  # somebody paused it
ACTOR_LOST: Final = "actor_lost"  # its actor process is not heard
REDIS_LOST: Final = "redis_lost"  # the hub does not hear Redis
REDIS_FULL: Final = "redis_full"  # Redis takes nothing more: what is shown cannot be renewed
REDIS_READ_ONLY: Final = "redis_read_only"  # Redis takes no writes: what is shown cannot be renewed
STORE_LOST: Final = "store_lost"  # PostgreSQL does not answer: nothing is committed
STORE_FULL: Final = "store_full"  # PostgreSQL has no room: nothing is committed
STORE_READ_ONLY: Final = "store_read_only"  # PostgreSQL takes no writes: nothing is committed

TOLD_BY_ACTORS: Final = frozenset(
    {REDIS_FULL, REDIS_READ_ONLY, STORE_LOST, STORE_FULL, STORE_READ_ONLY}
)  # with their heartbeats


def of_store(error: EyrieError) -> str:
    """What dashboards are told when PostgreSQL fails with `error`."""
    if isinstance(error, Full):
        return STORE_FULL
    return STORE_READ_ONLY if isinstance(error, ReadOnly) else STORE_LOST


def of_redis(error: EyrieError) -> str:
    """What dashboards are told when Redis refuses a write with `error`; empty where it cannot carry
    a word of it."""
    if isinstance(error, Full):
        return REDIS_FULL
    return REDIS_READ_ONLY if isinstance(error, ReadOnly) else ""
