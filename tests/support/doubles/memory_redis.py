"""Doubles of the Redis side: `storage.ports.live.Publisher` and `Broker` in memory, with failure
switches (`faults`).

One server, many of each.
"""

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from actors.core.errors import Fenced, Unavailable
from storage.ports.epochs import new_epoch
from storage.ports.live import BrokerMessage, LiveEvent, LiveState, LiveSummary
from storage.redis.inbox import LOST, RESUBSCRIBED, Inbox
from tests.support.doubles.faults import Faults


@dataclass
class Site:
    """What a site's keys hold."""

    epoch: str = ""
    stream: list[BrokerMessage] = field(default_factory=list)
    marks: dict[str, tuple[str, int]] = field(default_factory=dict)
    streams: dict[str, list[BrokerMessage]] = field(default_factory=dict)
    fences: dict[str, int] = field(default_factory=dict)
    states: dict[str, LiveState] = field(default_factory=dict)
    summaries: dict[str, LiveSummary] = field(default_factory=dict)


@dataclass
class MemoryRedis:
    """What publishers and brokers share. `lose()` empties it, as a restart without persistence
    does."""

    sites: dict[str, Site] = field(default_factory=dict)
    brokers: list["MemoryBroker"] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)
    operations: bytes = b""

    def site(self, name: str) -> Site:
        """The site, made when it is not there."""
        return self.sites.setdefault(name, Site())

    def lose(self) -> None:
        """Everything is gone, and every connection was cut."""
        self.sites.clear()
        self.operations = b""
        for broker in self.brokers:
            broker.cut()

    def passes(self, site: str, camera: str, generation: int) -> bool:
        """The fence check; a higher generation raises the fence."""
        fences = self.site(site).fences
        if generation < fences.get(camera, -1):
            return False
        fences[camera] = generation
        return True

    def send(self, publication: BrokerMessage) -> bool:
        """To every broker that watches; whether one does."""
        return any([broker.receive(publication) for broker in self.brokers])


class MemoryPublisher:
    """`storage.ports.live.Publisher`. Operations: raise_fences, fences, publish, published_marks,
    set_marks, show_operations."""

    def __init__(self, server: MemoryRedis) -> None:
        self.server = server
        self.faults = server.faults

    async def raise_fences(self, entries: Sequence[tuple[str, str, int]]) -> None:

        def act() -> None:
            refused = [
                camera
                for site, camera, generation in entries
                if not self.server.passes(site, camera, generation)
            ]
            if refused:
                raise Fenced(f"a newer generation publishes {refused}")

        await self.faults.run("raise_fences", act)

    async def show_operations(self, body: bytes) -> None:

        def act() -> None:
            self.server.operations = body
            for broker in self.server.brokers:
                broker.receive(BrokerMessage("operations", "cluster", body=body))

        await self.faults.run("show_operations", act)

    async def fences(self, cameras: Sequence[tuple[str, str]]) -> dict[str, int]:

        def act() -> dict[str, int]:
            known = self.server.sites
            return {
                camera: known[site].fences[camera]
                for site, camera in cameras
                if site in known and camera in known[site].fences
            }

        return await self.faults.run("fences", act)

    async def publish(
        self,
        states: Sequence[LiveState],
        events: Sequence[LiveEvent],
        summaries: dict[str, list[LiveSummary]],
        heartbeats: dict[str, list[LiveSummary]],
        *,
        unheard: set[str] | None = None,
    ) -> set[str]:
        missed: set[str] = set() if unheard is None else unheard

        def act() -> set[str]:
            refused: set[str] = set()
            for event in events:
                if event.camera not in refused and not self._event(event):
                    refused.add(event.camera)
            refused |= {state.camera for state in states if not self._state(state, missed)}
            for kind, groups in (("summaries", summaries), ("heartbeat", heartbeats)):
                for site, entries in groups.items():
                    refused |= self._entries(kind, site, entries)
            return refused

        return await self.faults.run("publish", act)

    def _event(self, event: LiveEvent) -> bool:
        if not self.server.passes(event.site, event.camera, event.generation):
            return False
        site = self.server.site(event.site)
        epoch, last = site.marks.get(event.camera, ("", -1))
        if epoch and epoch != event.epoch:
            last = 0
        if epoch and event.offset > last + 1:
            return False
        if epoch and event.offset <= last:
            return True
        if epoch != event.epoch:
            site.streams[event.camera] = []
        site.epoch = site.epoch or new_epoch()
        publication = BrokerMessage(
            "event",
            event.site,
            event.camera,
            event.generation,
            0,
            event.epoch,
            event.offset,
            site.epoch,
            len(site.stream) + 1,
            event.body,
        )
        site.stream.append(publication)
        site.streams.setdefault(event.camera, []).append(publication)
        site.marks[event.camera] = (event.epoch, event.offset)
        self.server.send(publication)
        return True

    def _state(self, state: LiveState, unheard: set[str]) -> bool:
        if not self.server.passes(state.site, state.camera, state.generation):
            return False
        shown = self.server.site(state.site).states.get(state.camera)
        if shown is None or (state.generation, state.version) > (shown.generation, shown.version):
            self.server.site(state.site).states[state.camera] = state
            message = BrokerMessage(
                "state",
                state.site,
                state.camera,
                state.generation,
                state.version,
                offset=state.offset,
                body=state.body,
            )
            if not self.server.send(message):
                unheard.add(state.camera)
        return True

    def _entries(self, kind: str, site: str, entries: Sequence[LiveSummary]) -> set[str]:
        passed = [
            entry for entry in entries if self.server.passes(site, entry.camera, entry.generation)
        ]
        if kind == "summaries":
            self.server.site(site).summaries.update({entry.camera: entry for entry in passed})
        if passed:
            self.server.send(BrokerMessage(kind, site, entries=passed))
        return {entry.camera for entry in entries} - {entry.camera for entry in passed}

    async def published_marks(
        self, cameras: Sequence[tuple[str, str]]
    ) -> dict[str, tuple[str, int]]:

        def act() -> dict[str, tuple[str, int]]:
            known = self.server.sites
            return {
                camera: known[site].marks[camera]
                for site, camera in cameras
                if site in known and camera in known[site].marks
            }

        return await self.faults.run("published_marks", act)

    async def set_marks(self, marks: Sequence[tuple[str, str, int, str, int]]) -> None:

        def act() -> None:
            refused = []
            for name, camera, generation, epoch, offset in marks:
                if not self.server.passes(name, camera, generation):
                    refused.append(camera)
                    continue
                site = self.server.site(name)
                if site.epoch and site.marks.get(camera) == (epoch, offset):
                    continue
                site.marks[camera] = (epoch, offset)
                site.streams[camera] = []
                if offset > 0 or not site.epoch:
                    site.epoch, site.stream = new_epoch(), []
            if refused:
                raise Fenced(f"a newer generation publishes {refused}")

        await self.faults.run("set_marks", act)


class MemoryBroker:
    """`storage.ports.live.Broker`. Operations: watch, unwatch, state, summaries, history,
    operations."""

    def __init__(self, server: MemoryRedis, inbox: Inbox | None = None) -> None:
        self.server = server
        self.faults = server.faults
        self.inbox = Inbox() if inbox is None else inbox
        self.sites: set[str] = set()
        self.cameras: set[tuple[str, str]] = set()
        self.operating = False
        self.connected = True
        self.name = ""  # which this broker echoes under
        server.brokers.append(self)

    def receive(self, publication: BrokerMessage) -> bool:
        """What the server sends; whether this broker gets it."""
        wanted = (
            self.operating
            if publication.kind == "operations"
            else (publication.site, publication.camera) in self.cameras
            if publication.kind == "state"
            else publication.site in self.sites
        )
        if wanted and self.connected:
            self.inbox.add(publication, len(publication.body))
        return wanted and self.connected

    def cut(self) -> None:
        """The connection is lost and comes back at once: what was published in between is gone."""
        self.disconnect()
        self.reconnect()

    def disconnect(self) -> None:
        """The connection is lost."""
        self.connected = False
        self.inbox.notify(LOST)

    def reconnect(self) -> None:
        """It is back."""
        self.connected = True
        self.inbox.notify(RESUBSCRIBED)

    async def run(self) -> AsyncIterator[BrokerMessage]:
        while True:
            yield await self.inbox.get()

    async def watch(self, sites: Sequence[str], cameras: Sequence[tuple[str, str]]) -> None:
        self.sites.update(sites)
        self.cameras.update(cameras)
        if not self.connected:
            raise Unavailable("not connected")
        await self.faults.run("watch", lambda: None)

    async def watch_operations(self) -> None:
        self.operating = True
        if not self.connected:
            raise Unavailable("not connected")
        await self.faults.run("watch", lambda: None)

    async def operations(self) -> bytes:
        return await self.faults.run("operations", lambda: self.server.operations)

    async def unwatch(self, sites: Sequence[str], cameras: Sequence[tuple[str, str]]) -> None:
        self.sites.difference_update(sites)
        self.cameras.difference_update(cameras)
        with contextlib.suppress(Unavailable):
            await self.faults.run("unwatch", lambda: None)

    async def echo(self, name: str, body: bytes) -> None:

        def act() -> None:
            if self.connected:
                self.inbox.add(BrokerMessage("canary", name, body=body), len(body))

        self.name = name
        await self.faults.run("echo", act)

    async def send(self, name: str, body: bytes) -> bool:
        there = [
            broker for broker in self.server.brokers if broker.name == name and broker.connected
        ]

        def act() -> None:
            for broker in there:
                broker.inbox.add(BrokerMessage("canary", name, body=body), len(body))

        await self.faults.run("send", act)
        return bool(there)

    async def state(self, site: str, camera: str) -> LiveState | None:
        return await self.faults.run("state", lambda: self.server.site(site).states.get(camera))

    async def summaries(self, site: str) -> list[LiveSummary]:
        return await self.faults.run(
            "summaries",
            lambda: [entry for _, entry in sorted(self.server.site(site).summaries.items())],
        )

    async def history(
        self, site: str, camera: str | None, after: int, limit: int, *, begin: bool = False
    ) -> tuple[str, int, list[BrokerMessage]]:

        def act() -> tuple[str, int, list[BrokerMessage]]:
            held = self.server.site(site)
            if camera is None:
                held.epoch = held.epoch or (new_epoch() if begin else "")
                return (
                    held.epoch,
                    len(held.stream),
                    [p for p in held.stream if p.stream_offset > after][:limit],
                )
            epoch, top = held.marks.get(camera, ("", 0))
            return epoch, top, [p for p in held.streams.get(camera, []) if p.offset > after][:limit]

        return await self.faults.run("history", act)
