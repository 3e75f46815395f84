"""Becoming the owner of cameras: the row in PostgreSQL, then the fence in Redis (design section
6)."""

import logging
from collections.abc import Sequence
from typing import Protocol

import msgspec

from actors.core.errors import Conflict, EyrieError, UnknownOutcome
from actors.core.messages.commits import Activation, CommitRow, Position
from actors.core.messages.events import CHAIN_START
from storage.ports.cameras import CameraStore
from storage.ports.dead_letters import DeadLetterStore
from storage.ports.epochs import new_epoch
from storage.ports.events import EventStore
from storage.ports.live import Publisher
from storage.ports.processes import ActorStore
from storage.ports.registry import Registry

log = logging.getLogger("eyrie.actors.activation")


class ActorStores(Protocol):
    """What an actor process needs of storage."""

    @property
    def cameras(self) -> CameraStore:
        """`storage.ports.cameras.CameraStore`."""

    @property
    def events(self) -> EventStore:
        """`storage.ports.events.EventStore`."""

    @property
    def publisher(self) -> Publisher:
        """`storage.ports.live.Publisher`."""

    @property
    def registry(self) -> Registry:
        """`storage.ports.registry.Registry`."""

    @property
    def dead_letters(self) -> DeadLetterStore:
        """`storage.ports.dead_letters.DeadLetterStore`."""

    @property
    def actors(self) -> ActorStore:
        """`storage.ports.processes.ActorStore`."""

    async def close(self) -> None:
        """Close the connections."""


async def activate(stores: ActorStores, owner: str, cameras: Sequence[str]) -> list[Activation]:
    """Activate `cameras`; those missing from the answer are not owned. Raises what the store
    raises.

    Redis is asked once whether it knows a later generation or offset than the row (a restored
    database): then the generation is raised above it, or the camera gets a new epoch. Without Redis
    the fence and the comparison wait for its return (`actors.publish_loop`).
    """
    activations = await stores.cameras.activate(owner, cameras)
    keys = [(activation.site, activation.camera) for activation in activations]
    try:
        fences = await stores.publisher.fences(keys)
        ahead = {
            a.camera: fences[a.camera]
            for a in activations
            if fences.get(a.camera, 0) > a.generation
        }
        if ahead:
            log.warning(
                "Redis knows later generations of %s than PostgreSQL: raised above them",
                ", ".join(sorted(ahead)),
            )
            raised = {
                a.camera: a for a in await stores.cameras.activate(owner, list(ahead), above=ahead)
            }
            activations = [
                raised.get(a.camera, a)
                for a in activations
                if a.camera not in ahead or a.camera in raised
            ]
        await stores.publisher.raise_fences([(a.site, a.camera, a.generation) for a in activations])
        marks = await stores.publisher.published_marks(keys)
    except UnknownOutcome as error:
        log.warning(
            "Redis did not confirm the fences, they are raised again before anything is shown: %s",
            error,
        )
        return activations
    except Conflict:
        raise
    except EyrieError as error:
        log.warning("Redis is away, its fences are raised before anything is shown: %s", error)
        return activations
    return [
        await _fresh_epoch(stores, owner, a) if _behind(a, marks.get(a.camera)) else a
        for a in activations
    ]


def _behind(activation: Activation, mark: tuple[str, int] | None) -> bool:
    """True when Redis has shown events of this epoch that the row does not know: the database was
    restored."""
    position = activation.position
    return mark is not None and mark[0] == position.epoch and mark[1] > position.last_offset


async def _fresh_epoch(stores: ActorStores, owner: str, activation: Activation) -> Activation:
    before = activation.position
    after = Position(before.session, before.last_seq, new_epoch(), 0, CHAIN_START)
    log.warning(
        "camera %s: Redis is ahead of the row (a restored database), its events start a new epoch",
        activation.camera,
    )
    row = CommitRow(
        activation.camera, owner, activation.generation, before, after, activation.snapshot or b""
    )
    if activation.camera not in await stores.cameras.commit([row]):
        raise Conflict(f"camera {activation.camera} moved while it got a new epoch")
    return msgspec.structs.replace(activation, position=after)
