"""Devices of a scenario that use the public edge client, as a device in the field does."""

import asyncio
import logging
from collections.abc import Callable, Sequence

import msgspec

from actors.core.backoff import Backoff
from actors.core.messages.observations import Observation
from edge.client import EdgeClient
from edge.stream import Stream
from load_tests.drivers.device_plan import DevicePlan
from load_tests.harness.recording import Recorder, digest

FIRST_BACKOFF_S, MAX_BACKOFF_S = 0.25, 3.0


class ClientGateway:
    """Cameras of one edge client, which spools in memory and never sheds: what is due waits
    there."""

    def __init__(
        self,
        number: int,
        plan: DevicePlan,
        pool: Sequence[bytes],
        recorder: Recorder,
        due: Callable[[float], int],
        on_ack: Callable[[str, int], None],
    ) -> None:
        self.name = f"{plan.proc}/{number}"
        self.resent = self.connections = 0
        self.failed = ""
        self._plan, self._pool, self._recorder, self._due, self._on_ack = (
            plan,
            pool,
            recorder,
            due,
            on_ack,
        )
        self._names = plan.sockets[number]
        self._streams: dict[str, Stream] = {}
        self._sent = dict.fromkeys(self._names, 0)
        self._acked = dict.fromkeys(self._names, 0)
        self._closed = asyncio.Event()
        url = f"ws://{plan.host}:{plan.ports[number]}/v1/edge"
        self._client = EdgeClient(
            url, plan.token, on_full="wait", backoff=Backoff(FIRST_BACKOFF_S, MAX_BACKOFF_S)
        )

    async def run(self) -> None:
        logging.getLogger("eyrie.edge").setLevel(logging.ERROR)  # what it meets is in the history
        async with self._client:
            for camera in self._names:
                self._streams[camera] = await self._client.open(camera, session=self._plan.session)
            await self._closed.wait()

    def turn(self, now: float) -> None:
        wanted = min(self._due(now), len(self._pool))
        for camera, stream in self._streams.items():
            if stream.error is not None:
                self.failed = self.failed or str(stream.error)
                return
            first = self._sent[camera] + 1
            if wanted >= first:
                bodies = self._pool[first - 1 : wanted]
                self._recorder.note(
                    "invoke",
                    "observe",
                    camera=camera,
                    session=self._plan.session,
                    seq=first,
                    last=wanted,
                    sha=digest(bodies),
                )
                for body in bodies:
                    stream.send_nowait(msgspec.msgpack.decode(body, type=Observation))
                self._sent[camera] = wanted
            self._look(camera, stream)
        self.resent, self.connections = self._client.account.resent, self._client.connections

    def close(self) -> None:
        self._closed.set()

    def state(self) -> dict[str, tuple[int, int, int]]:
        opened = {camera: stream.welcomed for camera, stream in self._streams.items()}
        return {
            camera: (
                self._sent[camera],
                self._acked[camera],
                self._sent[camera] if opened.get(camera) else -1,
            )
            for camera in self._names
        }

    def _look(self, camera: str, stream: Stream) -> None:
        acked = self._sent[camera] - stream.pending
        if acked > self._acked[camera]:
            self._acked[camera] = acked
            self._recorder.note(
                "ok", "observe", camera=camera, session=self._plan.session, last=acked
            )
            self._on_ack(camera, acked)
