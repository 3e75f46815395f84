"""The commands `registry` and `dead-letters` against a real hub."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from actors.core.times import rfc3339, to_us
from cluster.cli.main import main
from storage.ports.registration_bounds import RegistrationBound
from tests.support.doubles.actor_handles import FakeActor, FakeDirectory
from tests.support.hub.hub import running_hub

FILE = """
[sites.west]
name = "West"

[cameras.c1]
site = "west"
tags = ["a"]

[cameras.c1.scene.zones.door]
points = [[0.1, 0.1], [0.4, 0.1], [0.4, 0.9]]
"""


async def test_a_file_is_applied_once_and_shown_as_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, token = tmp_path / "cameras.toml", tmp_path / "token"
    file.write_text(FILE)
    async with running_hub(tmp_path) as hub:
        token.write_text(hub.token(roles=["admin"]))
        where = ["--url", f"http://127.0.0.1:{hub.port}", "--token-file", str(token)]

        async def eyrie(*arguments: str) -> tuple[int, str]:
            code = await asyncio.to_thread(main, [*arguments, *where])
            return code, capsys.readouterr().out

        code, out = await eyrie("registry", "apply", str(file), "--dry-run", "--json")
        assert (code, json.loads(out)["applied"]) == (0, False)
        assert await hub.memory.registry.sites() == []
        code, out = await eyrie("registry", "apply", str(file))
        assert (code, "+ zones.door" in out) == (0, True)
        code, out = await eyrie("registry", "apply", str(file), "--json")
        assert json.loads(out)["changes"] == []
        code, out = await eyrie("registry", "show", "--toml")
        file.write_text(out)
        code, out = await eyrie("registry", "apply", str(file), "--json")
        assert (code, json.loads(out)["changes"]) == (0, [])
        code, out = await eyrie("registry", "show")
        assert "c1" in out
        hub.policy.denied = {("registry.write", "c1")}
        file.write_text(FILE.replace('"a"', '"b"'))
        assert (await eyrie("registry", "apply", str(file)))[0] == 1


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """What was printed since."""
    return lambda: capsys.readouterr().out


async def test_cameras_move_and_are_renamed_and_their_past_stays(
    tmp_path: Path, told: Callable[[], str]
) -> None:
    """A camera that goes elsewhere is another stream: another id, that begins at 1, with the name,
    tags and scene of the old one."""
    token = tmp_path / "token"
    async with running_hub(tmp_path) as hub:
        token.write_text(hub.token(roles=["admin"]))
        where = ["--url", f"http://127.0.0.1:{hub.port}", "--token-file", str(token)]

        async def registry(*words: str) -> int:
            return await asyncio.to_thread(main, ["registry", *words, *where])

        await hub.register("gate", "hall", site="west", tags=["a"], scene=b'{"min_hits": 5}')
        await hub.memory.registry.add_site("east")
        await hub.happen("gate", 1, site="west")
        old = (await hub.memory.cameras.ownership(["gate"]))["gate"].position.epoch
        assert await registry("move", "gate", "--site", "nowhere", "--as", "east-gate") == 1
        assert await registry("move", "gate", "--site", "west", "--as", "east-gate") == 2
        assert await registry("move", "gate", "--site", "east", "--as", "hall") == 1, (
            "another camera has the id"
        )
        assert await registry("move", "gate", "--site", "east", "--as", "east-gate") == 0
        assert "goes on as east-gate in site east" in told()
        moved = await hub.memory.registry.camera("east-gate")
        assert moved is not None
        assert (moved.site, moved.name, moved.tags, json.loads(moved.scene)["min_hits"]) == (
            "east",
            "GATE",
            ["a"],
            5,
        )
        position = (await hub.memory.cameras.ownership(["east-gate"]))["east-gate"].position
        assert (position.epoch != old, position.last_offset) == (True, 0)
        assert await hub.memory.registry.camera("gate") is None
        gone = await hub.memory.registry.camera("gate", deleted=True)
        assert gone is not None
        assert (gone.site, gone.tags) == ("west", ["a"]), (
            "its past is still the old site's, for whom policy shows it"
        )
        assert [row.row.camera for row in hub.memory.database.events] == ["gate"]
        assert await registry("rename", "hall", "--as", "lobby") == 0
        assert await registry("rename", "lobby", "--name", "Lobby") == 0
        assert await registry("rename", "--site", "west", "--name", "Western") == 0
        assert await registry("rename", "lobby", "--name", "bad\x07") == 2
        lobby, west = (
            await hub.memory.registry.camera("lobby"),
            await hub.memory.registry.site("west"),
        )
        assert lobby is not None
        assert west is not None
        assert (lobby.site, lobby.name, west.name) == ("west", "Lobby", "Western")


async def test_a_site_is_deleted_with_its_cameras_when_somebody_says_so(
    tmp_path: Path, told: Callable[[], str]
) -> None:
    token = tmp_path / "token"
    async with running_hub(tmp_path) as hub:
        token.write_text(hub.token(roles=["admin"]))
        where = ["--url", f"http://127.0.0.1:{hub.port}", "--token-file", str(token)]
        await hub.register(*(f"c{number}" for number in range(5)), site="garage")
        await hub.register("other")

        async def registry(*words: str) -> int:
            return await asyncio.to_thread(main, ["registry", *words, *where])

        assert await registry("delete", "--site", "garage") == 2, (
            "nobody can be asked, and nobody said --yes"
        )
        assert await registry("delete") == 2
        assert await registry("delete", "--site", "garbage", "--yes") == 1
        assert len(await hub.memory.registry.cameras()) == 6
        assert await registry("delete", "c0", "none", "--yes") == 1, (
            "one of them is not there; the other one is deleted"
        )
        assert await registry("delete", "--site", "garage", "--yes") == 0
        assert [camera.camera for camera in await hub.memory.registry.cameras()] == ["other"]
        assert [site.site for site in await hub.memory.registry.sites()] == ["north"]


async def test_cameras_are_listed_by_what_they_are_and_how(
    tmp_path: Path, told: Callable[[], str]
) -> None:
    token = tmp_path / "token"
    async with running_hub(tmp_path) as hub:
        token.write_text(hub.token(roles=["admin"]))
        await hub.register("gate", tags=["outdoor", "door"])
        await hub.register("yard", tags=["outdoor"])
        await hub.register("hall", site="south")
        await hub.memory.registry.register("stray", "south", bound=RegistrationBound("box", 10, 10))
        await hub.show("gate", 1, received=rfc3339(to_us(datetime.now(UTC))))
        await hub.show(
            "yard", 1, status="offline", reason="link_lost", received="2026-01-01T00:00:00.000000Z"
        )

        async def cameras(*words: str) -> list[str]:
            where = ["--url", f"http://127.0.0.1:{hub.port}", "--token-file", str(token)]
            await hub.beat(("gate", 1, 1, 0), ("yard", 1, 1, 0))
            assert await asyncio.to_thread(main, ["cameras", "--ids", *words, *where]) == 0
            return told().split()

        assert await cameras() == ["gate", "yard", "hall", "stray"], "by site, then id"
        assert await cameras("--site", "south") == ["hall", "stray"]
        assert await cameras("--status", "online") == ["gate"]
        assert await cameras("--tag", "outdoor") == ["gate", "yard"]
        assert await cameras("--tag", "outdoor", "--tag", "door") == ["gate"]
        assert await cameras("--idle", "7d") == ["yard", "hall", "stray"]
        assert await cameras("--auto-registered") == ["stray"]
        assert await cameras("--auto-registered", "--status", "online") == []
        where = ["--url", f"http://127.0.0.1:{hub.port}", "--token-file", str(token)]
        assert await asyncio.to_thread(main, ["cameras", *where]) == 0
        shown = told()
        assert "by a device" in shown
        assert "offline (link_lost)" in shown
        assert await asyncio.to_thread(main, ["cameras", "--json", *where]) == 0
        listed = {one["camera"]: one for one in json.loads(told())["cameras"]}
        assert [
            (one["auto_registered"], one["seen"] is None)
            for one in (listed["stray"], listed["gate"])
        ] == [
            (True, True),
            (False, False),
        ]


async def test_dead_letters_are_listed_replayed_and_discarded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token, actor = tmp_path / "token", FakeActor("actor-1")
    async with running_hub(tmp_path, directory=FakeDirectory(lambda name: actor)) as hub:
        token.write_text(hub.token(roles=["admin"]))
        await hub.register("c1")
        for _ in range(2):
            await hub.memory.dead_letters.add(
                "c1", "s1", "bad_input", "why", b"{}", 1_790_000_000_000_000
            )

        async def eyrie(*arguments: str) -> tuple[int, str]:
            where = ["--url", f"http://127.0.0.1:{hub.port}", "--token-file", str(token)]
            code = await asyncio.to_thread(main, ["dead-letters", *arguments, *where])
            return code, capsys.readouterr().out

        out = (await eyrie("list", "--json"))[1]
        assert [letter["id"] for letter in json.loads(out)["dead_letters"]] == [1, 2]
        assert "bad_input" in (await eyrie("list"))[1]
        assert json.loads((await eyrie("show", "1", "--json"))[1])["raw"] == "{}"
        await hub.memory.dead_letters.add(
            "c1",
            "s1",
            "bad_input",
            "why",
            msgspec.msgpack.encode({"seq": 3}),
            1_790_000_000_000_000,
        )
        await hub.memory.dead_letters.add(
            "c1", "s1", "undecodable", "why", b"\xc1\xff" * 60, 1_790_000_000_000_000
        )
        await hub.memory.dead_letters.add(
            "c1", "s1", "bad_input", "why", b'{"seq":1,"objects":[]}', 1_790_000_000_000_000
        )
        assert (
            'the item (MessagePack, as JSON):\n{\n  "seq": 3\n}\n' in (await eyrie("show", "3"))[1]
        )
        assert "the item (base64):\nwf/B" in (await eyrie("show", "4"))[1]
        assert (
            'the item (JSON):\n{\n  "seq": 1,\n  "objects": []\n}\n'
            in (await eyrie("show", "5"))[1]
        )
        assert await eyrie("replay", "1") == (0, "1 replayed event-of-1\n")
        assert await eyrie("discard", "2", "--reason", "a test") == (0, "2 discarded\n")
        assert (await eyrie("discard", "2", "--reason", "a test"))[0] == 1
        assert (await eyrie("show", "9"))[0] == 1
