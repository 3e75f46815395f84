"""Alerts by REST: who sees them, and what people do about them."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from actors.core.errors import Conflict
from tests.integration.hub.test_registry import client
from tests.support.doubles.actor_handles import FakeActor, FakeDirectory
from tests.support.hub.alert_routes import SINCE, raise_alert
from tests.support.hub.hub import TestHub, running_hub
from tests.support.hub.real_policy import real_policy

ONE = "/v1/cameras/gate/alerts/forced"
NOTHING = {"note": "x", "place": "door"}
SEEN = {"occurrence": 1}


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()
    assert (answer.status_code, found["title"]) == (status, code), found
    return found


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[TestHub]:
    """North has a gate and a restricted vault, south a dock; each has an alert."""
    actor = FakeActor("actor.one")
    directory = FakeDirectory(lambda camera: actor)
    async with running_hub(tmp_path, decider=real_policy(), directory=directory) as running:
        await running.register("gate", site="north")
        await running.register("vault", site="north", tags=["restricted"])
        await running.register("dock", site="south")
        raise_alert(running, "gate")
        raise_alert(running, "vault")
        raise_alert(running, "dock", site="south", severity="warning")
        yield running


def operator(
    hub: TestHub, sub: str = "ann", **claims: Any
) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    return client(hub, **{"sub": sub, "roles": ["operator"], "sites": ["north"], **claims})


async def listed(http: httpx.AsyncClient, path: str) -> list[str]:
    answer = await http.get(path)
    assert answer.status_code == 200, answer.text
    return [f"{one['camera']} {one['state']}" for one in answer.json()["alerts"]]


async def test_who_may_see_a_camera_sees_its_alerts_and_no_others(hub: TestHub) -> None:
    async with client(hub, roles=["viewer"], sites=["north"]) as http:
        assert await listed(http, "/v1/sites/north/alerts") == ["gate unacknowledged"]
        assert await listed(http, "/v1/cameras/gate/alerts") == ["gate unacknowledged"]
        for path in ("/v1/sites/south/alerts", "/v1/cameras/vault/alerts", "/v1/alerts"):
            problem(await http.get(path), 403, "forbidden")
        problem(await http.get("/v1/cameras/vault/alerts/forced"), 403, "forbidden")
    async with client(hub, roles=["viewer"], sites=["*"], scopes=["restricted:read"]) as http:
        found = await listed(http, "/v1/alerts")
        assert found == ["gate unacknowledged", "vault unacknowledged", "dock unacknowledged"]


async def test_a_hidden_alert_takes_no_room_in_an_answer(hub: TestHub) -> None:
    raise_alert(hub, "vault", since=SINCE - timedelta(hours=1))
    async with client(hub, roles=["viewer"], sites=["north"]) as http:
        found = (await http.get("/v1/sites/north/alerts?limit=1")).json()
        assert ([one["camera"] for one in found["alerts"]], found["more"]) == (["gate"], False)


async def test_an_alert_lives_as_isa_182_says(hub: TestHub) -> None:
    async with operator(hub) as http:
        seen = (await http.post(f"{ONE}/acknowledge", json=SEEN)).json()
        assert (seen["state"], seen["acknowledged_by"], seen["version"]) == (
            "acknowledged",
            "ann",
            1,
        )
        key = ("gate", "forced", "")
        work = hub.memory.alerts.points[key].work
        raise_alert(hub, "gate", active=False, work=work)
        assert await listed(http, "/v1/sites/north/alerts") == []
        assert await listed(http, "/v1/sites/north/alerts?state=all") == ["gate normal"]
        raise_alert(hub, "gate", occurrences=2, work=work)
        assert await listed(http, "/v1/sites/north/alerts") == ["gate unacknowledged"]
        raise_alert(hub, "gate", active=False, occurrences=2, work=work)
        assert await listed(http, "/v1/sites/north/alerts") == ["gate returned"]


async def test_who_saw_an_older_occurrence_is_told_of_the_newer(hub: TestHub) -> None:
    raise_alert(hub, "gate", occurrences=3)
    async with operator(hub) as http:
        told = problem(await http.post(f"{ONE}/acknowledge", json=SEEN), 409, "conflict")
        assert "3" in told["detail"]
        problem(await http.post(f"{ONE}/acknowledge", json={}), 400, "bad_input")


async def test_who_is_late_is_told_who_was_first(hub: TestHub) -> None:
    async with operator(hub, "bob") as bob, operator(hub, "ann") as ann:
        assert (await bob.post(f"{ONE}/acknowledge", json=SEEN)).status_code == 200
        late = await ann.post(f"{ONE}/acknowledge", json=SEEN)
        assert "bob" in problem(late, 409, "conflict")["detail"]
        old = await ann.post(f"{ONE}/assign", json={"to": "ann", "version": 0})
        problem(old, 409, "conflict")


async def test_a_shelf_has_an_owner_a_reason_and_an_end(hub: TestHub) -> None:
    async with operator(hub) as http:
        problem(await http.post(f"{ONE}/shelve", json={"for_s": 60}), 400, "bad_input")
        problem(await http.post(f"{ONE}/shelve", json={"note": "works"}), 400, "bad_input")
        long = await http.post(f"{ONE}/shelve", json={"note": "works", "for_s": 9 * 3600})
        assert long.status_code == 400
        shelved = (await http.post(f"{ONE}/shelve", json={"note": "works", "for_s": 60})).json()
        assert (shelved["state"], shelved["shelved_by"], shelved["shelved_reason"]) == (
            "shelved",
            "ann",
            "works",
        )
        assert await listed(http, "/v1/sites/north/alerts") == ["gate shelved"]
        assert (await http.post(f"{ONE}/unshelve", json={})).json()["state"] == "unacknowledged"


async def test_every_act_is_told_with_its_person_and_stands_in_the_audit_log(hub: TestHub) -> None:
    async with operator(hub) as http:
        for act, body in (
            ("assign", {"to": "bob"}),
            ("verdict", {"verdict": "nuisance"}),
            ("note", {"note": "a fox, as on Monday"}),
            ("acknowledge", {"occurrence": 1}),
            ("confirm", {"occurrence": 1}),
        ):
            answer = await http.post(f"{ONE}/{act}", json=body)
            assert answer.status_code == 200, answer.text
        page = (await http.get(ONE)).json()
        assert [one["act"] for one in page["acts"]] == [
            "confirm",
            "acknowledge",
            "note",
            "verdict",
            "assign",
        ]
        assert {one["who"] for one in page["acts"]} == {"ann"}
        assert page["alert"]["confirmed_by"] == "ann"
    audit = [entry async for entry in hub.hub.context.stores.audit_log.read()]
    acts = [entry for entry in audit if getattr(entry, "action", "").startswith("alert.")]
    assert [entry.action for entry in acts if hasattr(entry, "action")] == [
        "alert.assign",
        "alert.verdict",
        "alert.note",
        "alert.acknowledge",
        "alert.confirm",
    ]
    assert all("fox" not in str(entry) for entry in acts), "a note may name a person"


async def test_to_look_is_not_to_act(hub: TestHub) -> None:
    async with client(hub, roles=["viewer"], sites=["north"]) as http:
        problem(await http.post(f"{ONE}/acknowledge", json=SEEN), 403, "forbidden")
    async with operator(hub, sites=["south"]) as http:
        problem(await http.post(f"{ONE}/acknowledge", json=SEEN), 403, "forbidden")
    assert hub.memory.alerts.log == []


async def test_what_makes_no_sense_is_refused(hub: TestHub) -> None:
    async with operator(hub) as http:
        problem(await http.get("/v1/sites/north/alerts?state=some"), 400, "bad_input")
        problem(await http.get("/v1/sites/north/alerts?limit=0"), 400, "bad_input")
        problem(await http.get("/v1/cameras/gate/alerts/other"), 404, "not_found")
        problem(await http.get(f"{ONE}?place=door"), 404, "not_found")
        problem(await http.post(f"{ONE}/explode", json={}), 400, "bad_input")
        problem(await http.post(f"{ONE}/note", json=NOTHING), 404, "not_found")


async def test_a_person_may_say_that_it_is_over(hub: TestHub) -> None:
    async with operator(hub) as http:
        assert (await http.post(f"{ONE}/clear", json={})).status_code == 200
        acts = (await http.get(ONE)).json()["acts"]
        assert [(one["act"], one["who"]) for one in acts] == [("clear", "ann")]
        problem(await http.post("/v1/cameras/gate/alerts/other/clear", json={}), 404, "not_found")
    actor = (await hub.hub.context.directory.locate(["gate"]))["gate"]
    assert isinstance(actor, FakeActor)
    assert actor.cleared == [("gate", "forced", "")]
    async with operator(hub) as http:
        problem(await http.post(f"{ONE}/clear", json={"version": 0}), 409, "conflict")
    assert len(actor.cleared) == 1, "what is refused ends nothing"
    actor.refusal = Conflict("it is over already")
    async with operator(hub) as http:
        problem(await http.post(f"{ONE}/clear", json={}), 409, "conflict")
        assert len((await http.get(ONE)).json()["acts"]) == 1


async def test_what_people_wrote_is_for_who_may_see_every_class(hub: TestHub) -> None:
    async with operator(hub) as http:
        shelving = await http.post(f"{ONE}/shelve", json={"note": "Mr Smith", "for_s": 60})
        assert shelving.json()["shelved_reason"] == "Mr Smith"
        for path in (ONE, "/v1/sites/north/alerts", "/v1/cameras/gate/alerts"):
            assert "Smith" not in (await http.get(path)).text
    async with operator(hub, "bob") as http:
        assert "Smith" not in (await http.post(f"{ONE}/assign", json={"to": "bob"})).text
    async with operator(hub, scopes=["pii:read"]) as http:
        assert (await http.get(ONE)).text.count("Mr Smith") == 2
