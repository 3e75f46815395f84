"""Sinks by the cluster API: over real stores and a real receiver, and who learns of which."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.sinks import signatures
from connectors.sinks.sealed import key_of
from policy.identity.tokens import issue
from storage.stores import Stores
from tests.support.cluster.cluster_api import TestApi, running_api
from tests.support.cluster.filled_sinks import HOOK, VIEW, fill_sinks
from tests.support.connectors.fleet import LOOPBACK, Fleet, context_of, until, worker
from tests.support.connectors.receiver import Action, Request, receiving
from tests.support.hub.real_policy import real_policy

WHY = {"reason": "not theirs"}


def speaking(api: TestApi, **given: Any) -> httpx.AsyncClient:
    """With a genuine token: of an admin of everything unless `given` says otherwise."""
    claims = {"roles": ["admin"], "sites": ["*"], **given}
    text = issue(api.auth, sub="mia", typ="user", now_s=time.time(), jti="mia-1", **claims)
    headers = {"Authorization": f"Bearer {text}"}
    return httpx.AsyncClient(base_url=api.url, headers=headers, timeout=30)


@asynccontextmanager
async def filled(folder: Path, **options: Any) -> AsyncIterator[TestApi]:
    """With sinks of the whole deployment in the double."""
    async with running_api(folder, **options) as api:
        await fill_sinks(api)
        yield api


async def test_a_sinks_life_by_rest(stores: Stores, tmp_path: Path) -> None:
    fleet = Fleet(stores)
    await fleet.add("c1")
    refusing = True

    def script(request: Request) -> Action:
        return 422 if refusing and request.id.endswith("/2") else 200

    async with (
        running_api(tmp_path, decider=real_policy(), sinks=stores.sinks, receivers=LOOPBACK) as api,
        speaking(api) as http,
        receiving(script) as receiver,
        worker(
            stores,
            replace(
                context_of(stores, chance=lambda: 0.0),
                key=key_of(tmp_path / "keyring"),
            ),
        ),
    ):
        new = {"name": "ops", "to": {"type": "webhook", "url": receiver.url}, "view": VIEW}
        made = await http.post("/v1/sinks", json=new)
        assert (made.status_code, made.headers["location"]) == (201, "/v1/sinks/ops")
        secret = made.json()["verify_with"]
        assert (await http.post("/v1/sinks", json=new)).status_code == 409
        tested = (await http.post("/v1/sinks/ops/test")).json()
        assert (tested["ok"], tested["status"]) == (True, 200)
        (sent,) = receiver.taken
        stamp = int(sent.headers["webhook-timestamp"])
        expected = signatures.signed([secret], sent.headers["webhook-id"], stamp, sent.body)[
            "webhook-signature"
        ]
        assert sent.headers["webhook-signature"] == expected
        receiver.taken.clear()
        await fleet.commit("c1", 3)

        async def parked() -> bool:
            return (await stores.sinks.lag("ops")).parked == 1

        await until(parked)
        (row,) = (await http.get("/v1/sinks")).json()["sinks"]
        assert (row["state"], row["parked"], row["events"]) == ("active", 1, 2)
        skip = "/v1/sinks/ops/cameras/c1/skip"
        assert (await http.post(skip, json={"reason": ""})).status_code == 400
        assert (await http.post(skip, json=WHY)).json()["offset"] == 2
        await until(lambda: len(receiver.ids().get("c1", [])) == 3)
        assert (await http.post(skip, json=WHY)).status_code == 409
        refusing = False
        again = {"from": 2, "to": 3}
        replayed = await http.post("/v1/sinks/ops/cameras/c1/replay", json=again)
        assert (replayed.status_code, replayed.json()["from"]) == (202, 2)
        await until(lambda: len(receiver.taken) == 5)
        assert [one.id for one in receiver.taken[3:]] == fleet.ids["c1"][1:]
        shown = (await http.get("/v1/sinks/ops")).json()
        assert [hole["reason"] for hole in shown["holes"]] == ["not theirs"]
        assert {one["outcome"] for one in shown["attempts"]} == {"delivered", "retry", "parked"}
        assert [(at["camera"], at["offset"]) for at in shown["cursors"]] == [("c1", 3)]
        assert secret not in str(shown)
        rotated = (await http.post("/v1/sinks/ops/rotate", json={"scheme": "ed25519"})).json()
        assert rotated["verify_with"].startswith("whpk_")
        assert (await http.put("/v1/sinks/ops/pause", json=WHY)).json()["state"] == "paused"
        assert (await http.get("/v1/sinks/ops")).json()["reason"] == "not theirs"
        assert (await http.delete("/v1/sinks/ops/pause")).json()["state"] == "active"
        assert (await http.delete("/v1/sinks/ops")).status_code == 204
        assert (await http.get("/v1/sinks/ops")).status_code == 404
        assert [action for action, _, _ in api.audited()] == [
            *("sink.make", "sink.test", "sink.skip", "sink.replay", "sink.rotate"),
            *("sink.pause", "sink.resume", "sink.delete"),
        ]
        assert "whsec" not in str(api.audited())


@pytest.mark.parametrize(
    "limits",
    [
        {"sites": ["north"]},
        {"sites": []},
        {"sites": ["*"], "cameras": ["gate"]},
        {"sites": ["*"], "roles": ["viewer"]},
    ],
)
async def test_who_may_see_less_than_all_learns_of_no_sink_not_even_whether_it_is_there(
    tmp_path: Path, limits: dict[str, Any]
) -> None:
    async with filled(tmp_path, decider=real_policy()) as api, speaking(api, **limits) as http:
        for path in ("/v1/sinks", "/v1/sinks/s1", "/v1/sinks/none"):
            assert (await http.get(path)).status_code == 403


async def test_whatever_policy_says_a_token_of_one_site_reaches_no_sink_beyond_it(
    tmp_path: Path,
) -> None:
    """The double allows everything, as a policy of somebody's own might."""
    async with filled(tmp_path) as api, speaking(api, sites=["north"]) as http:
        mine = {"name": "mine", "to": HOOK, "view": {"sites": ["north"]}}
        assert (await http.post("/v1/sinks", json=mine)).status_code == 201
        for view in (VIEW, {"sites": ["north", "south"]}, {"sites": [], "cameras": ["gate"]}):
            wider = mine | {"name": "wider", "view": view}
            assert (await http.post("/v1/sinks", json=wider)).status_code == 403
        listed = (await http.get("/v1/sinks")).json()["sinks"]
        assert [one["name"] for one in listed] == ["mine"]
        before = (dict(api.memory.sinks.rows), dict(api.memory.sinks.places))
        camera = "/v1/sinks/s1/cameras/gate"
        for method, path, body in (
            ("GET", "/v1/sinks/s1", None),
            ("POST", "/v1/sinks/s1/test", None),
            ("PUT", "/v1/sinks/s1/pause", {}),
            ("DELETE", "/v1/sinks/s1/pause", None),
            ("POST", f"{camera}/retry", None),
            ("POST", f"{camera}/skip", WHY),
            ("POST", f"{camera}/replay", {"from": 1}),
            ("POST", "/v1/sinks/s1/rotate", {}),
            ("DELETE", "/v1/sinks/s1", None),
        ):
            answer = await http.request(method, path, json=body)
            unknown = await http.request(method, path.replace("s1", "s99"), json=body)
            assert (answer.status_code, unknown.status_code) == (404, 404), path
            told = answer.text.replace("s1", "s99")
            assert told == unknown.text
        assert (api.memory.sinks.rows, api.memory.sinks.places) == before


async def test_a_sink_gets_no_more_than_its_maker_has(tmp_path: Path) -> None:
    async with filled(tmp_path, decider=real_policy()) as api:
        plain, reader = speaking(api), speaking(api, scopes=["plates:read"])
        async with plain, reader:
            new = {"name": "plates", "to": HOOK, "view": VIEW | {"scopes": ["plates:read"]}}
            refused = await plain.post("/v1/sinks", json=new)
            assert (refused.status_code, "plates:read" in refused.text) == (403, True)
            roles = new | {"view": VIEW | {"roles": ["privacy"]}}
            assert (await plain.post("/v1/sinks", json=roles)).status_code == 403
            assert (await reader.post("/v1/sinks", json=new)).status_code == 201
            elsewhere = {"type": "jetstream", "url": "nats://10.0.0.1:4222"}
            outside = new | {"name": "other", "to": elsewhere}
            assert (await reader.post("/v1/sinks", json=outside)).status_code == 400


async def test_operators_run_sinks_and_do_not_make_them(tmp_path: Path) -> None:
    async with (
        filled(tmp_path, decider=real_policy()) as api,
        speaking(api, roles=["operator"]) as http,
    ):
        assert (await http.put("/v1/sinks/s1/pause", json=WHY)).status_code == 200
        new = {"name": "mine", "to": HOOK, "view": VIEW}
        assert (await http.post("/v1/sinks", json=new)).status_code == 403
        assert (await http.post("/v1/sinks/s1/rotate", json={})).status_code == 403
        assert (await http.delete("/v1/sinks/s1")).status_code == 403


async def test_what_cannot_be_recorded_is_not_done_to_a_sink(tmp_path: Path) -> None:
    async with filled(tmp_path) as api, speaking(api) as http:
        before, api.audit.away = dict(api.memory.sinks.rows), True
        for method, path in (
            ("PUT", "/v1/sinks/s1/pause"),
            ("POST", "/v1/sinks/s1/test"),
            ("POST", "/v1/sinks/s1/rotate"),
            ("DELETE", "/v1/sinks/s1"),
        ):
            assert (await http.request(method, path, json={})).status_code == 503
        assert api.memory.sinks.rows == before


async def test_lists_come_in_pages(tmp_path: Path) -> None:
    async with filled(tmp_path) as api, speaking(api) as http:
        names, after = [], ""
        while True:
            got = (await http.get(f"/v1/sinks?limit=15&after={after}")).json()
            names += [one["name"] for one in got["sinks"]]
            if "next" not in got:
                break
            after = got["next"]
        assert names == sorted(api.memory.sinks.rows)
