"""Dead letters by REST: who sees them, what a replay and a discard answer."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.core.errors import Conflict
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
        letters = running.memory.dead_letters
        for camera, raw in (("c1", b'{"time":1}'), ("c2", b"\xff"), ("", b"frame"), ("c1", b"{}")):
            await letters.add(camera, "s1", "bad_input", "why", raw, 1_790_000_000_000_000)
        yield running


async def test_they_are_listed_a_page_at_a_time_to_who_may_see_them(hub: TestHub) -> None:
    async with client(hub) as http:
        first = (await http.get("/v1/dead-letters", params={"limit": "2"})).json()
        assert [
            (letter["id"], letter["camera"], letter["status"]) for letter in first["dead_letters"]
        ] == [
            (1, "c1", "new"),
            (2, "c2", "new"),
        ]
        rest = (await http.get("/v1/dead-letters", params={"after": first["next"]})).json()
        assert ([letter["id"] for letter in rest["dead_letters"]], "next" in rest) == (
            [3, 4],
            False,
        )
        mine = (await http.get("/v1/dead-letters", params={"camera": "c1"})).json()
        assert [letter["id"] for letter in mine["dead_letters"]] == [1, 4]
        hub.policy.denied = {("deadletter.read", "c1"), ("deadletter.read", "fleet")}
        assert [
            letter["id"] for letter in (await http.get("/v1/dead-letters")).json()["dead_letters"]
        ] == [2]
        assert problem(await http.get("/v1/dead-letters/1")) == (403, "forbidden")
        assert problem(await http.get("/v1/dead-letters/99")) == (403, "forbidden"), (
            "numbers are no news either"
        )
        assert problem(await http.get("/v1/dead-letters", params={"status": "old"})) == (
            400,
            "bad_input",
        )
        assert problem(await http.get("/v1/dead-letters", params={"camera": "../x"})) == (
            400,
            "invalid_id",
        )


async def test_one_is_shown_with_its_raw_item(hub: TestHub) -> None:
    async with client(hub) as http:
        assert (await http.get("/v1/dead-letters/1")).json()["raw"] == '{"time":1}'
        assert (await http.get("/v1/dead-letters/2")).json()["raw_base64"] == "/w=="
        assert problem(await http.get("/v1/dead-letters/99")) == (404, "not_found")
        assert problem(await http.get("/v1/dead-letters/x")) == (404, "not_found")


async def test_a_replay_goes_through_the_actor(hub: TestHub, actor: FakeActor) -> None:
    async with client(hub) as http:
        done = await http.post("/v1/dead-letters/1/replay")
        assert done.json() == {"dead_letter": 1, "status": "replayed", "event": "event-of-1"}
        assert actor.replayed == [(1, "ada")]
        actor.refusal = Conflict("dead letter 4 is still refused: bad_input")
        assert problem(await http.post("/v1/dead-letters/4/replay")) == (409, "conflict")
        assert problem(await http.post("/v1/dead-letters/2/replay")) == (503, "unavailable")
        await hub.memory.registry.remove_camera("c2")
        assert problem(await http.post("/v1/dead-letters/2/replay")) == (409, "conflict"), (
            "no waiting helps"
        )
        assert problem(await http.post("/v1/dead-letters/3/replay")) == (409, "conflict")
        hub.policy.denied = {("deadletter.replay", "c1"), ("deadletter.replay", "fleet")}
        assert problem(await http.post("/v1/dead-letters/1/replay")) == (403, "forbidden")


async def test_a_discard_needs_a_reason_and_is_final(hub: TestHub) -> None:
    async with client(hub) as http:
        assert problem(await http.post("/v1/dead-letters/4/discard", json={})) == (400, "bad_input")
        assert (
            await http.post("/v1/dead-letters/4/discard", json={"reason": "a test item"})
        ).json()["status"] == "discarded"
        letter = (await http.get("/v1/dead-letters/4")).json()
        assert (letter["status"], letter["reason"], letter["by"]) == (
            "discarded",
            "a test item",
            "ada",
        )
        for path in ("discard", "replay"):
            assert problem(
                await http.post(f"/v1/dead-letters/4/{path}", json={"reason": "once more"})
            ) == (409, "conflict")
        hub.policy.denied = {("deadletter.discard", "fleet")}
        assert problem(
            await http.post("/v1/dead-letters/3/discard", json={"reason": "a test item"})
        ) == (403, "forbidden")
