"""A camera actor over real stores, and a hub made of calls: what the integration tests of `actors`
share."""

import secrets
from collections.abc import Sequence
from typing import Any

import msgspec

from actors.camera_actor import CameraActor
from actors.core.messages import deliveries
from actors.core.messages.deliveries import Acked, Answer, Attach, Data, Item
from actors.core.settings import CameraSettings, PostgresSettings, RedisSettings, Settings
from actors.core.times import rfc3339
from actors.wall_clock import WallClock, wall_us
from storage.ports.events import EventRow
from storage.ports.live import BrokerMessage
from storage.ports.processes import ActorRecord
from storage.stores import Stores, open_stores
from tests.support.waiting import until

T0_US = 1_772_366_400_000_000  # 2026-03-01T12:00:00Z
SCENE = msgspec.json.encode(
    {
        "zones": {
            "door": {"points": [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]], "enter_frames": 1}
        },
        "min_hits": 1,
    }
)


def settings_of(dsn: str, url: str, **camera: Any) -> Settings:
    """Settings over these servers, with short intervals."""
    return Settings(
        postgres=PostgresSettings(dsn=dsn, command_timeout_s=10.0),
        redis=RedisSettings(url=url, timeout_s=5.0),
        camera=CameraSettings(**{"commit_interval_s": 0.02, "heartbeat_s": 0.2, **camera}),
    )


def walk(seqs: Sequence[int], *, every_us: int = 100_000) -> list[bytes]:
    """Observations of a person who is in zone ``door`` at even tens of seqs and outside at odd
    ones."""
    observations = []
    for seq in seqs:
        x = 0.2 if (seq // 10) % 2 == 0 else 0.8
        seen = {"label": "person", "box": [x - 0.05, 0.4, x + 0.05, 0.6], "score": 0.9, "id": "p1"}
        observations.append(
            msgspec.json.encode({"time": rfc3339(T0_US + seq * every_us), "objects": [seen]})
        )
    return observations


class Process:
    """A camera actor "process" that can be cut off like one that was killed."""

    def __init__(self, actor: CameraActor, stores: Stores) -> None:
        self.actor = actor
        self.stores = stores
        self.hub = f"hub-{secrets.token_hex(2)}"
        self.answers: list[Answer] = []
        actor.linked(self.hub, self._answered)

    @classmethod
    async def begin(
        cls,
        settings: Settings,
        stores: Stores,
        cameras: Sequence[str],
        *,
        name: str = "",
        clock: WallClock | None = None,
    ) -> "Process":
        """Assign `cameras` to a new incarnation and activate them there."""
        name = name or f"actor.{secrets.token_hex(4)}"
        own = await open_stores(settings, name=name)
        owners = await stores.cameras.owners()
        await own.actors.put(ActorRecord(name))
        for camera in cameras:
            assert await own.cameras.assign(camera, name, previous=owners[camera])
        actor = CameraActor(name, own, settings.camera, clock=clock)
        actor.start()
        assert await actor.adopt(cameras) == {}
        return cls(actor, own)

    def send(self, *items: Item) -> None:
        """One frame; answers are collected in `answers`."""
        self.actor.take(deliveries.encoder.encode(items))

    def _answered(self, answers: bytes) -> None:
        self.answers += deliveries.answers_decoder.decode(answers)

    def attach(self, camera: str, session: str = "s1", link: str = "1") -> None:
        """A hello."""
        self.send(Attach(camera, f"{self.hub}/{link}", session, 1, wall_us()))

    def data(self, camera: str, seqs: Sequence[int], session: str = "s1", link: str = "1") -> None:
        """Observations `seqs` (contiguous) of :func:`walk`."""
        self.send(
            Data(camera, f"{self.hub}/{link}", session, seqs[0], wall_us(), "json", walk(seqs))
        )

    def of(self, kind: type[Any], camera: str = "") -> list[Any]:
        """Answers of one kind."""
        return [
            answer
            for answer in self.answers
            if isinstance(answer, kind) and camera in ("", answer.camera)
        ]

    async def acked(self, camera: str, seq: int) -> None:
        """Wait for the ack of `seq`."""
        await until(
            lambda: any(ack.seq >= seq for ack in self.of(Acked, camera)),
            what=f"the ack of {camera} {seq}",
        )

    async def has(self, kind: type[Any], times: int = 1) -> None:
        """Wait for answers of one kind."""
        await until(lambda: len(self.of(kind)) >= times, what=f"{times} × {kind.__name__}")

    def freeze(self) -> None:
        """Like SIGKILL: the loops end at once, nothing is committed or published any more."""
        self.actor._commits.end()
        self.actor._live.end()
        self.actor._tasks.cancel()

    async def end(self) -> None:
        """Close without a last commit."""
        self.freeze()
        await self.actor._tasks.join()
        await self.stores.close()


async def events_of(stores: Stores, camera: str) -> list[EventRow]:
    """All stored events of a camera's current epoch."""
    position = (await stores.cameras.ownership([camera]))[camera].position
    return await stores.events.after(camera, position.epoch, 0, 10_000)


def types(rows: Sequence[EventRow]) -> list[str]:
    """Their types."""
    return [msgspec.json.decode(row.body)["type"] for row in rows]


def shown(publications: Sequence[BrokerMessage]) -> list[int]:
    """Offsets of published events, in order."""
    return [publication.offset for publication in publications if publication.kind == "event"]
