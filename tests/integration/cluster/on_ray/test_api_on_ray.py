"""The cluster API in the supervisor's process, on the real stack: found by the command, and what it
orders happens."""

import asyncio
import json
import time
from typing import Any

import httpx
import pytest

from cluster.cli.cluster.client import recorded
from cluster.cli.main import main
from policy.identity.tokens import issue
from tests.support.cluster.ray_stack import Stack
from tests.support.waiting import block_until

pytestmark = pytest.mark.ray


def eyrie(running: Stack, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """What ``eyrie cluster … --json`` prints."""
    capsys.readouterr()
    code = main(["cluster", *words, "--json", "--settings", str(running.path)])
    out = capsys.readouterr().out
    assert code == 0, out
    return dict(json.loads(out))


def test_everything_is_seen_and_told(running: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    def ready() -> bool:
        overview = eyrie(running, capsys, "status")["overview"]
        return [overview[f"{what}_ready"] for what in ("hubs", "policies")] == [1, 1]

    block_until(ready, "everything is ready, whatever another test has ended", within_s=60)
    status = eyrie(running, capsys, "status")
    assert status["overview"]["nodes"] == 1
    (hub,) = status["hubs"]
    assert hub["pid"] > 0
    names = {process["name"] for process in asyncio.run(get(running, "/processes"))["processes"]}
    assert {"supervisor", "hub-0", "policy-0"} <= names


@pytest.mark.parametrize("process", ["hub-0", "policy-0", "supervisor"])
def test_a_process_is_asked_while_it_runs(
    running: Stack, capsys: pytest.CaptureFixture[str], process: str
) -> None:
    assert eyrie(running, capsys, "log-level", process)["level"] == "info"
    assert eyrie(running, capsys, "log-level", process, "debug", "--for", "10m")["left_s"] > 500
    assert eyrie(running, capsys, "log-level", process, "--reset")["level"] == "info"
    profile = eyrie(running, capsys, "profile", process, "--for", "0.3s")
    assert profile["samples"] >= 1
    assert "MainThread" in profile["stacks"]


def test_hubs_are_scaled_and_followed_to_the_end(
    running: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    assert eyrie(running, capsys, "plan", "scale", "hubs", "2")["problem"] == ""
    done = eyrie(running, capsys, "scale", "hubs", "2")
    assert done["state"] == "done"
    assert [hub["state"] for hub in eyrie(running, capsys, "hubs")["hubs"]] == ["ready", "ready"]
    done = eyrie(running, capsys, "scale", "hubs", "1")
    assert done["state"] == "done"
    assert len(eyrie(running, capsys, "hubs")["hubs"]) == 1
    audited = asyncio.run(audit(running))
    assert [entry["action"] for entry in audited][:4] == [
        "cluster.settle",
        "cluster.shape",
        "cluster.settle",
        "cluster.shape",
    ]


def token(running: Stack, role: str) -> str:
    return issue(
        running.settings.auth,
        sub="olga",
        typ="user",
        jti="t1",
        now_s=time.time(),
        roles=[role],
        sites=["*"],
    )


async def get(running: Stack, path: str, role: str = "admin") -> dict[str, Any]:
    record = await recorded(running.settings)
    async with httpx.AsyncClient(
        headers={"Authorization": f"Bearer {token(running, role)}"}, timeout=30
    ) as http:
        answered = await http.get(f"http://{record.host}:{record.port}/v1/cluster{path}")
        return dict(answered.raise_for_status().json())


async def audit(running: Stack) -> list[dict[str, Any]]:
    hub = running.ready["hubs"][0]
    async with httpx.AsyncClient(
        headers={"Authorization": f"Bearer {token(running, 'privacy')}"}, timeout=30
    ) as http:
        answered = await http.get(f"http://{hub['host']}:{hub['port']}/v1/audit")
        return list(answered.raise_for_status().json()["entries"])
