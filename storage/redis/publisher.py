"""The actor's side of Redis: `storage.ports.live.Publisher`. One pipeline per call, whatever its
size; nothing queues here."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from actors.core.errors import Fenced, Unavailable
from actors.core.settings import RedisSettings
from storage.ports.epochs import new_epoch
from storage.ports.live import LiveEvent, LiveState, LiveSummary
from storage.redis import keys
from storage.redis.budget import StreamBudget
from storage.redis.connection import Command, RedisLink
from storage.redis.scripts import call_of, run

# a server's word in the answer that it has no memory left, with or without OOM before it
FULL = "maxmemory"
CHUNK = 64  # cameras or events in one script call: a script stops all of Redis while it runs


class RedisPublisher:
    """`storage.ports.live.Publisher` over one connection of its own."""

    def __init__(self, settings: RedisSettings, *, name: str) -> None:
        self._kept = settings.events_kept
        self._link = RedisLink(settings, name)
        self._budget = StreamBudget(settings.events_mb * 2**20)

    async def open(self) -> None:
        """Connect now. Every later call connects by itself when it must."""
        await self._link.open()

    async def close(self) -> None:
        """Give the connection back."""
        await self._link.close()

    async def raise_fences(self, entries: Sequence[tuple[str, str, int]]) -> None:
        """Raises Fenced when a fence already is higher: this generation is history."""
        calls = []
        self._budget.know(keys.stream(site, camera) for site, camera, _ in entries)
        for site, group in _by_site(
            (site, (camera, generation)) for site, camera, generation in entries
        ).items():
            for part in _chunks(group):
                calls.append(
                    call_of(
                        "fence", [keys.fences(site)], [value for pair in part for value in pair]
                    )
                )
        if refused := _names(await run(self._link, calls, writing=True)):
            raise Fenced(f"a newer generation publishes {', '.join(sorted(refused))}")

    async def show_operations(self, body: bytes) -> None:
        payload = keys.encode_operations(body)
        await run(
            self._link,
            [("SET", keys.OPERATIONS, payload), ("PUBLISH", keys.OPERATIONS, payload)],
            writing=True,
        )

    async def fences(self, cameras: Sequence[tuple[str, str]]) -> dict[str, int]:
        found = await self._read_fields(cameras, keys.fences, lambda camera: camera)
        return {camera: int(value) for camera, value in found.items()}

    async def publish(
        self,
        states: Sequence[LiveState],
        events: Sequence[LiveEvent],
        summaries: dict[str, list[LiveSummary]],
        heartbeats: dict[str, list[LiveSummary]],
        *,
        unheard: set[str] | None = None,
    ) -> set[str]:
        """Events go first, so that no state is seen before the events it folds in."""
        calls: list[Command] = []
        event_calls = [
            (site, part)
            for site, group in _by_site((e.site, e) for e in events).items()
            for part in _chunks(group)
        ]
        if event_calls:
            await self._link.open()  # the events script names the server that is connected
        for site, part in event_calls:
            calls.append(self._events(site, part))
        first = len(calls)
        for site, group in _by_site((s.site, s) for s in states).items():
            calls += [_states(site, part) for part in _chunks(group)]
        last = len(calls)
        for site, entries in summaries.items():
            calls += [_entries("summaries", site, part) for part in _chunks(entries)]
        for site, entries in heartbeats.items():
            calls += [_entries("heartbeat", site, part) for part in _chunks(entries)]
        try:
            replies = await run(self._link, calls, writing=True)
        except Unavailable as error:
            if FULL in error.detail:
                await self._budget.give_way(self._link)
            raise
        of_states = replies[first:last]
        if unheard is not None:
            unheard.update(_names(names for _, names in of_states))
        if events:
            await self._keep(events)
        return _names([*replies[:first], *(names for names, _ in of_states), *replies[last:]])

    async def _keep(self, events: Sequence[LiveEvent]) -> None:
        """The streams within their budget, now that they hold `events`."""
        for event in events:
            self._budget.append(keys.stream(event.site), len(event.body))
            self._budget.append(keys.stream(event.site, event.camera), len(event.body))
        await self._budget.keep(self._link)

    async def published_marks(
        self, cameras: Sequence[tuple[str, str]]
    ) -> dict[str, tuple[str, int]]:
        found = await self._read_fields(cameras, keys.position, keys.mark_field)
        marks = {}
        for camera, value in found.items():
            epoch, _, offset = value.decode().rpartition(" ")
            marks[camera] = (epoch, int(offset))
        return marks

    async def set_marks(self, marks: Sequence[tuple[str, str, int, str, int]]) -> None:
        """Raises Fenced for a lower generation."""
        await self._link.open()
        calls = []
        for site, group in _by_site((mark[0], mark[1:]) for mark in marks).items():
            for part in _chunks(group):
                names = [
                    keys.fences(site),
                    keys.position(site),
                    keys.stream(site),
                    *(keys.stream(site, mark[0]) for mark in part),
                ]
                calls.append(
                    call_of(
                        "marks",
                        names,
                        [
                            new_epoch(),
                            self._link.server,
                            *(value for mark in part for value in mark),
                        ],
                    )
                )
        if refused := _names(await run(self._link, calls, writing=True)):
            raise Fenced(f"a newer generation publishes {', '.join(sorted(refused))}")

    def _events(self, site: str, events: Sequence[LiveEvent]) -> Command:
        names = [
            keys.fences(site),
            keys.position(site),
            keys.stream(site),
            *(keys.stream(site, event.camera) for event in events),
        ]
        arguments: list[str | int | bytes] = [
            keys.wall_channel(site),
            self._kept,
            new_epoch(),
            self._link.server,
        ]
        for event in events:
            arguments += [
                event.camera,
                event.generation,
                event.epoch,
                event.offset,
                *keys.event_parts(event),
            ]
        return call_of("events", names, arguments)

    async def _read_fields(
        self, cameras: Sequence[tuple[str, str]], key: Any, field: Any
    ) -> dict[str, bytes]:
        groups = _by_site(cameras)
        calls: list[Command] = [
            ("HMGET", key(site), *(field(camera) for camera in group))
            for site, group in groups.items()
        ]
        replies = await run(self._link, calls, writing=False)
        pairs = zip(
            (camera for group in groups.values() for camera in group),
            (value for reply in replies for value in reply),
            strict=True,
        )
        return {camera: value for camera, value in pairs if value is not None}


def _states(site: str, states: Sequence[LiveState]) -> Command:
    arguments: list[str | int | bytes] = [keys.live_prefix(site)]
    for state in states:
        arguments += [state.camera, state.generation, state.version, keys.encode_state(state)]
    return call_of("states", [keys.fences(site), keys.versions(site), keys.states(site)], arguments)


def _entries(kind: str, site: str, entries: Sequence[LiveSummary]) -> Command:
    names = [keys.fences(site)] + ([keys.summaries(site)] if kind == "summaries" else [])
    arguments: list[str | int | bytes] = [keys.wall_channel(site), keys.entries_head(kind, site)]
    for entry in entries:
        arguments += [entry.camera, entry.generation, keys.encode_entry(entry)]
    return call_of("entries", names, arguments)


def _by_site(items: Iterable[tuple[str, Any]]) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = defaultdict(list)
    for site, item in items:
        groups[site].append(item)
    return groups


def _chunks(items: Sequence[Any]) -> list[Sequence[Any]]:
    return [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]


def _names(replies: Iterable[Sequence[bytes]]) -> set[str]:
    return {name.decode() for reply in replies for name in reply}
