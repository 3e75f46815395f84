"""The edge client for programs without asyncio: the same client in a thread of its own.

    with BlockingEdgeClient("ws://127.0.0.1:8000/v1/edge", token, spool=Path("spool")) as client:
        camera = client.open("gate-1")
        camera.send(Observation(...))
        camera.drain(10)

Safe to use from several threads. Every call raises what its asyncio counterpart raises.
"""

import asyncio
import ssl
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from actors.core.messages.observations import Observation
from edge import messages
from edge.client import CAPACITY_BYTES, EdgeClient
from edge.stream import OnFull, Stream
from edge.window import Account

T = TypeVar("T")


class BlockingStream:
    """One camera's stream. Made by :meth:`BlockingEdgeClient.open`."""

    def __init__(self, client: "BlockingEdgeClient", stream: Stream) -> None:
        self._client = client
        self._stream = stream

    @property
    def camera(self) -> str:
        """The camera's id."""
        return self._stream.camera

    def send(self, observation: Observation) -> int:
        """Take an observation; its seq (see :meth:`edge.stream.Stream.send`)."""
        return self._client.call(self._stream.send(observation))

    def drain(self, timeout_s: float | None = None) -> None:
        """Return when everything taken is durable at the hub. Raises TimeoutError."""
        self._client.call(self._stream.drain(timeout_s))

    def account(self) -> Account:
        """The counts so far."""
        return self._client.call(_value(lambda: self._stream.account))


class BlockingEdgeClient:
    """See :class:`edge.client.EdgeClient`; the options are the same."""

    def __init__(
        self,
        url: str,
        token: str | Callable[[], str] | None = None,
        *,
        spool: Path | None = None,
        form: messages.Format = "msgpack",
        producer: str | None = None,
        capacity: int = CAPACITY_BYTES,
        on_full: OnFull = "shed",
        tls: ssl.SSLContext | None = None,
    ) -> None:

        def make() -> EdgeClient:
            return EdgeClient(
                url,
                token,
                spool=spool,
                form=form,
                producer=producer,
                capacity=capacity,
                on_full=on_full,
                tls=tls,
            )

        self._make = make
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="eyrie-edge", daemon=True
        )
        self._client: EdgeClient | None = None

    def __enter__(self) -> "BlockingEdgeClient":
        self._thread.start()
        self._client = self.call(self._open())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def open(
        self, camera: str, *, session: str | None = None, frame_size: tuple[int, int] | None = None
    ) -> BlockingStream:
        """The stream of a camera (see :meth:`edge.client.EdgeClient.open`)."""
        assert self._client is not None, "use it as a context manager"
        return BlockingStream(
            self, self.call(self._client.open(camera, session=session, frame_size=frame_size))
        )

    def close(self) -> None:
        """Say bye and end the thread. What is not acked stays in the spool."""
        if self._client is not None:
            self.call(self._client.close())
            self._client = None
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        if not self._loop.is_closed():
            self._loop.close()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` in the client's thread and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _open(self) -> EdgeClient:
        return await self._make().__aenter__()


async def _value(read: Callable[[], T]) -> T:
    return read()
