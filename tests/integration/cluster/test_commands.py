"""`eyrie cluster …` against the cluster API over HTTP, on a cluster that stands still."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from cluster.cli.cluster.processes import hottest
from cluster.cli.main import main
from storage.ports.cluster import ClusterDecision, Operation
from tests.support.cluster.cluster_api import NODE, OTHER, TestApi, running_api

ROOT = Path(__file__).resolve().parents[3]


async def eyrie(api: TestApi, folder: Path, *words: str) -> int:
    """The exit code of ``eyrie cluster …``."""
    token = folder / "token"
    token.write_text(api.token())
    return await asyncio.to_thread(
        main, ["cluster", *words, "--url", api.url, "--token-file", str(token)]
    )


async def told(api: TestApi, folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """What it prints with --json."""
    capsys.readouterr()
    assert await eyrie(api, folder, *words, "--json") in (0, 1)
    return json.loads(capsys.readouterr().out)


async def test_status_and_lists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running_api(tmp_path) as api:
        assert await eyrie(api, tmp_path, "status") == 1, (
            "a hub is not ready, a camera is quarantined"
        )
        shown = capsys.readouterr().out
        for word in (
            "2 nodes",
            "1 of 2 hubs",
            "port 8000 is in use",
            "yard",
            "10.0.0.2",
            "most room",
        ):
            assert word in shown, word
        assert [
            camera["camera"]
            for camera in (await told(api, tmp_path, capsys, "cameras", "--site", "north"))[
                "cameras"
            ]
        ] == [
            "dock",
            "gate",
        ]
        assert await eyrie(api, tmp_path, "cameras", "gate") == 0
        assert "it died: killed" in capsys.readouterr().out
        assert await eyrie(api, tmp_path, "nodes", "bbb") == 0
        assert await eyrie(api, tmp_path, "nodes", "10.0.0.9") == 1
        assert "0 nodes are called 10.0.0.9" in capsys.readouterr().err
        for name in ("actors", "hubs", "policies", "decisions"):
            assert await eyrie(api, tmp_path, name) == 0


@pytest.mark.parametrize(
    ("words", "audited"),
    [
        (("cordon", "10.0.0.2", "--reason", "new disk"), [("cluster.cordon", OTHER, "new disk")]),
        (("uncordon", OTHER[:8]), [("cluster.uncordon", OTHER, "")]),
        (("quarantine", "gate"), [("cluster.quarantine", "gate", "")]),
        (("release", "gate"), [("cluster.release", "gate", "")]),
        (
            ("pause", "--site", "north", "--reason", "storm"),
            [("cluster.pause", "site:north", "storm")],
        ),
        (("resume", "gate"), [("cluster.resume", "camera:gate", "")]),
        (("move", "gate", "--alone"), [("cluster.place", "gate", "alone True, node any")]),
        (("move", "gate", "--to", "10.0.0.2"), [("cluster.move", "gate", f'{{"node":"{OTHER}"}}')]),
        (("drain", "10.0.0.2"), [("cluster.drain", OTHER, "")]),
        (("rebalance", "--moves", "5"), [("cluster.rebalance", "cluster", '{"moves":5}')]),
        (("restart", "hub-0"), [("cluster.restart", "hub-0", "")]),
        (("room", "40"), [("cluster.room", "cluster", "40 cameras")]),
        (
            ("log-level", "hub-0", "debug", "--for", "10m"),
            [("cluster.log_level", "hub-0", "debug for 600 s")],
        ),
        (("profile", "hub-0", "--for", "0.1"), [("cluster.profile", "hub-0", "0.1 s")]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
async def test_every_change_has_its_command(
    tmp_path: Path, words: tuple[str, ...], audited: list[tuple[str, str, str]]
) -> None:
    waits = words[0] in ("move", "drain", "rebalance", "restart")
    async with running_api(tmp_path) as api:
        await api.store.cordon(OTHER if words[0] == "uncordon" else NODE, reason="", who="olga")
        await api.store.quarantine(
            "gate" if words[0] == "release" else "yard", reason="", who="olga"
        )
        assert await eyrie(api, tmp_path, *words, *(["--no-wait"] if waits else [])) == 0
        assert api.audited() == audited


async def test_the_shape_is_changed_and_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_api(tmp_path) as api:
        done = await told(
            api,
            tmp_path,
            capsys,
            "scale",
            "hubs",
            "--min",
            "2",
            "--max",
            "6",
            "--auto",
            "--no-wait",
        )
        assert (done["kind"], done["target"]) == ("settle", "hubs")
        assert await eyrie(api, tmp_path, "density", "16", "--site", "north", "--no-wait") == 0
        assert await eyrie(api, tmp_path, "density", "--adaptive", "--no-wait") == 0
        wanted = (await api.store.orders()).wanted
        assert wanted is not None
        assert (wanted.wanted.hubs.count, wanted.wanted.hubs.max, wanted.wanted.hubs.auto) == (
            2,
            6,
            True,
        )
        assert (
            wanted.wanted.density.default,
            wanted.wanted.density.sites,
            wanted.wanted.density.adaptive,
        ) == (1, {"north": 16}, True)
        assert await eyrie(api, tmp_path, "density", "--site", "north", "--no-wait") == 0
        assert (await told(api, tmp_path, capsys, "plan", "scale", "hubs", "3"))["kind"] == "scale"
        assert await eyrie(api, tmp_path, "scale", "hubs") == 2


async def test_an_operation_is_followed_to_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_api(tmp_path) as api:
        following = asyncio.create_task(eyrie(api, tmp_path, "drain", NODE[:6]))
        async with asyncio.timeout(20):
            while not api.store.asked:
                await asyncio.sleep(0.01)
        (name,) = api.store.asked
        await api.store.begin(name, total=3)
        await api.store.progress(name, done=2, total=3)
        await api.store.finish(name, "done", figures={"interruption_p99_s": 0.21})
        assert await following == 0
        shown = capsys.readouterr().out
        assert "2 of 3" in shown
        assert "interruption_p99_s" in shown
        assert await eyrie(api, tmp_path, "operations", "--watch", name) == 0
        assert await eyrie(api, tmp_path, "operations", "--cancel", name) == 1, "it is over"
        assert (await told(api, tmp_path, capsys, "operations", name))["state"] == "done"


async def test_ctrl_c_leaves_an_operation_to_itself_and_says_how_to_find_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    async with running_api(tmp_path) as api:
        read: list[str] = []
        operation = api.store.operation

        async def counting(id: str) -> Operation | None:
            read.append(id)
            return await operation(id)

        monkeypatch.setattr(api.store, "operation", counting)
        token.write_text(api.token())
        listening = (
            "env",
            "--default-signal=INT",
        )  # who runs these tests in the background has them ignore it
        words = (
            "-m",
            "cluster.cli.main",
            "cluster",
            "drain",
            NODE[:6],
            "--url",
            api.url,
            "--token-file",
            str(token),
        )
        command = [*listening, sys.executable, *words]
        drain = await asyncio.create_subprocess_exec(
            *command, stderr=asyncio.subprocess.PIPE, cwd=ROOT
        )
        async with asyncio.timeout(60):
            while len(read) < 2:  # it follows
                await asyncio.sleep(0.01)
            (name,) = api.store.asked
            drain.send_signal(signal.SIGINT)
            _, said = await drain.communicate()
        assert drain.returncode == 130
        assert f"operation {name} goes on" in said.decode()
        assert f"--cancel {name}" in said.decode()
        left = await operation(name)
        assert left is not None
        assert left.state == "waiting", "nothing was cancelled"


async def test_a_process_is_found_by_either_of_its_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log of decisions says ``hub:0``, everything else ``hub-0``."""
    async with running_api(tmp_path) as api:
        await api.store.decided(
            [
                ClusterDecision("hub:1", "started", "wanted"),
                ClusterDecision("camera:gate", "placed", "room"),
            ]
        )
        for name in ("hub-1", "hub:1"):
            (one,) = (await told(api, tmp_path, capsys, "decisions", name))["decisions"]
            assert one["what"] == "started"
            assert (await told(api, tmp_path, capsys, "hubs", name))["service"]["name"] == "hub-1"
        assert [
            one["what"]
            for one in (await told(api, tmp_path, capsys, "decisions", "gate"))["decisions"]
        ] == ["placed"]
        assert await eyrie(api, tmp_path, "decisions") == 0
        shown = capsys.readouterr().out
        assert "hub-1" in shown
        assert "hub:1" not in shown


async def test_a_plan_shows_what_it_interrupts_and_why_it_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_api(tmp_path) as api:
        assert await eyrie(api, tmp_path, "plan", "drain", "10.0.0.2") == 0
        assert "1 camera is interrupted, each for about 0.20 s" in capsys.readouterr().out
        api.supervisor.problem = "there is no other node"
        assert await eyrie(api, tmp_path, "plan", "drain", "10.0.0.2") == 1
        assert "there is no other node" in capsys.readouterr().err
        assert await eyrie(api, tmp_path, "drain", "10.0.0.2", "--reason", "x") == 1
        assert [action for action, _, _ in api.audited()] == ["cluster.cordon"]


async def test_nobody_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running_api(tmp_path) as api:
        await api.server.stop()
        assert await eyrie(api, tmp_path, "status") == 1
        assert "the cluster API at" in capsys.readouterr().err


def test_the_hottest_functions_come_first() -> None:
    assert hottest("Main;a.b;c.d 3\nMain;c.d 4\nOther;a.b 5\n") == [("c.d", 7), ("a.b", 5)]
