"""The blocking client and the vendor's example, against a server in this process."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from actors.core.errors import Conflict
from actors.core.messages.observations import Object, Observation
from edge.blocking import BlockingEdgeClient
from edge.examples import vendor_camera
from tests.support.servers.edge_server import EdgeServer


@pytest.fixture
async def server() -> AsyncIterator[EdgeServer]:
    async with EdgeServer() as running:
        yield running


def work(url: str) -> int:
    with BlockingEdgeClient(url, "secret") as client:
        stream = client.open("cam")
        for _ in range(20):
            stream.send(Observation(datetime.now(UTC), [Object("person", (0.1, 0.1, 0.2, 0.2))]))
        stream.drain(10)
        with pytest.raises(Conflict):
            client.open("cam")
        return stream.account().committed


async def test_it_works_without_asyncio(server: EdgeServer) -> None:
    assert await asyncio.to_thread(work, server.url) == 20
    assert server.of("cam").order == list(range(1, 21))


async def test_the_example_runs_and_keeps_its_spool(
    server: EdgeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vendor_camera, "FPS", 1000)
    for _ in range(2):
        assert await asyncio.to_thread(vendor_camera.main, server.url, "gate", 60, tmp_path) == 0
    assert len(server.seen) == 1
    assert server.of("gate").order == list(range(1, 121))
