"""What the rest of Eyrie asks of storage about its processes and its policy: heartbeats of actors
and hubs, revocations, policy marks.

The rules of `storage.ports.cameras` hold here too.
"""

from collections.abc import Iterable
from typing import Protocol

import msgspec

HUB_HEARD_S = 6.0  # seconds since a hub recorded itself; it does every two


class ActorRecord(msgspec.Struct, frozen=True):
    """An actor process as the supervisor knows it: `name` is its incarnation, `state` one word,
    `age_s` seconds since the last beat.

    Times are the database's, so no two machines' clocks are compared. `age_s`, `beat_us` and
    `started_us` are set when read. `beat_us` is when it beat last: another value is another beat,
    whatever that clock was set to meanwhile.
    """

    name: str
    node: str = ""
    pid: int = 0
    state: str = "starting"
    reason: str = ""
    started_us: int = 0
    age_s: float = 0.0
    beat_us: int = 0


class ActorStore(Protocol):
    """Heartbeats of actor processes. They detect failure; correctness rests on the generation
    alone."""

    async def put(self, record: ActorRecord) -> None:
        """Insert or replace; counts as a beat."""

    async def beat(self, name: str) -> bool:
        """Renew the heartbeat; False when the record is gone (the process was written off)."""

    async def all(self) -> list[ActorRecord]:
        """All, by name."""

    async def remove(self, name: str) -> None:
        """Forget one."""


class HubRecord(msgspec.Struct, frozen=True):
    """A hub and where it listens. `age_s` and `started_us` are set when read."""

    name: str
    host: str
    port: int
    private_port: int
    pid: int = 0
    started_us: int = 0
    age_s: float = 0.0


def living(hubs: Iterable[HubRecord]) -> list[HubRecord]:
    """The hubs heard of lately, the newest first: the record of one that was killed stays until it
    is too old.

    One of the future is of before the database's clock was set back.
    """
    return sorted(
        (hub for hub in hubs if abs(hub.age_s) < HUB_HEARD_S), key=lambda hub: -hub.started_us
    )


class HubStore(Protocol):
    """Heartbeats of hubs."""

    async def put(self, record: HubRecord) -> None:
        """Insert or replace; counts as a beat."""

    async def all(self) -> list[HubRecord]:
        """All, by name."""

    async def remove(self, name: str) -> None:
        """Forget one."""


class ApiRecord(msgspec.Struct, frozen=True):
    """The supervisor, and where its cluster API listens (port 0: it does not now). `age_s`: seconds
    since the supervisor was at work, set when read; it says so every two seconds."""

    host: str
    port: int
    pid: int = 0
    age_s: float = 0.0


class ApiStore(Protocol):
    """Where `eyrie cluster` finds the API of this deployment, and `eyrie status` whether the
    supervisor works."""

    async def put(self, record: ApiRecord) -> None:
        """In place of what was there."""

    async def find(self) -> ApiRecord | None:
        """What was put last; None: nothing ever was."""
