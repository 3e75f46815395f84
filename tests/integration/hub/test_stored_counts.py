"""Stored counts by REST and `eyrie counts`: what the reader may see, and nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cluster.cli.main import main
from tests.integration.hub.test_registry import client, problem
from tests.support.hub.hub import TestHub, running_hub
from tests.support.hub.real_policy import real_policy

SPAN = {"from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00Z"}


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[TestHub]:
    """North has a gate and a restricted vault, south a dock; each with crossings and visits."""
    async with running_hub(tmp_path, decider=real_policy()) as running:
        await running.register("gate", site="north")
        await running.register("vault", site="north", tags=["restricted"])
        await running.register("dock", site="south")
        for camera in ("gate", "vault", "dock"):
            site = "south" if camera == "dock" else "north"
            for offset, way in enumerate(("in", "in", "out"), 1):
                await running.happen(
                    camera,
                    offset,
                    site=site,
                    type="line.crossed",
                    line="entry",
                    label="car",
                    time=f"2026-03-01T1{offset}:10:00.000000Z",
                    data={"direction": way},
                )
            await running.happen(camera, 4, site=site, zone="door", label="person")
        yield running


def counted(document: dict[str, Any]) -> list[tuple[str, str, str, str, int, int]]:
    return [
        (
            one["time"][11:16],
            one["camera"],
            one.get("line") or one["zone"],
            one["label"],
            one["in"],
            one["out"],
        )
        for one in document["counts"]
    ]


async def test_a_camera_by_hour_and_by_what_is_asked_for(hub: TestHub) -> None:
    async with client(hub, roles=["viewer"], sites=["north"]) as http:
        path = "/v1/cameras/gate/counts"
        found = (await http.get(path, params=SPAN)).json()
        assert {key: found[key] for key in ("camera", "step", "behind", "from")} == {
            "camera": "gate",
            "step": "hour",
            "behind": 0,
            "from": "2026-03-01T00:00:00.000000Z",
        }
        assert counted(found) == [
            ("11:00", "gate", "entry", "car", 1, 0),
            ("12:00", "gate", "entry", "car", 1, 0),
            ("12:00", "gate", "door", "person", 1, 0),
            ("13:00", "gate", "entry", "car", 0, 1),
        ]
        by_day = (await http.get(path, params={**SPAN, "step": "day", "line": "entry"})).json()
        assert counted(by_day) == [("00:00", "gate", "entry", "car", 2, 1)]
        for less in ({"zone": "door"}, {"label": "person"}):
            assert len((await http.get(path, params={**SPAN, **less})).json()["counts"]) == 1
        assert (await http.get(path)).json()["counts"] == [], "the last hours by default"


async def test_a_site_without_the_cameras_that_are_hidden(hub: TestHub) -> None:
    async with client(hub, roles=["viewer"], sites=["north"]) as http:
        found = (await http.get("/v1/sites/north/counts", params={**SPAN, "step": "day"})).json()
        assert {row[1] for row in counted(found)} == {"gate"}, "the vault is restricted"
        assert problem(await http.get("/v1/sites/south/counts", params=SPAN))[0] in (403, 404)
        nothing = [
            problem(await http.get(f"/v1/cameras/{camera}/counts", params=SPAN))
            for camera in ("vault", "dock", "never")
        ]
        assert {status for status, _ in nothing} == {403}
    scopes = {"roles": ["operator"], "scopes": ["restricted:read"], "sites": ["*"]}
    async with client(hub, **scopes) as http:
        found = (await http.get("/v1/sites/north/counts", params={**SPAN, "step": "day"})).json()
        assert {row[1] for row in counted(found)} == {"gate", "vault"}


@pytest.mark.parametrize(
    "query",
    [
        {"step": "week"},
        {"plate": "B-X 1"},
        {"line": "entry", "zone": "door"},
        {"from": "yesterday"},
        {"step": "minute", "from": "2026-03-01T00:00:00Z", "to": "2026-03-09T00:00:00Z"},
        {"label": "x" * 201},
        {"limit": "0"},
        {"limit": "5001"},
    ],
)
async def test_what_cannot_be_meant_is_refused(hub: TestHub, query: dict[str, str]) -> None:
    async with client(hub) as http:
        assert problem(await http.get("/v1/cameras/gate/counts", params=query))[0] == 400


async def test_an_answer_ends_at_a_whole_bucket_and_says_where_to_go_on(hub: TestHub) -> None:
    for number in range(5_200):
        await hub.happen(
            "gate",
            5 + number,
            zone=f"z{number}",
            time=f"2026-03-01T1{1 + number % 2}:30:00Z",
            publish=False,
        )
    async with client(hub) as http:
        path, seen = "/v1/cameras/gate/counts", []
        first = (await http.get(path, params=SPAN)).json()
        assert (first["next"], len(first["counts"])) == ("2026-03-01T12:00:00.000000Z", 2_601)
        rest = (await http.get(path, params={**SPAN, "from": first["next"]})).json()
        seen = [*counted(first), *counted(rest)]
        assert (len(seen), len(set(seen)), "next" in rest) == (5_204, 5_204, False)
        few = (await http.get(path, params={**SPAN, "limit": "2601"})).json()
        assert few == first
        by_day = {**SPAN, "step": "day"}
        assert problem(await http.get(path, params=by_day))[0] == 400
        assert len((await http.get(path, params={**by_day, "zone": "z7"})).json()["counts"]) == 1


async def test_the_command_shows_the_same(
    hub: TestHub, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(hub.token(roles=["viewer"], sites=["north"]))
    token.chmod(0o600)
    where = ["--url", f"http://127.0.0.1:{hub.port}", "--token-file", str(token)]
    words = ["counts", "camera", "gate", "--from", SPAN["from"], "--to", SPAN["to"]]
    assert await asyncio.to_thread(main, [*words, *where]) == 0
    assert "line entry" in capsys.readouterr().out
    more = ["--step", "day", "--line", "entry", "--json"]
    assert await asyncio.to_thread(main, [*words, *where, *more]) == 0
    assert counted(json.loads(capsys.readouterr().out)) == [("00:00", "gate", "entry", "car", 2, 1)]
