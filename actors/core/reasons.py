"""Why a camera is not `online`: the one list of reasons of states and summaries (`docs/protocols.md` tells what each means).

A goodbye of the edge may bring a reason of its own; all others are of this list.
"""

from typing import Final

EDGE_SILENT: Final = "edge_silent"  # connected and silent
NO_FRAMES: Final = "no_frames"  # its device is heard, and gives no frames
LINK_LOST: Final = "link_lost"  # not connected, without a goodbye
NEVER_SEEN: Final = "never_seen"  # registered, and nothing ever came of it
PAUSED: Final = "paused"  # somebody paused it
ACTOR_LOST: Final = "actor_lost"  # its actor process is not heard
REDIS_LOST: Final = "redis_lost"  # the hub does not hear Redis
REDIS_FULL: Final = "redis_full"  # Redis takes nothing more: what is shown cannot be renewed
STORE_LOST: Final = "store_lost"  # PostgreSQL does not answer: nothing is committed
STORE_FULL: Final = "store_full"  # PostgreSQL has no room: nothing is committed

TOLD_BY_ACTORS: Final = frozenset({REDIS_FULL, STORE_LOST, STORE_FULL})  # with their heartbeats
