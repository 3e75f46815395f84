"""`eyrie replay`, `eyrie tail` and what `eyrie simulate` does before it streams, against doubles on
loopback."""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, serve

from actors.core.errors import BadInput, ConfigError
from actors.core.scene.scene import Scene
from cluster.cli import console
from cluster.cli.commands.streams import simulate
from cluster.cli.commands.streams.tail import line, require_channel
from cluster.cli.hub_options import complete, token_source
from cluster.cli.main import main
from cluster.dashboard_client import ReceivedPublication
from edge.adapters.readings import camera_id
from edge.client import EdgeClient
from edge.simulate import site as simulated
from tests.support.doubles.stores import memory_stores
from tests.support.servers.edge_server import EdgeServer


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("secret\n")
    return path


@pytest.fixture
async def server() -> AsyncIterator[EdgeServer]:
    async with EdgeServer() as running:
        yield running


def recording(path: Path, count: int) -> Path:
    path.write_text(
        "".join(
            json.dumps({"time": f"2026-01-01T00:00:{second:02d}Z", "objects": []}) + "\n"
            for second in range(count)
        )
    )
    return path


async def eyrie(*words: object) -> int:
    return await asyncio.to_thread(main, [str(word) for word in words])


async def test_replay_prints_an_account_that_adds_up(
    server: EdgeServer, token: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recording(tmp_path / "Lane 4.ndjson", 20)
    words = (
        "replay",
        path,
        "--format",
        "ndjson",
        "--speed",
        "max",
        "--url",
        server.url,
        "--token-file",
        token,
    )
    assert await eyrie(*words, "--json") == console.OK
    account = json.loads(capsys.readouterr().out)
    assert (account["committed"], account["duplicate"], account["adds_up"]) == (20, 0, True)
    assert await eyrie(*words) == console.OK
    assert "duplicate" in capsys.readouterr().out
    assert [camera for camera, _ in server.seen] == [camera_id("Lane 4")]


async def test_replay_keeps_what_it_rejected(
    server: EdgeServer, token: Path, tmp_path: Path
) -> None:
    path, rejects = tmp_path / "r.ndjson", tmp_path / "rejects"
    path.write_text('junk\n{"time": "2026-01-01T00:00:00Z", "objects": []}\n')
    words = (
        "replay",
        path,
        "--format",
        "ndjson",
        "--url",
        server.url,
        "--token-file",
        token,
        "--rejects",
        rejects,
    )
    assert await eyrie(*words) == console.OK
    assert json.loads(rejects.read_text())["raw"] == "junk"


async def test_a_replay_of_which_nothing_can_be_used_fails_and_says_what_it_looks_like(
    server: EdgeServer, token: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.txt"
    path.write_text("1,1,608,478,56,170,0.9,-1,-1,-1\n")
    words = ("replay", path, "--format", "ndjson", "--url", server.url, "--token-file", token)
    assert await eyrie(*words) == console.FAILED
    assert "It looks like mot." in capsys.readouterr().err


async def test_a_misspelt_field_fails_the_replay_and_is_named(
    server: EdgeServer, token: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.ndjson"
    good = {"time": "2026-01-01T00:00:00Z", "objects": [{"label": "car", "box": [0, 0, 0.5, 0.5]}]}
    bad = {
        "time": "2026-01-01T00:00:01Z",
        "objetcs": [],
        "objects": [{"label": "car", "box": [0, 0, 0.5, 0.5], "track": "1"}],
    }
    path.write_text(json.dumps(good) + "\n" + json.dumps(bad) + "\n")
    words = (
        "replay",
        path,
        "--format",
        "ndjson",
        "--speed",
        "max",
        "--url",
        server.url,
        "--token-file",
        token,
        "--json",
    )
    assert await eyrie(*words) == console.FAILED
    account = json.loads(capsys.readouterr().out)
    assert (account["committed"], account["rejected"]) == (1, {"unknown_field": 1})
    assert account["unknown_fields"] == {"objetcs": 1, "objects[].track": 1}
    assert await eyrie(*words, "--pass-unknown-fields") == console.OK
    account = json.loads(capsys.readouterr().out)
    assert (account["committed"], account["objects"], account["adds_up"]) == (2, 2, True)
    assert account["remarks"] == {
        "field 'objects[].track' was not read": 1,
        "field 'objetcs' was not read": 1,
    }


async def test_replay_fails_when_a_camera_is_refused(
    server: EdgeServer, token: Path, tmp_path: Path
) -> None:
    server.switches.refuse["r"] = (4503, "no")
    words = (
        "replay",
        recording(tmp_path / "r.ndjson", 2),
        "--format",
        "ndjson",
        "--speed",
        "max",
        "--url",
        server.url,
    )
    assert await eyrie(*words, "--token-file", token) == console.FAILED


async def test_replay_says_what_is_missing(
    server: EdgeServer, token: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--format", "mot", "--url", server.url)
    assert await eyrie("replay", tmp_path / "none", *words, "--token-file", token) == console.USAGE
    assert (
        await eyrie("replay", tmp_path / "none", *words, "--token-file", tmp_path / "no")
        == console.USAGE
    )
    assert (
        await eyrie("replay", token, *words, "--token-file", token, "--camera", "UPPER")
        == console.USAGE
    )
    said = capsys.readouterr().err
    assert said.count("error:") == 3
    assert "does not match" in said


@pytest.mark.parametrize(
    "words",
    [
        ["--speed", "0"],
        ["--frame-size", "1920"],
        ["--frame-size", "0x0"],
        ["--fps", "-1"],
        ["--format", "avi"],
    ],
)
def test_replay_refuses_options_that_make_no_sense(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["replay", "file", "--format", "mot", *words])
    assert ended.value.code == 2


def test_addresses_are_completed() -> None:
    assert complete("http://hub:8000", "/v1/edge") == "ws://hub:8000/v1/edge"
    assert complete("hub:8000", "/v1/edge") == "ws://hub:8000/v1/edge"
    assert complete("https://hub/", "/v1/edge") == "wss://hub/v1/edge"
    assert complete("wss://hub/other", "/v1/edge") == "wss://hub/other"
    with pytest.raises(BadInput):
        complete("ftp://hub", "/v1/edge")


def test_a_token_file_is_read_anew_every_time(token: Path) -> None:
    source = token_source(argparse.Namespace(token_file=str(token)), subject="s", typ="edge")
    assert source() == "secret"
    token.write_text("other")
    assert source() == "other"
    token.write_text("two words")
    with pytest.raises(ConfigError, match="one token"):
        source()


async def test_the_simulated_cameras_are_registered_with_their_scenes_before_streaming() -> None:
    registry = memory_stores().registry
    cameras = simulated.cameras("demo", 3)
    for seed in (1, 2):
        await simulate.register_in(
            registry, "demo", simulated.scenes(seed, cameras), simulated.names(cameras)
        )
    record = await registry.camera("demo-2")
    assert record is not None
    assert (record.site, record.name, record.tags, record.scene_version) == (
        "demo",
        "Street 2",
        ["simulated"],
        1,
    )
    assert "junction" in msgspec.json.decode(record.scene, type=Scene).zones
    await registry.set_scene("demo-2", b"{}")
    await simulate.register_in(
        registry, "demo", simulated.scenes(1, cameras), simulated.names(cameras)
    )
    again = await registry.camera("demo-2")
    assert again is not None
    assert again.scene_version == 3
    with pytest.raises(BadInput, match="outside of site"):
        await simulate.register_in(
            registry, "other", simulated.scenes(1, cameras), simulated.names(cameras)
        )


async def test_the_simulated_site_streams_every_camera_until_told_to_stop(
    server: EdgeServer,
) -> None:
    stop = asyncio.Event()
    async with EdgeClient(server.url, "t") as client:
        sent = await simulated.stream(
            client, ["a", "b"], seed=1, fps=50.0, session="one", stop=stop, seconds=0.5
        )
        await client.drain(10)
    assert 40 <= sent <= 52
    assert len(server.of("a").applied) + len(server.of("b").applied) == sent


@pytest.mark.parametrize(
    "channel",
    ["camera:a", "site:s", "fleet", "events:camera:a", "events:site:s", "events:fleet", "#me"],
)
def test_channels(channel: str) -> None:
    require_channel(channel)


@pytest.mark.parametrize("channel", ["", "camera:", "camera:A", "x:y", "events:", "events:x"])
def test_what_is_no_channel(channel: str) -> None:
    with pytest.raises(BadInput):
        require_channel(channel)


async def dashboard(socket: ServerConnection) -> None:
    """The least of a Centrifuge server: two publications, a ping between them; ``camera:secret`` is
    refused."""
    async for frame in socket:
        command: dict[str, Any] = json.loads(frame)
        if "connect" in command:
            assert command["connect"]["token"] == "secret"
            await socket.send(
                json.dumps({"id": command["id"], "connect": {"client": "c", "version": "1"}})
            )
        elif "subscribe" in command:
            channel = command["subscribe"]["channel"]
            if channel == "camera:secret":
                await socket.send(
                    json.dumps(
                        {
                            "id": command["id"],
                            "error": {"code": 103, "message": "permission denied"},
                        }
                    )
                )
                continue
            state = {
                "camera": "a",
                "status": "online",
                "objects": {"car": 2},
                "counts": {"gate": {"in": 1, "out": 0}},
            }
            reply = {
                "id": command["id"],
                "subscribe": {"publications": [{"data": state, "offset": 1}]},
            }
            pushed = {
                "push": {
                    "channel": channel,
                    "pub": {"data": {**state, "status": "stale"}, "offset": 2},
                }
            }
            await socket.send(json.dumps(reply) + "\n{}\n" + json.dumps(pushed))


async def test_tail_prints_one_line_per_publication(
    token: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serve(dashboard, "127.0.0.1", 0) as running:
        url = f"http://127.0.0.1:{next(iter(running.sockets)).getsockname()[1]}"
        words = ("--url", url, "--token-file", token, "--timeout-s", "5")
        assert await eyrie("tail", "camera:a", "--count", "2", "--json", *words) == console.OK
        shown = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
        assert [(entry["offset"], entry["data"]["status"]) for entry in shown] == [
            (1, "online"),
            (2, "stale"),
        ]
        assert await eyrie("tail", "camera:a", "--count", "1", *words) == console.OK
        assert "a online 2 car gate=1/0" in capsys.readouterr().out
        assert await eyrie("tail", "camera:secret", *words) == console.FAILED
        assert "permission denied" in capsys.readouterr().err
        assert await eyrie("tail", "camera:a", "--count", "3", *words[:-1], "0.3") == console.FAILED
    assert await eyrie("tail", "camera:a", *words) == console.FAILED
    assert "no connection" in capsys.readouterr().err


def test_every_kind_of_publication_has_a_line() -> None:
    event = {"time": "t", "camera": "a", "type": "zone.entered", "zone": "z", "track": "1"}
    assert line(ReceivedPublication("events:camera:a", event)) == "t a zone.entered track=1 zone=z"
    assert (
        line(
            ReceivedPublication(
                "site:s", {"tick": 4, "cameras": [{"camera": "a", "status": "online"}]}
            )
        )
        == "tick 4: a online empty"
    )
    assert line(ReceivedPublication("camera:a", None)) == " camera:a  empty "


@pytest.mark.parametrize(
    "option",
    [
        ("--count", "0"),
        ("--count", "-1"),
        ("--timeout-s", "0"),
        ("--timeout-s", "nan"),
        ("--timeout-s", "inf"),
    ],
)
def test_a_tail_that_could_see_nothing_is_wrong_usage(
    option: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tail", "fleet", *option]) == console.USAGE
    assert option[0] in capsys.readouterr().err


def test_a_line_says_why_a_camera_is_not_online() -> None:
    state: dict[str, Any] = {
        "camera": "cam-1",
        "status": "stale",
        "reason": "redis_lost",
        "time": None,
        "objects": {},
    }
    assert "stale (redis_lost)" in line(ReceivedPublication("camera:cam-1", state))
    assert "cam-1 stale (redis_lost)" in line(
        ReceivedPublication("fleet", {"tick": 1, "cameras": [state]})
    )
    assert "(" not in line(
        ReceivedPublication("camera:cam-1", state | {"status": "online", "reason": None})
    )
