"""Metrics of several processes as one: what adds up, what is the worst, what a dead process
leaves."""

import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from storage.embedded.data_dir import DataDir
from storage.process.metrics import NodeMetrics, ProcessMetrics, clear, families, folder_of
from tests.support.cluster.product import ROOT

OTHER = """
import sys
from pathlib import Path
from storage.embedded.data_dir import DataDir
from storage.process.metrics import ProcessMetrics
from tests.unit.storage.process.test_metrics import figures
made = ProcessMetrics(DataDir(Path(sys.argv[1])), lambda: figures(int(sys.argv[2])))
made.write()
print("written", flush=True)
sys.stdin.read()
"""


def figures(n: int) -> list[Metric]:
    lost = CounterMetricFamily("eyrie_lost", "By reason.", labels=["reason"])
    lost.add_metric(["late"], n)
    trip = HistogramMetricFamily("eyrie_trip_seconds", "A way.", labels=["lane"])
    trip.add_metric(["live"], [("0.1", n), ("1.0", 3 * n), ("+Inf", 4 * n)], sum_value=2.0 * n)
    return [
        CounterMetricFamily("eyrie_seen", "Seen.", value=10 * n),
        GaugeMetricFamily("eyrie_open", "Open.", value=n),
        GaugeMetricFamily("eyrie_oldest_age_seconds", "Oldest.", value=n),
        GaugeMetricFamily("eyrie_broker_up", "Up.", value=n - 1),
        lost,
        trip,
    ]


def merged(data: DataDir) -> dict[str, float]:
    found = {}
    for family in text_string_to_metric_families(NodeMetrics(data).text().decode()):
        for sample in family.samples:
            found[
                sample.name + "".join(f"/{value}" for _name, value in sorted(sample.labels.items()))
            ] = sample.value
    return found


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    return DataDir(tmp_path)


def other(data: DataDir, n: int) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(data.path), str(n)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    return process


def test_a_process_alone_is_shown_as_it_is(data: DataDir) -> None:
    made = ProcessMetrics(data, lambda: figures(2))
    made.write()
    made.write()  # again changes nothing
    assert merged(data) == {
        "eyrie_seen_total": 20,
        "eyrie_open": 2,
        "eyrie_oldest_age_seconds": 2,
        "eyrie_broker_up": 1,
        "eyrie_lost_total/late": 2,
        "eyrie_trip_seconds_bucket/live/0.1": 2,
        "eyrie_trip_seconds_bucket/live/1.0": 6,
        "eyrie_trip_seconds_bucket/live/+Inf": 8,
        "eyrie_trip_seconds_count/live": 8,
        "eyrie_trip_seconds_sum/live": 4,
    }
    made.close()


def test_two_processes_add_up_and_a_dead_one_leaves_its_counts_alone(data: DataDir) -> None:
    mine = ProcessMetrics(data, lambda: figures(2))
    mine.write()
    second = other(data, 5)
    both = merged(data)
    assert (
        both["eyrie_seen_total"],
        both["eyrie_open"],
        both["eyrie_oldest_age_seconds"],
        both["eyrie_broker_up"],
    ) == (70, 7, 5, 1)
    assert (both["eyrie_trip_seconds_bucket/live/1.0"], both["eyrie_trip_seconds_sum/live"]) == (
        21,
        14,
    )
    second.communicate("")
    for _ in range(2):  # folded once, not at every scrape
        left = merged(data)
        assert (
            left["eyrie_seen_total"],
            left["eyrie_lost_total/late"],
            left["eyrie_trip_seconds_count/live"],
        ) == (70, 7, 28)
        assert (left["eyrie_open"], left["eyrie_oldest_age_seconds"]) == (2, 2)
    third = other(data, 1)
    third.communicate("")
    assert merged(data)["eyrie_seen_total"] == 80
    names = {file.name.rpartition("_")[2] for file in folder_of(data).glob("*.db")}
    assert len(names) == 2, "one process that lives, and one file of each kind for all the dead"
    mine.close()


def test_a_file_that_was_only_just_made_fails_no_scrape(data: DataDir) -> None:
    mine = ProcessMetrics(data, lambda: [CounterMetricFamily("eyrie_seen", "Seen.", value=3)])
    mine.write()
    written = next(folder_of(data).glob("counter_*.db"))
    written.with_name("counter_999999999-1.db").touch()  # of a process that was killed
    written.with_name(written.name.replace("counter", "histogram")).touch()  # of one that lives
    assert merged(data) == {"eyrie_seen_total": 3}
    mine.close()


def test_a_node_that_starts_again_counts_from_zero(data: DataDir) -> None:
    made = ProcessMetrics(data, lambda: figures(1))
    made.write()
    made.close()
    clear(data)
    assert merged(data) == {}


def test_plain_figures_become_metrics() -> None:
    made = families(
        "eyrie_actor",
        counters={"commits": 3},
        gauges={"cameras": 2},
        about={"commits": "Commits.", "cameras": "Cameras."},
    )
    assert [(family.name, family.type, family.samples[0].value) for family in made] == [
        ("eyrie_actor_commits", "counter", 3.0),
        ("eyrie_actor_cameras", "gauge", 2.0),
    ]
