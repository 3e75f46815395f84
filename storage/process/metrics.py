"""Metrics of all processes of a node as one: each process writes its own every few seconds, whoever
is asked merges.

The files are those of prometheus-client's multiprocess mode (its `MmapedDict` writes, its
`MultiProcessCollector` merges). That mode wants its metrics counted through its own value class;
ours are counted by the parts as they go and collected when somebody asks, so they are copied over
here. Counters and histograms add up and outlive their process; a gauge counts while its process
lives.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from storage.embedded.data_dir import DataDir, start_time

EVERY_S = 5.0  # seconds between two copies of a process: how old a merged figure may be
OVER = "0-0"  # names the files that dead processes were folded into
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# How gauges of several processes make one: ages and lags are those of the worst, what is up is up
# when all are; the rest adds up.
WORST = ("_seconds", "_behind", "_age_s")
ALL = ("_up",)

_files: Any = import_module("prometheus_client.mmap_dict")  # without types
_multiprocess: Any = import_module("prometheus_client.multiprocess")

log = logging.getLogger(__name__)

__all__ = [
    "Metric",
    "NodeMetrics",
    "ProcessMetrics",
    "clear",
    "families",
    "folder_of",
    "gauge_mode",
]

Collect = Callable[[], Iterable[Metric]]


def folder_of(data: DataDir) -> Path:
    """Where the processes of a node write."""
    return data.run / "metrics"


def families(
    prefix: str,
    *,
    counters: Mapping[str, float],
    gauges: Mapping[str, float],
    about: Mapping[str, str],
) -> list[Metric]:
    """Metrics of plain figures; `about` says of each what it is."""
    return [
        *(
            CounterMetricFamily(f"{prefix}_{name}", about[name], value=float(value))
            for name, value in counters.items()
        ),
        *(
            GaugeMetricFamily(f"{prefix}_{name}", about[name], value=float(value))
            for name, value in gauges.items()
        ),
    ]


class ProcessMetrics:
    """This process's copy. `collect` gives the metrics as they are now."""

    def __init__(self, data: DataDir, collect: Collect) -> None:
        self._folder = folder_of(data)
        self._collect = collect
        self._name = (
            f"{os.getpid()}-{start_time(os.getpid()) or 0}"  # a pid comes again, with another start
        )
        self._files: dict[str, Any] = {}

    async def run(self) -> None:
        """Copy every `EVERY_S`, for ever."""
        while True:
            try:
                self.write()
            except Exception:  # a figure that cannot be had must not end what it is about
                log.exception("metrics cannot be copied")
            await asyncio.sleep(EVERY_S)

    def run_in_thread(self) -> None:
        """The same, for a process without a loop: until it ends."""
        threading.Thread(
            target=lambda: asyncio.run(self.run()), name="process-metrics", daemon=True
        ).start()

    def write(self) -> None:
        """Copy now."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for family in self._collect():
            below: dict[
                tuple[str, ...], float
            ] = {}  # the bucket before, of the same labels: files hold what lies between two bounds
            for sample in family.samples:
                value = sample.value
                if family.type == "histogram":
                    if sample.name.endswith("_count"):
                        continue  # the merge counts the buckets
                    if sample.name.endswith("_bucket"):
                        key = tuple(
                            label for name, label in sorted(sample.labels.items()) if name != "le"
                        )
                        value, below[key] = value - below.get(key, 0.0), value
                labels = dict(sample.labels)
                where = _files.mmap_key(
                    family.name,
                    sample.name,
                    tuple(labels),
                    tuple(labels.values()),
                    family.documentation,
                )
                self._file(family).write_value(where, value, time.time())

    def close(self) -> None:
        """Close the files; they stay."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _file(self, family: Metric) -> Any:
        kind = (
            family.type
            if family.type in ("counter", "histogram")
            else f"gauge_{gauge_mode(family.name)}"
        )
        if kind not in self._files:
            self._files[kind] = _files.MmapedDict(str(self._folder / f"{kind}_{self._name}.db"))
        return self._files[kind]


def gauge_mode(name: str) -> str:
    """How a gauge of several processes is merged."""
    return "livemax" if name.endswith(WORST) else "livemin" if name.endswith(ALL) else "livesum"


class NodeMetrics(Collector):
    """The merge of a node."""

    def __init__(self, data: DataDir) -> None:
        self._folder = folder_of(data)

    def collect(self) -> Iterator[Metric]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(self._folder):
            fold_dead(self._folder)
            begun = [str(file) for file in self._folder.glob("*.db") if file.stat().st_size]
            yield from _multiprocess.MultiProcessCollector.merge(begun)

    def text(self) -> bytes:
        """The exposition in the text format."""
        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)


def clear(data: DataDir) -> None:
    """Nothing of an earlier life of the node counts."""
    for file in folder_of(data).glob("*.db"):
        file.unlink(missing_ok=True)


def fold_dead(folder: Path) -> None:
    """Gauges of dead processes end; their counters and histograms are folded into one file each, so
    that files do not pile up. A process that was killed before its file had a length left nothing
    to fold."""
    for file in folder.glob("*.db"):
        kind, _, name = file.stem.rpartition("_")
        pid, _, started = name.partition("-")
        if name == OVER or not pid.isdigit() or start_time(int(pid)) == int(started or 0):
            continue
        if not kind.startswith("gauge") and file.stat().st_size:
            _fold(file, folder / f"{kind}_{OVER}.db")
        file.unlink(missing_ok=True)


def _fold(dead: Path, into: Path) -> None:
    total = _files.MmapedDict(str(into))
    try:
        for key, value, stamp, _position in _files.MmapedDict.read_all_values_from_file(str(dead)):
            total.write_value(key, total.read_value(key)[0] + value, stamp)
    finally:
        total.close()


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One merge at a time on a node: two that fold the same file would count it twice."""
    with (folder / "lock").open("a", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
