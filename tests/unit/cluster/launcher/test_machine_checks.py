"""What a machine must have is judged by values; each finding that is not well says what to do."""

import json
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.core.settings import Settings, build
from cluster.launcher import machine
from cluster.launcher.machine_checks import (
    MIB,
    CheckResult,
    Disk,
    MachineFacts,
    Port,
    failed,
    findings,
    raised,
)
from storage.embedded.data_dir import DataDir
from tests.support.cluster.product import ROOT

HEALTHY = MachineFacts(
    python=(3, 12),
    files_soft=65_536,
    files_hard=1 << 20,
    disks=[Disk(["/data", "/tmp"], 300 * MIB, 900 * MIB, 1 << 20)],
    memory=8_192 * MIB,
    ports=[Port("hub.port", "127.0.0.1", 8000)],
    data_dir="/data",
    unusable="",
    clock=1_796_000_000.0,
    newest=1_796_000_000.0,
)
TAKEN = Port("hub.port", "127.0.0.1", 8000, "Address already in use", "nginx (process 7)")


def test_a_machine_that_has_it_all_is_told_so() -> None:
    assert {one.verdict for one in findings(HEALTHY)} == {"ok"}
    assert [one.check for one in findings(HEALTHY)] == [
        "python",
        "descriptors",
        "memory",
        "data directory",
        "disk",
        "port",
        "clock",
    ]


@pytest.mark.parametrize(
    ("change", "check", "verdict", "words"),
    [
        ({"python": (3, 10)}, "python", "failed", "3.11 to 3.14 is needed"),
        ({"python": (3, 15)}, "python", "failed", "Python 3.15"),
        (
            {"files_soft": 64, "files_hard": 64},
            "descriptors",
            "failed",
            "64 files and sockets; 1,024 are needed",
        ),
        (
            {"files_soft": 1_024, "files_hard": 4_096},
            "descriptors",
            "warning",
            "about 3,896 connections",
        ),
        (
            {"files_soft": 64, "files_hard": 9_000},
            "descriptors",
            "ok",
            "9,000 files and sockets (the limit of 64 is raised",
        ),
        ({"memory": 500 * MIB}, "memory", "failed", "939,524,096 are needed"),
        ({"memory": 1_500 * MIB}, "memory", "warning", "small site"),
        ({"memory": None}, "memory", "warning", "does not say"),
        (
            {"unusable": "Read-only file system"},
            "data directory",
            "failed",
            "/data cannot be used: Read-only file system",
        ),
        (
            {"disks": [Disk(["/data", "/tmp"], 300, 299)]},
            "disk",
            "failed",
            "300 bytes are needed in /data and /tmp, and 299 are",
        ),
        ({"disks": [Disk(["/data"], 1, 2, 12)]}, "disk", "failed", "12 are free there"),
        ({"disks": [Disk(["/data"], 1, 2, None)]}, "disk", "ok", "2 bytes are free"),
        ({"ports": [TAKEN]}, "port", "failed", "Address already in use by nginx (process 7)"),
        (
            {"ports": [msgspec.structs.replace(TAKEN, needed=False)]},
            "port",
            "warning",
            "127.0.0.1:8000 cannot be listened on",
        ),
        (
            {"ports": [msgspec.structs.replace(TAKEN, ours=True)]},
            "port",
            "ok",
            "runs on this data directory",
        ),
        (
            {"ports": [Port("hub.port", "::1", 9), Port("metrics.port", "::1", 9)]},
            "port",
            "failed",
            "by hub.port and by metrics.port",
        ),
        ({"clock": 0.0}, "clock", "failed", "1970-01-01"),
        ({"clock": 1e30}, "clock", "failed", "s since 1970"),
        ({"newest": 1_796_003_600.0}, "clock", "warning", "3,600 s ahead of this clock"),
        ({"newest": 1_796_000_060.0}, "clock", "ok", "2026-"),
    ],
)
def test_each_lack_is_named_with_what_to_do(
    change: dict[str, Any], check: str, verdict: str, words: str
) -> None:
    found = [
        one for one in findings(msgspec.structs.replace(HEALTHY, **change)) if one.check == check
    ]
    told = next(one for one in found if one.verdict == verdict and words in one.found)
    assert (told.next_step == "") == (verdict == "ok")
    assert bool(failed(found)) == (verdict == "failed")


@pytest.mark.parametrize(
    ("soft", "hard", "wanted"),
    [(64, 64, 64), (64, 5_000, 5_000), (1_024, 1 << 20, 65_536), (1 << 20, 1 << 20, 1 << 20)],
)
def test_the_soft_limit_is_raised_as_far_as_the_hard_one_allows_and_never_lowered(
    soft: int, hard: int, wanted: int
) -> None:
    assert raised(soft, hard) == wanted


def test_this_machine_is_measured(tmp_path: Path) -> None:
    found = machine.measure(Settings(), DataDir(tmp_path / "not" / "there"))
    assert found.python == sys.version_info[:2]
    assert found.memory
    assert found.disks[0].free > 0
    assert found.unusable == ""
    assert [port.setting for port in found.ports] == ["hub.port", "cluster.api_port"]
    (tmp_path / "file").touch()
    assert (
        "is no folder" in machine.measure(Settings(), DataDir(tmp_path / "file" / "data")).unusable
    )


def test_a_port_that_is_taken_is_named_with_the_program_that_has_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        settings = build({"hub": {"port": port}, "cluster": {"api_port": 0}})
        (found,) = machine.measure(settings, DataDir(tmp_path)).ports
        assert (found.port, bool(found.problem), found.ours) == (port, True, False)
        assert found.holder.endswith(f"(process {os.getpid()})")
        data = DataDir(tmp_path)
        data.run.mkdir()
        data.note("hub", os.getpid())
        (found,) = machine.measure(settings, data).ports
        assert found.ours


@pytest.mark.parametrize(
    ("files", "left"),
    [
        (
            {
                "memory.max": "1000\n",
                "memory.current": "900\n",
                "memory.stat": "anon 1\ninactive_file 300\n",
            },
            400,
        ),
        ({"memory.max": "max\n", "memory.current": "900\n"}, 4_096_000),
        ({}, 4_096_000),
    ],
    ids=["limited", "unlimited", "none"],
)
def test_memory_is_what_the_control_group_leaves(
    tmp_path: Path, files: dict[str, str], left: int
) -> None:
    proc, group = tmp_path / "proc", tmp_path / "cgroup"
    inside = group / "system.slice" / "eyrie.service"
    for folder in (proc / "self", inside):
        folder.mkdir(parents=True)
    (proc / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    4000 kB\n")
    (proc / "self" / "cgroup").write_text("0::/system.slice/eyrie.service\n")
    for name, text in files.items():
        (inside.parent / name).write_text(text)
    assert machine.available_memory(proc, group) == left
    assert machine.available_memory(tmp_path / "none", group) is None


def limited(files: tuple[int, int]) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, files)


def run(folder: Path, *words: str, files: tuple[int, int]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=limited(files),
        env={
            **os.environ,
            "EYRIE_DATA_DIR": str(folder / "data"),
            "EYRIE_HUB_PORT": "0",
            "EYRIE_CLUSTER_API_PORT": "0",
        },
    )


def test_the_command_says_what_fails_and_exits_with_1(tmp_path: Path) -> None:
    found = run(tmp_path, "-m", "cluster.cli.main", "doctor", "--json", files=(64, 64))
    told = json.loads(found.stdout)
    assert (found.returncode, told["ok"]) == (1, False)
    assert [one["check"] for one in told["findings"] if one["verdict"] == "failed"] == [
        "descriptors"
    ]
    table = run(tmp_path, "-m", "cluster.cli.main", "doctor", files=(64, 64))
    assert table.returncode == 1
    assert "ulimit -Hn 65536" in table.stdout


def test_up_refuses_too_few_descriptors_before_anything_starts(tmp_path: Path) -> None:
    refused = run(tmp_path, "-m", "cluster.cli.main", "up", files=(64, 64))
    assert refused.returncode == 1
    assert "64 files and sockets; 1,024 are needed" in refused.stderr
    assert "ulimit -Hn" in refused.stderr
    assert len(refused.stderr.splitlines()) == 2
    assert list(tmp_path.iterdir()) == []


CHILD = """
import resource, subprocess, sys
from pathlib import Path
from actors.core.settings import Settings
from cluster.launcher import machine
from storage.embedded.data_dir import DataDir

print([one.check for one in machine.prepare(Settings(), DataDir(Path(sys.argv[1])), node=True)])
subprocess.run([sys.executable, "-c", "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE))"], check=True)
"""  # noqa: E501


def test_up_raises_the_soft_limit_for_all_that_it_starts(tmp_path: Path) -> None:
    told = run(tmp_path, "-u", "-c", CHILD, str(tmp_path), files=(64, 2_000))
    assert told.stdout.splitlines() == ["['descriptors']", "(2000, 2000)"], told.stderr


def test_findings_are_plain_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(CheckResult("disk", "ok", "x"))) == {
        "check": "disk",
        "verdict": "ok",
        "found": "x",
        "next_step": "",
    }
