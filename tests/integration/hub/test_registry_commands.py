"""The commands `registry` and `dead-letters` against a real hub."""

import asyncio
import json
from pathlib import Path

import msgspec
import pytest

from cluster.cli.main import main
from tests.support.actor_handles import FakeActor, FakeDirectory
from tests.support.hub import running_hub

FILE = """
[sites.west]
name = "West"

[cameras.c1]
site = "west"
tags = ["a"]

[cameras.c1.scene.zones.door]
points = [[0.1, 0.1], [0.4, 0.1], [0.4, 0.9]]
"""


async def test_a_file_is_applied_once_and_shown_as_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


async def test_dead_letters_are_listed_replayed_and_discarded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token, actor = tmp_path / "token", FakeActor("actor-1")
    async with running_hub(tmp_path, directory=FakeDirectory(lambda name: actor)) as hub:
        token.write_text(hub.token(roles=["admin"]))
        await hub.register("c1")
        for _ in range(2):
            await hub.memory.dead_letters.add("c1", "s1", "bad_input", "why", b"{}", 1_790_000_000_000_000)

        async def eyrie(*arguments: str) -> tuple[int, str]:
            where = ["--url", f"http://127.0.0.1:{hub.port}", "--token-file", str(token)]
            code = await asyncio.to_thread(main, ["dead-letters", *arguments, *where])
            return code, capsys.readouterr().out

        out = (await eyrie("list", "--json"))[1]
        assert [letter["id"] for letter in json.loads(out)["dead_letters"]] == [1, 2]
        assert "bad_input" in (await eyrie("list"))[1]
        assert json.loads((await eyrie("show", "1", "--json"))[1])["raw"] == "{}"
        await hub.memory.dead_letters.add("c1", "s1", "bad_input", "why", msgspec.msgpack.encode({"seq": 3}), 1_790_000_000_000_000)
        await hub.memory.dead_letters.add("c1", "s1", "undecodable", "why", b"\xc1\xff" * 60, 1_790_000_000_000_000)
        await hub.memory.dead_letters.add("c1", "s1", "bad_input", "why", b'{"seq":1,"objects":[]}', 1_790_000_000_000_000)
        assert 'the item (MessagePack, as JSON):\n{\n  "seq": 3\n}\n' in (await eyrie("show", "3"))[1]
        assert "the item (base64):\nwf/B" in (await eyrie("show", "4"))[1]
        assert 'the item (JSON):\n{\n  "seq": 1,\n  "objects": []\n}\n' in (await eyrie("show", "5"))[1]
        assert await eyrie("replay", "1") == (0, "1 replayed event-of-1\n")
        assert await eyrie("discard", "2", "--reason", "a test") == (0, "2 discarded\n")
        assert (await eyrie("discard", "2", "--reason", "a test"))[0] == 1
        assert (await eyrie("show", "9"))[0] == 1
