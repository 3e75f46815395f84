"""The shell of a source: what is acknowledged, in which order things reach the disk."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from edge.client import EdgeClient
from edge.sources.frigate.mapping import FrigateMapping, FrigateOptions
from edge.sources.frigate.messages import read_config
from edge.sources.journal import SourceJournal
from edge.sources.mqtt import Delivery
from edge.sources.receipts import Memory, Receipt
from edge.sources.runner import SourceFolders, SourceRunner, open_journal
from tests.support.servers.edge_server import EdgeServer
from tests.support.servers.frigate import Step, config, event, walk
from tests.support.sources.running import arrived, expected

CONFIG = msgspec.json.encode(config("yard", "gate"))


def deliveries(*steps: Step) -> list[Delivery]:
    return [
        Delivery(Receipt(f"frigate/{topic}", payload, 1), 1, number, 1)
        for number, (topic, payload) in enumerate(steps, 1)
    ]


class Once:
    """An origin that gives these and then nothing; it looks at the disk when it is told."""

    def __init__(self, folder: Path, given: Sequence[Delivery]) -> None:
        self.acknowledged: list[int] = []
        self.bytes_then: list[int] = []
        self.done = asyncio.Event()
        self._folder = folder
        self._given = list(given)

    async def receive(self, most: int, timeout_s: float | None) -> list[Delivery]:
        if not self._given:
            self.done.set()
            await asyncio.Event().wait()
        now, self._given = self._given[:2], self._given[2:]
        return now

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        self.acknowledged += [one.packet for one in deliveries]
        self.bytes_then.append(sum(path.stat().st_size for path in self._folder.rglob("journal-*")))


def frigate(memory: Memory) -> FrigateMapping:
    mapping = FrigateMapping(FrigateOptions(settle_s=0), memory)
    mapping.configured(read_config(CONFIG))
    return mapping


async def feed(origin: Once, runner: SourceRunner) -> None:
    """Run until the origin has nothing left."""
    work = asyncio.create_task(runner.run(origin))
    waiting = asyncio.create_task(origin.done.wait())
    await asyncio.wait([work, waiting], return_when=asyncio.FIRST_COMPLETED, timeout=30)
    work.cancel()
    waiting.cancel()
    await asyncio.gather(work, waiting, return_exceptions=True)


async def test_the_origin_is_told_when_all_is_on_the_disk(tmp_path: Path) -> None:
    folders = SourceFolders.under(tmp_path)
    journal, memory, _ = open_journal(folders)
    before = journal.size
    steps = walk("1-a", steps=5)
    origin = Once(folders.journal, deliveries(*steps))
    async with EdgeServer() as hub, EdgeClient(hub.url, spool=folders.spool) as client:
        runner = SourceRunner(journal, memory, frigate(memory), client)
        await feed(origin, runner)
        await client.drain(30)
        assert arrived(hub) == expected(steps, CONFIG)
    assert origin.acknowledged == [1, 2, 3, 4, 5, 6]
    assert len(set(origin.bytes_then)) == 3
    assert min(origin.bytes_then) > before
    journal.close()


async def test_a_camera_that_is_not_registered_costs_itself(tmp_path: Path) -> None:
    folders = SourceFolders.under(tmp_path)
    journal, memory, _ = open_journal(folders)
    steps = [event("new", "1-a", camera="gate"), *walk("2-b", steps=3)]
    async with EdgeServer() as hub, EdgeClient(hub.url, spool=folders.spool) as client:
        hub.switches.refuse["gate"] = (4504, "camera gate is not registered")
        runner = SourceRunner(journal, memory, frigate(memory), client)
        origin = Once(folders.journal, deliveries(*steps))
        await feed(origin, runner)
        await runner.cameras["yard"].drain(30)
        assert len(arrived(hub)) == 4
        assert len(origin.acknowledged) == 5
    journal.close()


async def test_what_another_process_took_over_ends_the_source_unacknowledged(
    tmp_path: Path,
) -> None:
    folders = SourceFolders.under(tmp_path)
    journal, memory, _ = open_journal(folders)
    async with EdgeServer() as hub, EdgeClient(hub.url, spool=folders.spool) as client:
        runner = SourceRunner(journal, memory, frigate(memory), client)
        await feed(Once(folders.journal, deliveries(event("new", "1-a"))), runner)
        await client.drain(30)
        await hub.dismiss("yard", 4509, "superseded by a newer session")
        stream = runner.cameras["yard"]
        while stream.error is None:
            await stream.changed()
        origin = Once(folders.journal, deliveries(event("update", "1-a", at=1.0)))
        with pytest.raises(type(stream.error)):
            await runner.run(origin)
        assert origin.acknowledged == []
    journal.close()


def test_a_rewritten_journal_begins_small(tmp_path: Path) -> None:
    journal = SourceJournal(tmp_path)
    journal.rewrite({"a": "b"})
    assert journal.size < 100
    journal.close()
