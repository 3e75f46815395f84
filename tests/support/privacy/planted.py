"""Marked values that enter by every way into the stores, and where they are found."""

import asyncio
import random
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import redis.asyncio

from actors.core.messages.commits import DeadLetter
from actors.core.messages.events import published
from storage.ports.dead_letters import NewLetter
from storage.ports.live import LiveEvent, LiveState, LiveSummary
from tests.support.privacy.rig import Rig
from tests.support.store_rows import OWNER, RECEIVED_US, SESSION, alarm_of, row_of

FIRST_NAMES = ("Zebulon", "Зебулон", "山田太郎", "Søren Ærø", "زيبولون", "José-María", "Ζεβουλών")
WORDS = 25  # alarms of one camera
CAMERAS = ("cam-1", "cam-2")


class Planted:
    """Values of one run; `seed` makes them its own."""

    def __init__(self, seed: int, count: int) -> None:
        chance = random.Random(seed)
        self.words: list[str] = []
        self.alarms: list[tuple[dict[str, Any], str]] = []
        for number in range(count // 4):
            mark = f"{chance.getrandbits(40):010x}"
            plate = f"QX-{mark[:5]}-{mark[5:]}".upper()
            name = f"{FIRST_NAMES[number % len(FIRST_NAMES)]} {mark}son"
            face, owner = f"face-{mark}", f"owner of {mark[::-1]}"
            self.words += [plate, name, face, owner, mark[::-1], f"qx{mark}"]
            data = {
                "plate": plate,
                "person": {"name": name},
                "face_id": face,
                "note": owner,
                "lane": 2,
                "seen": [plate.lower(), {"by": owner.upper()}],
            }
            self.alarms.append((data, f"{name} left in {plate.lower().replace('-', ' ')}"))

    def patterns(self) -> list[str]:
        """What to search for: as they came, in small letters, and as JSON may escape them."""
        found = [form for word in self.words for form in (word, word.lower(), word.upper())]
        return found + [msgspec.json.encode(word).decode().strip('"') for word in self.words]

    def in_bytes(self, said: bytes) -> list[str]:
        """Those that `said` says."""
        return sorted({word for word in self.patterns() if word.encode() in said})


async def enter(rig: Rig, planted: Planted, at: dict[str, tuple[int, Any]]) -> None:
    """As alarms, as what is shown of them and of tracks, and as what is refused: of an item, and of
    a frame that nobody could read."""
    for number, (data, text) in enumerate(planted.alarms):
        camera = CAMERAS[number % len(CAMERAS)]
        generation, position = at[camera]
        alarm = alarm_of(camera, position, data, text=text)
        raw = msgspec.json.encode({"data": data, "text": text, "objects": 7})
        letter = DeadLetter(SESSION, number + 1, "bad_input", f"no {text}", raw, RECEIVED_US)
        row = row_of(camera, generation, position, events=[alarm], letters=[letter])
        assert await rig.cameras.commit([row]) == {camera}
        at[camera] = (generation, row.after)
        frame = NewLetter(camera, SESSION, "undecodable", text, text.encode(), RECEIVED_US)
        await rig.letters.add_many([frame])
        body = published(alarm.body, alarm.hash, alarm.personal)
        track = {"id": "t1", "label": "car", "sub_label": data["plate"], "attributes": data}
        state = msgspec.json.encode(
            {
                "camera": camera,
                "tracks": [track],
                "last_event": {"id": alarm.event.id, "type": f"alarm.{data['plate']}"},
                "echoes": {data["plate"]: ["plate"]},
            }
        )
        offset = alarm.event.offset
        summary = LiveSummary(camera, generation, number + 1, offset, state)
        await rig.stores.publisher.publish(
            [LiveState("site", camera, generation, number + 1, offset, state)],
            [LiveEvent("site", camera, generation, alarm.event.epoch, offset, body)],
            {"site": [summary]},
            {},
        )


async def in_redis(url: str, planted: Planted) -> list[str]:
    """Which keys of Redis say one of them."""
    client = redis.asyncio.from_url(url)
    found = []
    try:
        async for key in client.scan_iter():
            kind = await client.type(key)
            said: Any = b""
            if kind == b"hash":
                said = await client.hgetall(key)
            elif kind == b"stream":
                said = await client.xrange(key)
            elif kind == b"string":
                said = await client.get(key)
            if planted.in_bytes(_flat(said)):
                found.append(key.decode())
    finally:
        await client.aclose()
    return sorted(found)


def _flat(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, dict):
        return b" ".join(_flat(one) for pair in value.items() for one in pair)
    if isinstance(value, list | tuple):
        return b" ".join(map(_flat, value))
    return str(value).encode()


async def in_files(folder: Path, planted: Planted, patterns: Path) -> list[str]:
    """Which files below `folder` say one of them: tables, indexes, the log, whatever lies there."""
    await asyncio.to_thread(patterns.write_text, "\n".join(planted.patterns()), "utf-8")
    grep = await asyncio.to_thread(
        subprocess.run,
        ["grep", "-rlaF", "-f", str(patterns), "--", str(folder)],
        check=False,
        capture_output=True,
        text=True,
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
    )
    assert grep.returncode in (0, 1), grep.stderr
    return grep.stdout.splitlines()


def in_rows(rows: Iterable[Any], planted: Planted) -> list[str]:
    """Those that a table says."""
    return planted.in_bytes(b" ".join(_flat(list(row.values())) for row in rows))


__all__ = ["CAMERAS", "OWNER", "Planted", "enter", "in_files", "in_redis", "in_rows"]
