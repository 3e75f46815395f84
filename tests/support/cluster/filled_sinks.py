"""Sinks in the doubles of a cluster API, and with them what else is background work."""

from typing import Any

from storage.ports.background.sinks import CursorRow, SinkRow
from tests.support.cluster.cluster_api import TestApi
from tests.support.cluster.filled_jobs import JOB_BODIES, JOB_NAMES, fill_jobs

SINKS = [f"s{number}" for number in range(40)]
HOOK = {"type": "webhook", "url": "https://127.0.0.1/eyrie"}  # nothing is ever sent there
VIEW = {"sites": ["*"]}
MORE_NAMES = JOB_NAMES | {"sink": SINKS}  # for fuzzing
MORE_BODIES: dict[str, dict[str, Any]] = JOB_BODIES | {
    "makeSink": {"name": "fresh", "to": HOOK, "view": VIEW},
    "pauseSink": {"reason": "quiet"},
    "skipSinkEvent": {"reason": "not theirs"},
    "replaySinkEvents": {"from": 1, "to": 2},
    "rotateSinkSecret": {"scheme": "ed25519"},
}


async def fill_more(api: TestApi) -> None:
    """Jobs and sinks."""
    await fill_jobs(api)
    await fill_sinks(api)


async def fill_sinks(api: TestApi) -> None:
    """Each with some parked cameras."""
    for name in SINKS:
        await api.memory.sinks.make(
            SinkRow(name, "webhook", {"to": HOOK, "view": VIEW}), from_now=True
        )
        for camera in ("gate", "dock", "attic"):
            at = CursorRow(camera, "e", 1, 3, "", 3, True, "no", 0, 1)
            api.memory.sinks.places[name, camera] = at
