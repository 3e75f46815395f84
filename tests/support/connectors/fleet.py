"""Events of cameras in real stores, and sinks that run over them, for tests of sinks."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from actors.core.errors import EyrieError
from actors.core.messages.commits import Position
from actors.core.messages.events import Event, StoredEvent, published, seal
from actors.core.times import parse_rfc3339, rfc3339
from connectors.sinks import sealed, spec
from connectors.sinks.context import SinkContext
from connectors.sinks.guard import networks
from connectors.sinks.http_client import HttpClient, Limits
from connectors.sinks.kinds import kinds_of
from connectors.sinks.sealed import Secret, Secrets
from storage.ports.background.sinks import SinkRow
from storage.stores import Stores
from tests.support.hub.real_policy import real_policy
from tests.support.store_rows import OWNER, SESSION, row_of
from workers.connecting import ConnectorRunner

KEY = bytes(range(32))
LOOPBACK = ("127.0.0.0/8",)


@dataclass
class Fleet:
    """Cameras that have an owner and a session; `commit` gives one of them events."""

    stores: Stores
    places: dict[str, tuple[str, int, Position]] = field(default_factory=dict)
    bodies: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # as published

    async def add(self, camera: str, site: str = "site") -> None:
        await self.stores.registry.register(camera, site)
        assert await self.stores.cameras.assign(camera, OWNER, previous=None)
        (activation,) = await self.stores.cameras.activate(OWNER, [camera])
        cameras = self.stores.cameras
        await cameras.open_session(camera, OWNER, activation.generation, SESSION)
        row = (await cameras.ownership([camera]))[camera]
        self.places[camera] = (site, row.generation, row.position)
        self.bodies.setdefault(camera, [])

    async def commit(self, camera: str, count: int = 1, **given: Any) -> None:
        site, generation, position = self.places[camera]
        events: list[StoredEvent] = []
        chain = position.chain
        for number in range(1, count + 1):
            event = event_of(camera, site, position, number, **given)
            now_us = parse_rfc3339(event.received)
            events.append(seal(event, chain, received_us=now_us, time_us=now_us))
            chain = events[-1].hash
        row = row_of(camera, generation, position, events=events)
        result = await self.stores.cameras.commit([row])
        assert len(result) == 1, result
        self.places[camera] = (site, generation, row.after)
        self.bodies[camera] += [msgspec.json.decode(published(e.body, e.hash)) for e in events]

    @property
    def ids(self) -> dict[str, list[str]]:
        """What was committed: camera → ids in order."""
        return {camera: [one["id"] for one in all] for camera, all in self.bodies.items()}


def event_of(
    camera: str,
    site: str,
    position: Position,
    number: int,
    *,
    type: str = "zone.entered",
    severity: Any = "info",
    data: dict[str, Any] | None = None,
    back_s: int = 0,
) -> Event:
    """The `number`-th after `position`, received now, or so by a clock that is `back_s` behind."""
    now = rfc3339(time.time_ns() // 1_000 - back_s * 1_000_000)
    offset = position.last_offset + number
    return Event(
        id=f"{camera}/{position.epoch}/{offset}",
        type=type,
        site=site,
        camera=camera,
        epoch=position.epoch,
        offset=offset,
        session=position.session,
        seq=position.last_seq + number,
        time=now,
        received=now,
        severity=severity,
        zone="door",
        data=data or {},
    )


def context_of(stores: Stores, **given: Any) -> SinkContext:
    """Over the packaged policy; the receiver may be on loopback."""
    client = given.pop("client", None) or HttpClient(networks(LOOPBACK), Limits(total_s=10.0))
    settled = {"idle_s": 0.02, "chance": lambda: 0.001, **given}
    return SinkContext(
        store=stores.sinks,
        breakers=stores.breakers,
        decider=real_policy(),
        key=KEY,
        client=client,
        **settled,
    )


async def make(
    stores: Stores,
    name: str,
    to: dict[str, Any],
    *,
    secrets: Sequence[str] = (),
    from_now: bool = False,
    **given: Any,
) -> None:
    """A sink of all sites unless `view` says otherwise."""
    values = {"to": to, "view": {"sites": ["*"]}, **given}
    known = spec.parse(values)
    kept = Secrets(tuple(Secret(one) for one in secrets))
    row = SinkRow(name, spec.kind_of(known), values, secrets=sealed.seal(KEY, name, kept))
    assert await stores.sinks.make(row, from_now=from_now)


@contextlib.asynccontextmanager
async def worker(
    stores: Stores, context: SinkContext, name: str = "w", lease_s: float = 15.0
) -> AsyncIterator[ConnectorRunner]:
    """Runs the sinks there are."""
    runner = ConnectorRunner(name, stores.connectors, kinds_of(context), lease_s=lease_s)

    async def rounds() -> None:
        while True:
            with contextlib.suppress(EyrieError):  # a database that is away: the next round tells
                await runner.round()
            await asyncio.sleep(0.05)

    task = asyncio.create_task(rounds())
    try:
        yield runner
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        with contextlib.suppress(EyrieError):  # the same; its leases run out
            await runner.stop()


async def until(found: Callable[[], Any], *, within_s: float = 60.0) -> None:
    """Wait until `found` (a function, or one that gives an awaitable) says so."""
    async with asyncio.timeout(within_s):
        while True:
            told = found()
            if await told if asyncio.iscoroutine(told) else told:
                return
            await asyncio.sleep(0.01)
