"""An audit of many events takes little memory and less than a minute for a million, from the
database and from an export."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from actors.core.camera.snapshot import VERSION, Snapshot, encode
from actors.core.messages.commits import Position
from actors.core.messages.events import CHAIN_START, Event, seal
from actors.core.times import rfc3339, to_us
from storage.migrations import migrate
from tests.support.cluster.product import ROOT
from tests.support.servers.store_fixtures import settings_of
from tests.support.servers.store_servers import postgres

COLUMNS = (
    "camera",
    "epoch",
    "offset",
    "received",
    "time",
    "type",
    "severity",
    "site",
    "session",
    "seq",
    "track",
    "label",
    "zone",
    "line",
    "body",
    "hash",
)
CAMERAS = 20
MAX_MEMORY = 200 * 1024 * 1024  # bytes: the interpreter and a head per camera, never the events
START = datetime.now(UTC).replace(hour=0, minute=0, second=1, microsecond=0)
# Runs the command and tells its own peak memory on standard error. VmHWM and not ru_maxrss: the
# latter survives exec, so it would tell of the process that runs the tests.
MEASURED = """
import sys
from cluster.cli.main import main
code = main(sys.argv[1:])
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak) * 1024, file=sys.stderr)
sys.exit(code)
"""


def rows(camera: str, count: int) -> Iterator[tuple[Any, ...]]:
    """A camera's sound chain of `count` events, as columns."""
    chain = CHAIN_START
    for offset in range(1, count + 1):
        moment = START + timedelta(milliseconds=offset)
        event = Event(
            id=f"{camera}/e1/{offset}",
            type="zone.entered",
            site="s",
            camera=camera,
            epoch="e1",
            offset=offset,
            session="boot-1",
            seq=offset,
            time=rfc3339(to_us(moment)),
            received=rfc3339(to_us(moment)),
            severity="notice",
            track=f"t{offset % 97}",
            label="person",
            zone="door",
            data={},
        )
        stored = seal(event, chain, received_us=0, time_us=0)
        chain = stored.hash
        yield (
            camera,
            "e1",
            offset,
            moment,
            moment,
            event.type,
            event.severity,
            "s",
            "boot-1",
            offset,
            event.track,
            "person",
            "door",
            None,
            stored.body,
            stored.hash,
        )


async def fill(dsn: str, events: int) -> None:
    """Store `events` of `CAMERAS` cameras, and their rows."""
    await migrate(settings_of(dsn, ""))
    connection = await asyncpg.connect(dsn)
    await connection.execute("INSERT INTO sites (site) VALUES ('s')")
    each = events // CAMERAS
    for index in range(CAMERAS):
        camera = f"cam-{index:02}"
        last = CHAIN_START

        def kept(camera: str = camera) -> Iterator[tuple[Any, ...]]:
            nonlocal last
            for row in rows(camera, each):
                last = row[-1]
                yield row

        await connection.copy_records_to_table(
            "events", records=kept(), columns=COLUMNS, timeout=600
        )
        await connection.execute("INSERT INTO cameras (camera, site) VALUES ($1, 's')", camera)
        position = Position("boot-1", each, "e1", each, last)
        await connection.execute(
            "INSERT INTO positions (camera, generation, session, last_seq, epoch, last_offset, "
            "chain, snapshot) "
            "VALUES ($1, 1, $2, $3, $4, $5, $6, $7)",
            camera,
            position.session,
            each,
            "e1",
            each,
            last,
            encode(Snapshot(VERSION, session="boot-1", seq=each)),
        )
    await connection.execute("VACUUM ANALYZE events")
    await connection.close()


def audit(*arguments: str) -> tuple[int, str, float, int]:
    """(exit code, output, seconds, peak bytes) of `eyrie audit …`."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, "audit", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stderr, done.stdout
    return done.returncode, done.stdout, time.monotonic() - began, int(done.stderr.splitlines()[-1])


async def audited(events: int, folder: Path) -> list[tuple[float, int]]:
    """Verify `events` in a database, export them, verify the export, damage it and verify again;
    (seconds, bytes) of the first two."""
    with postgres() as (_, dsn):
        await fill(dsn, events)
        code, output, from_database_s, memory = audit("verify", dsn, "--json")
        assert (code, json.loads(output)["events"]) == (0, events), output
        export = folder / "export.ndjson"
        assert audit("export", str(export), "--source", dsn)[0] == 0
    code, output, from_file_s, file_memory = audit("verify", str(export), "--json")
    assert (code, json.loads(output)["events"]) == (0, events), output
    with export.open("r+b") as file:
        for _ in range(events // 2):
            place = file.tell()
            line = file.readline()
        file.seek(place)
        file.write(line.replace(b"zone.entered", b"zone.exiteds"))
    code, output, _, _ = audit("verify", str(export), "--json")
    assert (code, json.loads(output)["found"]) == (1, 1), output
    return [(from_database_s, memory), (from_file_s, file_memory)]


async def test_an_audit_streams(tmp_path: Path) -> None:
    for _, memory in await audited(20_000, tmp_path):
        assert memory < MAX_MEMORY


@pytest.mark.prove
@pytest.mark.timeout(900)
async def test_a_million_events_in_less_than_a_minute(tmp_path: Path) -> None:
    for seconds, memory in await audited(1_000_000, tmp_path):
        assert seconds < 60.0
        assert memory < MAX_MEMORY
