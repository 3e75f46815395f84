"""Resets of line counts by REST, and the schemas that a hub publishes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.core.errors import NotFound
from tests.integration.hub.test_registry import client, problem
from tests.support.doubles.actor_handles import FakeActor, FakeDirectory
from tests.support.hub.hub import TestHub, running_hub


@pytest.fixture
async def actor() -> FakeActor:
    return FakeActor("actor-1")


@pytest.fixture
async def hub(tmp_path: Path, actor: FakeActor) -> AsyncIterator[TestHub]:
    async with running_hub(
        tmp_path, directory=FakeDirectory(lambda name: actor if name in ("c1", "actor-1") else None)
    ) as running:
        await running.register("c1", "c2")
        yield running


async def test_a_reset_goes_through_the_actor(hub: TestHub, actor: FakeActor) -> None:
    async with client(hub) as http:
        done = await http.post(
            "/v1/cameras/c1/counts/reset", json={"lines": ["gate"], "reason": "a new day"}
        )
        assert done.json() == {"camera": "c1", "event": "reset-of-c1"}
        assert (await http.post("/v1/cameras/c1/counts/reset", json={})).status_code == 200
        assert actor.resets == [("c1", ["gate"], "a new day"), ("c1", None, None)]


async def test_a_reset_that_cannot_be_says_why(hub: TestHub, actor: FakeActor) -> None:
    async with client(hub) as http:
        assert problem(await http.post("/v1/cameras/c2/counts/reset", json={})) == (
            503,
            "unavailable",
        )
        assert problem(await http.post("/v1/cameras/none/counts/reset", json={})) == (
            404,
            "not_found",
        )
        assert problem(
            await http.post("/v1/cameras/c1/counts/reset", json={"lines": ["No Id"]})
        ) == (400, "bad_input")
        actor.refusal = NotFound("camera c1 has no such line")
        assert problem(
            await http.post("/v1/cameras/c1/counts/reset", json={"lines": ["other"]})
        ) == (404, "not_found")
        hub.policy.denied = {("registry.write", "c1")}
        assert problem(await http.post("/v1/cameras/c1/counts/reset", json={})) == (
            403,
            "forbidden",
        )
    assert actor.resets == []


async def test_schemas_are_public(hub: TestHub) -> None:
    async with client(hub) as http:
        http.headers.pop("authorization", None)
        listing = await http.get("/schemas/")
        assert (listing.status_code, listing.headers["cache-control"]) == (
            200,
            "public, max-age=3600",
        )
        for shown in listing.json()["schemas"][:3]:
            assert (await http.get(shown["url"])).json()["$id"] == shown["url"]
        sockets = await http.get("/asyncapi.json")
        assert sockets.json()["asyncapi"] == "3.1.0"
        assert (
            await http.get("/asyncapi.json", headers={"if-none-match": sockets.headers["etag"]})
        ).status_code == 304
        assert problem(await http.get("/schemas/v1/none.json")) == (404, "not_found")
