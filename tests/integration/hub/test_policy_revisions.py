"""Policies by REST and by command, against a real hub: uploaded, activated under an ETag, rolled
back; refused with what to mend."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from cluster.cli.main import main
from policy.engine.modules import PACKAGED, read_sources
from storage.ports.policy import DecisionRow, Flip
from tests.support.hub.hub import TestHub, running_hub

CLOSED = (
    'package eyrie.authz\n\ndefault allow := false\n\nreason := "closed"\n\nredact := '
    "[]\n\nmax_hz := null\n"
)
PATH = "/v1/policy"


def client(hub: TestHub) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {hub.token(roles=['privacy'])}"}
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{hub.port}", headers=headers, timeout=60)


async def upload(
    http: httpx.AsyncClient, modules: dict[str, Any], status: int = 201
) -> dict[str, Any]:
    answered = await http.post(f"{PATH}/revisions", json={"modules": modules, "note": "try"})
    assert answered.status_code == status, answered.text
    return dict(answered.json())


async def test_a_revision_is_uploaded_activated_and_rolled_back(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, client(hub) as http:
        shown = await http.get(PATH)
        assert (shown.headers["etag"], shown.json()) == ('"0"', {"generation": 0, "revision": None})
        packaged = await upload(http, read_sources())
        assert (await upload(http, read_sources(), 200))["number"] == packaged["number"]
        other = await upload(
            http, read_sources() | {"more.rego": "package eyrie.more\n\nfast := 10\n"}
        )
        names = [
            row["revision"]
            for row in (await http.get(f"{PATH}/revisions?limit=1")).json()["revisions"]
        ]
        assert names == [other["revision"]]
        read = (await http.get(f"{PATH}/revisions/{packaged['revision']}")).json()
        assert (read["modules"], read["author"], read["note"], read["active"]) == (
            read_sources(),
            "ada",
            "try",
            False,
        )

        activate = f"{PATH}/revisions/{packaged['revision']}/activate"
        assert (await http.post(activate, json={})).status_code == 428
        assert (await http.post(activate, json={}, headers={"If-Match": '"7"'})).status_code == 412
        done = await http.post(activate, json={}, headers={"If-Match": '"0"'})
        assert (done.status_code, done.headers["etag"], done.json()["revision"]) == (
            200,
            '"1"',
            packaged["revision"],
        )
        assert (
            await http.post(f"{PATH}/rollback", json={}, headers={"If-Match": '"1"'})
        ).status_code == 409
        done = await http.post(
            f"{PATH}/revisions/{other['revision']}/activate", json={}, headers={"If-Match": '"1"'}
        )
        assert done.json()["previous"] == packaged["revision"]
        done = await http.post(f"{PATH}/rollback", json={}, headers={"If-Match": '"2"'})
        assert (done.json()["generation"], done.json()["revision"]) == (3, packaged["revision"])


async def test_what_locks_everybody_out_is_asked_for_twice(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, client(hub) as http:
        closed = await upload(http, {"closed.rego": CLOSED})
        path = f"{PATH}/revisions/{closed['revision']}/activate"
        refused = await http.post(path, json={}, headers={"If-Match": "*"})
        assert (refused.status_code, "lock_out" in refused.json()["hint"]) == (409, True)
        assert (
            await http.post(path, json={"lock_out": True}, headers={"If-Match": "*"})
        ).status_code == 200


@pytest.mark.parametrize(
    "modules",
    [
        {},
        {"a.rego": ""},
        {"../a.rego": CLOSED},
        {"revision.rego": CLOSED},
        {"a_test.rego": CLOSED},
        {"a.txt": CLOSED},
        {"a.rego": 7},
        {"a.rego": CLOSED.replace("default allow := false", "")},
        {"a.rego": CLOSED + "x if { http.send({}) }\n"},
        {"a.rego": CLOSED + "x if { allow with input as {} }\n"},
        {"a.rego": CLOSED, "b.rego": CLOSED},
        {"a.rego": CLOSED + "allow { true }\n"},
        {"a.rego": CLOSED + 'revision := "mine"\n'},
        {"a.rego": CLOSED + "x := {{{\n"},
    ],
)
async def test_what_cannot_be_used_is_refused_with_a_problem(
    tmp_path: Path, modules: dict[str, Any]
) -> None:
    async with running_hub(tmp_path) as hub, client(hub) as http:
        answered = await http.post(f"{PATH}/revisions", json={"modules": modules})
        assert answered.status_code == 400, answered.text
        assert answered.headers["content-type"] == "application/problem+json"
        assert hub.hub.context.stores.revisions.records == {}  # type: ignore[attr-defined]


async def test_policy_decides_who_may_read_and_change_it(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, client(hub) as http:
        name = (await upload(http, read_sources()))["revision"]
        hub.policy.denied = {("policy.change", "policy")}
        assert (await http.get(PATH)).status_code == 200
        for path in ("revisions", f"revisions/{name}/activate", "rollback"):
            assert (
                await http.post(f"{PATH}/{path}", json={"modules": {}}, headers={"If-Match": "*"})
            ).status_code == 403
        hub.policy.denied = {("policy.read", "policy")}
        for path in ("", "/revisions", f"/revisions/{name}"):
            assert (await http.get(PATH + path)).status_code == 403
        assert (await http.get(PATH, headers={"Authorization": "Bearer x"})).status_code == 401
        hub.policy.denied = set()
        assert (await http.get(f"{PATH}/revisions/{'0' * 64}")).status_code == 404
        assert (await http.get(f"{PATH}/revisions/..%2f..%2fetc")).status_code in (400, 404)


async def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token = tmp_path / "token"
    async with running_hub(tmp_path) as hub:
        token.write_text(hub.token(roles=["privacy"]))
        where = ["--url", f"http://127.0.0.1:{hub.port}", "--token-file", str(token)]

        async def eyrie(*arguments: str) -> tuple[int, str]:
            code = await asyncio.to_thread(main, ["policy", *arguments, *where])
            captured = capsys.readouterr()
            return code, captured.out + captured.err

        code, out = await eyrie("upload", str(PACKAGED), "--note", "first", "--json")
        name = json.loads(out)["revision"]
        assert code == 0
        code, out = await eyrie("activate", name[:12], "--json")
        assert (code, json.loads(out)["revision"]) == (0, name)
        code, out = await eyrie("list")
        assert (code, "in force" in out, "first" in out) == (0, True, True)
        code, out = await eyrie("show", name[:8])
        assert "package eyrie.authz" in out
        code, out = await eyrie("rollback")
        assert (code, "no revision before" in out) == (1, True)
        code, out = await eyrie("activate", "abc")
        assert code == 2
        folder = tmp_path / "mine"
        folder.mkdir()
        (folder / "a.rego").write_text("package other\n")
        code, out = await eyrie("upload", str(folder))
        assert (code, "the package must be" in out) == (2, True)


async def test_a_shadow_and_the_log_by_rest_and_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = tmp_path / "token"
    async with running_hub(tmp_path) as hub, client(hub) as http:
        token.write_text(hub.token(roles=["privacy"]))
        where = ["--url", f"http://127.0.0.1:{hub.port}", "--token-file", str(token)]
        name = (await upload(http, read_sources()))["revision"]
        other = (await upload(http, {"closed.rego": CLOSED}))["revision"]
        assert (await http.get(f"{PATH}/shadow")).status_code == 404
        for bad in ({"revision": "x"}, {}, {"revision": name, "more": 1}):
            assert (await http.put(f"{PATH}/shadow", json=bad)).status_code == 400
        code = await asyncio.to_thread(main, ["policy", "shadow", name[:12], "--start", *where])
        assert (code, "0 decisions compared, it runs" in capsys.readouterr().out) == (0, True)
        assert (await http.put(f"{PATH}/shadow", json={"revision": other})).status_code == 409
        stores: Any = hub.hub.context.stores
        stores.shadows.flipped = [
            Flip("deny_to_allow", "subscribe", "guest", "north", 3, '{"was":"no_role"}')
        ]
        report = (await http.get(f"{PATH}/shadow?revision={name}")).json()
        assert report["flips"] == [
            {
                "kind": "deny_to_allow",
                "action": "subscribe",
                "role": "guest",
                "site": "north",
                "count": 3,
                "example": {"was": "no_role"},
            }
        ]
        assert (await http.get(f"{PATH}/shadow?revision={other}")).status_code == 404
        code = await asyncio.to_thread(main, ["policy", "shadow", *where])
        assert (code, "deny_to_allow" in capsys.readouterr().out) == (0, True)
        assert (await http.delete(f"{PATH}/shadow")).json()["ended"] is not None
        assert (await http.delete(f"{PATH}/shadow")).status_code == 404
        await stores.decisions.write(
            [DecisionRow("r", "connect", "guest", "", True, "allowed", "{}", bytes(32), "{}")] * 3
        )
        page = (await http.get(f"{PATH}/decisions?limit=2")).json()
        assert (
            [row["id"] for row in page["decisions"]],
            page["next"],
            page["decisions"][0]["rule"],
        ) == ([3, 2], 2, "allowed")
        hub.policy.denied = {("policy.read", "policy"), ("policy.change", "policy")}
        for method, path in (
            ("GET", "shadow"),
            ("PUT", "shadow"),
            ("DELETE", "shadow"),
            ("GET", "decisions"),
        ):
            assert (
                await http.request(method, f"{PATH}/{path}", json={"revision": name})
            ).status_code == 403


async def test_every_change_is_in_the_audit_log_and_none_is_made_without(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, client(hub) as http:
        audit: Any = hub.hub.context.stores.audit_log
        name = (await upload(http, read_sources()))["revision"]
        await upload(http, read_sources(), 200)
        other = (
            await upload(http, read_sources() | {"more.rego": "package eyrie.more\n\nfast := 10\n"})
        )["revision"]
        for revision in (name, other):
            await http.post(
                f"{PATH}/revisions/{revision}/activate", json={}, headers={"If-Match": "*"}
            )
        await http.post(f"{PATH}/rollback", json={}, headers={"If-Match": "*"})
        await http.put(f"{PATH}/shadow", json={"revision": other})
        await http.delete(f"{PATH}/shadow")
        told = (await http.get("/v1/audit?limit=100")).json()["entries"]
        assert [(entry["who"], entry["action"], entry["target"]) for entry in reversed(told)] == [
            ("ada", f"policy.{action}", target)
            for action, target in (
                ("upload", name),
                ("upload", other),
                ("activate", name),
                ("activate", other),
                ("rollback", name),
                ("shadow_start", other),
                ("shadow_end", other),
            )
        ]
        page = (await http.get("/v1/audit?limit=2&before=3")).json()
        assert ([entry["number"] for entry in page["entries"]], page["next"]) == ([2, 1], 1)
        audit.away = True
        refused = await http.post(f"{PATH}/revisions", json={"modules": {"closed.rego": CLOSED}})
        assert refused.status_code == 503
        for method, path in (
            ("POST", f"revisions/{other}/activate"),
            ("POST", "rollback"),
            ("PUT", "shadow"),
        ):
            refused = await http.request(
                method,
                f"{PATH}/{path}",
                json={"revision": name} if path == "shadow" else {},
                headers={"If-Match": "*"},
            )
            assert refused.status_code == 503, refused.text
        assert (await http.get(PATH)).json()["generation"] == 3
        hub.policy.denied = {("audit.read", "audit")}
        assert (await http.get("/v1/audit")).status_code == 403
