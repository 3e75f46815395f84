"""Taking personal values out of Redis: streams go whole, since clients read older events from the
database; of the states and summaries that are kept what names somebody goes."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from actors.core.errors import BadInput
from actors.core.messages.personal import ERASED_TYPE
from actors.core.settings import RedisSettings
from storage.ports.epochs import new_epoch
from storage.ports.live import LiveSummary
from storage.redis import keys
from storage.redis.connection import Command, RedisLink
from storage.redis.scripts import call_of, run

CHUNK = 64  # cameras looked at by one round trip


class ErasedLive(msgspec.Struct, frozen=True):
    """How many streams went, and how many states and summaries were changed."""

    streams: int
    states: int


async def erase_live(
    settings: RedisSettings, homes: Mapping[str, str], events: Collection[str]
) -> ErasedLive:
    """Of cameras (camera → site) the streams and the personal values of their states; `events` are
    the ids of those from which something was erased. The sites' clients read anew. Raises
    Unavailable."""
    link = RedisLink(settings, "erasure")
    sites: dict[str, list[str]] = {}
    for camera, site in homes.items():
        sites.setdefault(site, []).append(camera)
    streams = states = 0
    try:
        for site, cameras in sorted(sites.items()):
            names = [keys.position(site), keys.stream(site)]
            names += [keys.stream(site, camera) for camera in cameras]
            (gone,) = await run(link, [call_of("erase", names, [new_epoch()])], writing=True)
            streams += int(gone)
            for start in range(0, len(cameras), CHUNK):
                part = cameras[start : start + CHUNK]
                states += await _states(link, site, part, frozenset(events))
    finally:
        await link.close()
    return ErasedLive(streams, states)


async def _states(
    link: RedisLink, site: str, cameras: Sequence[str], events: Collection[str]
) -> int:
    """A state that was replaced meanwhile says what is now, and stays."""
    calls: list[Command] = []
    for hash, changed in ((keys.states(site), _state), (keys.summaries(site), _summary)):
        (found,) = await run(link, [("HMGET", hash, *cameras)], writing=False)
        for camera, raw in zip(cameras, found, strict=True):
            if raw is not None and (fresh := changed(raw, events)) is not None:
                calls.append(call_of("replace", [hash], [camera, raw, fresh]))
    return sum(map(int, await run(link, calls, writing=True))) if calls else 0


def _state(raw: bytes, events: Collection[str]) -> bytes | None:
    message = keys.decode(raw)
    body = _without(message.body, events)
    if body is None:
        return None
    return msgspec.msgpack.encode(msgspec.structs.replace(message, body=body))


def _summary(raw: bytes, events: Collection[str]) -> bytes | None:
    entry = keys.decode_entry(raw)
    body = _without(entry.body, events)
    if body is None:
        return None
    return keys.encode_entry(
        LiveSummary(entry.camera, entry.generation, entry.version, entry.offset, body)
    )


def _without(body: bytes, events: Collection[str]) -> bytes | None:
    """A state or summary without what names somebody; None: there is nothing of that."""
    try:
        state: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise BadInput(f"not a state: {error}") from error
    changed = state.pop("echoes", None) is not None
    for track in state.get("tracks", ()):
        for name in ("attributes", "sub_label"):
            changed = (track.pop(name, None) is not None) or changed
    last = state.get("last_event")
    if isinstance(last, dict) and last.get("id") in events:
        state["last_event"] = {
            **{name: value for name, value in last.items() if name not in ("label", "echoes")},
            "type": ERASED_TYPE,
        }
        changed = True
    return msgspec.json.encode(state) if changed else None
