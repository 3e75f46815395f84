"""Replay against a hub double: every message is accounted for, the second time nothing is sent, and
a cut link changes nothing."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors.core.errors import BadInput, Unauthorized, Unavailable
from edge.adapters.readings import Rejection, camera_id
from edge.replay import Replay, ReplayOptions
from edge.replay_account import ReplayAccount, ReplayProgress
from tests.support.load.recordings import recording
from tests.support.servers.edge_server import EdgeServer


@pytest.fixture
async def server() -> AsyncIterator[EdgeServer]:
    async with EdgeServer(credits=256) as running:
        yield running


async def replay(server: EdgeServer, path: Path, form: str, **options: Any) -> ReplayAccount:
    return await Replay(
        ReplayOptions(path, form, server.url, "secret", **{"stall_s": 10.0, **options})
    ).run()


def bodies(server: EdgeServer) -> dict[tuple[str, str], dict[int, bytes]]:
    return {key: seen.applied for key, seen in server.seen.items()}


@pytest.mark.parametrize(
    ("name", "form", "messages", "cameras"),
    [
        ("nvidia-360d/garage.jsonl", "deepstream", 2000, 50),
        ("opendatacam/rawdetections.ndjson", "opendatacam", 2573, 1),
    ],
)
async def test_a_recording_twice(
    server: EdgeServer, name: str, form: str, messages: int, cameras: int
) -> None:
    first = await replay(server, recording(name), form)
    assert (first.messages, first.committed, first.duplicate, first.cameras) == (
        messages,
        messages,
        0,
        cameras,
    )
    assert first.adds_up
    before = bodies(server)
    again = await replay(server, recording(name), form)
    assert (again.messages, again.committed, again.duplicate) == (messages, 0, messages)
    assert again.adds_up
    assert bodies(server) == before
    assert all(seen.byes == 2 for seen in server.seen.values())
    assert server.violations == []


async def test_a_replay_broken_off_and_begun_again_sends_the_same_as_one_in_peace(
    server: EdgeServer,
) -> None:
    path = recording("nvidia-360d/garage.jsonl")
    server.switches.status = None
    server.switches.cut_after_bytes = 60_000
    account = await replay(server, path, "deepstream")
    assert account.adds_up
    assert account.connections == 2
    async with EdgeServer(credits=256) as peaceful:
        await replay(peaceful, path, "deepstream")
        assert bodies(server) == bodies(peaceful)


def lines(path: Path, *rows: dict[str, Any] | str) -> Path:
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    )
    return path


def row(second: float, camera: str = "a") -> dict[str, Any]:
    return {"camera": camera, "time": f"2026-01-01T00:00:{second:09.6f}Z", "objects": []}


async def test_everything_else_is_rejected_with_its_reason(
    server: EdgeServer, tmp_path: Path
) -> None:
    server.switches.poison = {2}
    rejected: list[Rejection] = []
    path = lines(tmp_path / "r.ndjson", row(5), row(10), row(1), "junk", "", row(3, "Other Camera"))
    account = await Replay(
        ReplayOptions(path, "ndjson", server.url, "t"), on_reject=rejected.append
    ).run()
    assert account.messages == 5
    assert account.committed == 2
    assert account.rejected == {"hub:bad_input": 1, "late": 1, "malformed": 1}
    assert account.adds_up
    assert [(rejection.code, rejection.source) for rejection in rejected] == [
        ("malformed", ""),
        ("late", "a"),
    ]


async def test_a_clock_that_was_set_loses_nothing_and_each_step_is_told(
    server: EdgeServer, tmp_path: Path
) -> None:
    """Half way the camera's clock goes back by an hour; once a stamp says 2036."""
    back = [{**row(second), "time": f"2025-12-31T23:00:{second:09.6f}Z"} for second in range(20)]
    wrong = {**row(5), "time": "2036-01-01T00:00:05Z"}
    path = lines(
        tmp_path / "r.ndjson", *(row(second) for second in range(20)), *back[:10], wrong, *back[10:]
    )
    for speed in (None, 1000.0):
        account = await replay(server, path, "ndjson", speed=speed, again=str(speed))
        assert (account.messages, account.committed, account.rejected) == (41, 41, {})
        assert [round(step.step_s) for step in account.clock_steps] == [
            -3619,
            315536396,
            -315536396,
        ]
        assert account.clocks_stepped == 3
        assert account.clock_steps[0].before.startswith("2026-01-01T00:00:19")


async def test_two_cameras_whose_ids_meet_are_not_mixed(server: EdgeServer, tmp_path: Path) -> None:
    path = lines(tmp_path / "r.ndjson", row(1, "Gate"), row(2, camera_id("Gate")), row(3, "Gate"))
    account = await replay(server, path, "ndjson")
    assert (account.committed, account.rejected) == (2, {"camera_clash": 1})


async def test_one_camera_of_many(server: EdgeServer, tmp_path: Path) -> None:
    path = lines(tmp_path / "r.ndjson", row(1), row(2, "b"), row(3, "b"))
    account = await replay(server, path, "ndjson", camera="b")
    assert (account.committed, account.other_cameras, account.adds_up) == (2, 1, True)


async def test_a_refused_camera_is_named_and_its_neighbours_go_on(
    server: EdgeServer, tmp_path: Path
) -> None:
    server.switches.refuse["b"] = (4503, "policy does not let this token send camera b")
    path = lines(tmp_path / "r.ndjson", row(1), row(2, "b"), row(3), row(4, "b"))
    account = await replay(server, path, "ndjson")
    assert (account.committed, account.rejected) == (2, {"forbidden": 2})
    assert list(account.refused_cameras) == ["b"]
    assert account.adds_up


async def test_a_hub_that_acks_nothing_is_given_up_and_the_account_says_so(
    server: EdgeServer, tmp_path: Path
) -> None:
    server.switches.hold_acks = True
    path = lines(tmp_path / "r.ndjson", row(1), row(2))
    running = Replay(ReplayOptions(path, "ndjson", server.url, "t", stall_s=0.5))
    with pytest.raises(Unavailable, match="nothing was acked"):
        await running.run()
    assert (running.account.unsettled, running.account.adds_up) == (2, False)


async def test_a_refused_token_ends_it(server: EdgeServer, tmp_path: Path) -> None:
    server.switches.status = 401
    running = Replay(ReplayOptions(lines(tmp_path / "r.ndjson", row(1)), "ndjson", server.url, "t"))
    account = await running.run()
    assert account.refused_cameras["a"].startswith(Unauthorized.code)
    assert account.rejected == {"unauthorized": 1}


async def test_other_options_make_other_sessions(server: EdgeServer, tmp_path: Path) -> None:
    path = lines(tmp_path / "r.ndjson", row(1))
    for options in ({}, {}, {"again": "2"}):
        await replay(server, path, "ndjson", **options)
    assert len(server.seen) == 2


async def test_the_speed_is_kept(server: EdgeServer, tmp_path: Path) -> None:
    seen: list[ReplayProgress] = []
    path = lines(tmp_path / "r.ndjson", *(row(second) for second in range(1, 8)))
    await Replay(ReplayOptions(path, "ndjson", server.url, "t", speed=10.0)).run(seen.append)
    assert len(seen) >= 3
    assert (seen[-1].settled, seen[-1].messages, seen[-1].read_bytes) == (
        7,
        7,
        seen[-1].total_bytes,
    )


async def test_what_cannot_be_read_is_named(server: EdgeServer, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        await replay(server, tmp_path / "none", "ndjson")
    with pytest.raises(BadInput, match="unknown format"):
        Replay(ReplayOptions(tmp_path, "pdf", "ws://127.0.0.1:1", "t"))
