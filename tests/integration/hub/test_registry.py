"""The registry by REST on a real hub: ETags, refusals, policy, and who is told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.doubles.actor_handles import FakeActor, FakeDirectory
from tests.support.hub.hub import TestHub, running_hub

SQUARE = {"points": [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]}
BOW = {"points": [[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]]}
GATE = {"points": [[0.5, 0.0], [0.5, 1.0]]}


@asynccontextmanager
async def client(hub: TestHub, **token: Any) -> AsyncIterator[httpx.AsyncClient]:
    chosen = {"roles": ["admin"]} | token
    headers = {"authorization": f"Bearer {hub.token(**chosen)}"}
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{hub.port}", timeout=30, headers=headers
    ) as http:
        yield http


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert document["status"] == response.status_code
    assert document["detail"]
    assert document["hint"]
    return response.status_code, document["title"]


@pytest.fixture
async def actor() -> FakeActor:
    return FakeActor("actor-1")


@pytest.fixture
async def hub(tmp_path: Path, actor: FakeActor) -> AsyncIterator[TestHub]:
    async with running_hub(tmp_path, directory=FakeDirectory(lambda name: actor)) as running:
        yield running


async def test_a_site_and_its_camera_from_nothing_to_deleted(hub: TestHub) -> None:
    async with client(hub) as http:
        made = await http.post(
            "/v1/sites", json={"site": "west", "name": "West", "place": {"lat": 1.5, "lon": 2.5}}
        )
        assert (made.status_code, made.headers["location"], made.headers["etag"]) == (
            201,
            "/v1/sites/west",
            '"1"',
        )
        assert problem(await http.post("/v1/sites", json={"site": "west"})) == (409, "conflict")
        assert problem(
            await http.post("/v1/cameras", json={"camera": "c1", "site": "nowhere"})
        ) == (409, "conflict")
        added = await http.post(
            "/v1/cameras",
            json={"camera": "c1", "site": "west", "tags": ["a"], "scene": {"zones": {"z": SQUARE}}},
        )
        assert (added.status_code, added.headers["location"]) == (201, "/v1/cameras/c1")
        assert problem(await http.post("/v1/cameras", json={"camera": "c1", "site": "west"})) == (
            409,
            "conflict",
        )
        assert (await http.get("/v1/sites")).json() == {
            "sites": [
                {"site": "west", "name": "West", "place": {"lat": 1.5, "lon": 2.5}, "cameras": 1}
            ]
        }
        changed = await http.put(
            "/v1/cameras/c1",
            json={"name": "Door", "tags": ["b"]},
            headers={"if-match": added.headers["etag"]},
        )
        fields = {
            "camera": "c1",
            "site": "west",
            "name": "Door",
            "tags": ["b"],
            "scene_version": 1,
            "auto_registered": False,
        }
        assert changed.json() == fields
        assert problem(await http.delete("/v1/sites/west", headers={"if-match": '"1"'})) == (
            409,
            "conflict",
        )
        assert (
            await http.delete("/v1/cameras/c1", headers={"if-match": changed.headers["etag"]})
        ).status_code == 204
        assert problem(await http.get("/v1/cameras/c1")) == (404, "not_found")
        assert (await http.delete("/v1/sites/west", headers={"if-match": "*"})).status_code == 204
        assert (await http.get("/v1/sites")).json() == {"sites": []}


async def test_zones_and_lines_one_by_one_under_the_scene_etag(
    hub: TestHub, actor: FakeActor
) -> None:
    await hub.register("c1")
    await hub.memory.cameras.assign("c1", "actor-1", previous=None)
    async with client(hub) as http:
        scene = await http.get("/v1/cameras/c1/scene")
        one = await http.put(
            "/v1/cameras/c1/scene/zones/door",
            json=SQUARE,
            headers={"if-match": scene.headers["etag"]},
        )
        assert (one.json()["scene_version"], one.headers["etag"], actor.looked) == (
            2,
            '"2"',
            ["c1"],
        )
        again = await http.put(
            "/v1/cameras/c1/scene/zones/door", json=SQUARE, headers={"if-match": '"2"'}
        )
        assert again.headers["etag"] == '"2"', "the same again is no new version"
        stale = await http.put(
            "/v1/cameras/c1/scene/lines/gate",
            json=GATE,
            headers={"if-match": scene.headers["etag"]},
        )
        assert problem(stale) == (412, "precondition_failed")
        two = await http.put(
            "/v1/cameras/c1/scene/lines/gate", json=GATE, headers={"if-match": '"1", "2"'}
        )
        assert list(two.json()["scene"]["lines"]) == ["gate"]
        line = await http.get("/v1/cameras/c1/scene/lines/gate")
        assert (line.json()["name_in"], line.headers["etag"]) == ("in", '"3"')
        three = await http.delete("/v1/cameras/c1/scene/zones/door", headers={"if-match": '"3"'})
        assert three.json()["scene"]["zones"] == {}
        assert problem(
            await http.delete("/v1/cameras/c1/scene/zones/door", headers={"if-match": '"4"'})
        ) == (404, "not_found")
        whole = await http.put(
            "/v1/cameras/c1/scene", json={"min_hits": 2}, headers={"if-match": "*"}
        )
        assert (whole.json()["scene"]["min_hits"], whole.json()["scene"]["lines"]) == (2, {})


async def test_what_is_refused_says_why(hub: TestHub) -> None:
    await hub.register("c1")
    path, match = "/v1/cameras/c1/scene", {"if-match": '"1"'}
    async with client(hub) as http:
        assert problem(await http.put(path, json={})) == (428, "precondition_required")
        bow = await http.put(path, json={"zones": {"z": BOW}}, headers=match)
        assert problem(bow) == (400, "bad_input")
        assert (
            "zone z: it crosses or touches itself: edge 1 (0.1, 0.1)-(0.9, 0.9)"
            in bow.json()["detail"]
        )
        bodies: list[Any] = [
            {"zones": {"Z": SQUARE}},
            {"zoness": {}},
            {"min_hits": 0},
            [],
            {"zones": {"z": {"points": [[2, 0], [1, 1], [0, 1]]}}},
        ]
        for bad in bodies:
            assert problem(await http.put(path, json=bad, headers=match)) == (400, "bad_input")
        assert problem(await http.put(path, content=b"{", headers=match)) == (400, "bad_input")
        assert problem(await http.put(path, content=b" " * 600_000, headers=match)) == (
            400,
            "bad_input",
        )
        form = match | {"content-type": "text/plain"}
        assert problem(await http.put(path, content=b"{}", headers=form)) == (400, "bad_input")
        assert problem(await http.put("/v1/cameras/C1/scene", json={}, headers=match)) == (
            400,
            "invalid_id",
        )
        assert problem(await http.put(path + "/zones/Z", json=SQUARE, headers=match)) == (
            400,
            "invalid_id",
        )
        assert problem(await http.get("/v1/cameras", params={"limit": "9999"})) == (
            400,
            "bad_input",
        )
        assert problem(await http.get("/v1/sites", params={"after": "A/B"})) == (400, "bad_input")
        assert problem(await http.get(path, headers={"authorization": "Bearer nonsense"})) == (
            401,
            "unauthorized",
        )


async def test_policy_is_asked_for_every_change(hub: TestHub) -> None:
    await hub.register("c1", tags=["restricted"])
    hub.policy.denied = {
        ("registry.write", "c1"),
        ("registry.write", "north"),
        ("register", "c2"),
        ("registry.read", "c1"),
    }
    match = {"if-match": "*"}
    async with client(hub) as http:
        answers = [
            await http.get("/v1/cameras/c1"),
            await http.get("/v1/cameras/c1/scene"),
            await http.put("/v1/cameras/c1", json={}, headers=match),
            await http.delete("/v1/cameras/c1", headers=match),
            await http.put("/v1/cameras/c1/scene", json={}, headers=match),
            await http.put("/v1/cameras/c1/scene/zones/z", json=SQUARE, headers=match),
            await http.delete("/v1/cameras/c1/scene/zones/z", headers=match),
            await http.post("/v1/sites", json={"site": "north"}),
            await http.put("/v1/sites/north", json={}, headers=match),
            await http.delete("/v1/sites/north", headers=match),
            await http.post("/v1/cameras", json={"camera": "c2", "site": "north"}),
        ]
        assert {problem(answer) for answer in answers} == {(403, "forbidden")}
        hub.policy.denied.clear()
        hub.policy.asked.clear()
        await http.put("/v1/cameras/c1", json={"tags": ["public"]}, headers=match)
        asked = [
            question.resource["tags"]
            for question in hub.policy.asked
            if question.action == "registry.write"
        ]
        assert asked[:2] == [["restricted"], ["public"]], (
            "of the camera as it was, and as it would become"
        )


async def test_sites_come_in_pages(hub: TestHub) -> None:
    for name in ("a", "b", "c", "d"):
        await hub.memory.registry.add_site(name)
    hub.policy.denied = {("subscribe", "b"), ("registry.read", "b")}
    async with client(hub) as http:
        first = (await http.get("/v1/sites", params={"limit": "2"})).json()
        assert [site["site"] for site in first["sites"]] == ["a", "c"]
        rest = (await http.get("/v1/sites", params={"limit": "2", "after": first["next"]})).json()
        assert ([site["site"] for site in rest["sites"]], "next" in rest) == (["d"], False)
