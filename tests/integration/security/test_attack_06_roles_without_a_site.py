"""Attack 6: who is limited to a site, or to cameras, does nothing that belongs to the whole
deployment, on hubs and on the cluster API."""

import ssl
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from cluster.api import endpoints as table
from hub.rest import table as rest_table
from policy.identity.tokens import issue
from tests.support.cluster.cluster_api import TestApi, running_api
from tests.support.hub.hub import TestHub, running_hub
from tests.support.hub.real_policy import real_policy

PLAIN = ssl.create_default_context(
    ssl.Purpose.CLIENT_AUTH
)  # nothing here speaks TLS; loading authorities takes long
DEPLOYMENT = {
    "policy.read",
    "policy.change",
    "audit.read",
    "token.revoke",
    "privacy.read",
    "privacy.request",
    "privacy.approve",
    "privacy.hold",
    "cluster.read",
    "cluster.operate",
    "job.read",
    "job.operate",
    "sink.read",
    "sink.operate",
    "sink.change",
}
LIMITED: list[dict[str, Any]] = [
    {"sites": ["north"]},
    {"sites": ["north", "south"]},
    {"sites": []},
    {"sites": ["*"], "cameras": ["gate"]},
]
ROLES = ("guest", "viewer", "operator", "admin", "privacy", "ingester")
# What a role about the deployment may do with a token of one site, whatever else it has.
OVERALL = {
    "auditor": {"policy.read", "audit.read"},
    "policy-admin": {"policy.read", "policy.change", "token.revoke"},
}
BODIES = {
    "uploadRevision": {"modules": {}},
    "startShadow": {"revision": "0" * 64},
    "revoke": {"jti": "of-nobody"},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestHub]:
    async with running_hub(tmp_path_factory.mktemp("hub"), decider=real_policy()) as running:
        await running.register("gate", site="north")
        await running.register("dock", site="south")
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestApi]:
    async with running_api(tmp_path_factory.mktemp("api"), decider=real_policy()) as running:
        yield running


async def ask(
    base: str, auth: Any, role: str, method: str, path: str, body: Any, **limits: Any
) -> httpx.Response:
    text = issue(
        auth, sub=f"{role}-1", typ="user", jti="t", now_s=time.time(), roles=[role], **limits
    )
    headers = {"authorization": f"Bearer {text}", "if-match": '"0"'}
    async with httpx.AsyncClient(base_url=base, headers=headers, verify=PLAIN, timeout=30) as http:
        return await http.request(method, path, json=body)


def operations(endpoints: Any) -> list[tuple[str, str, str, str]]:
    """(id, method, path, action) of all that belong to the deployment."""
    filled = {
        "{revision}": "0" * 64,
        "{camera}": "gate",
        "{site}": "north",
        "{hub}": "hub-0",
        "{policy}": "policy-0",
    }
    found = []
    for endpoint in endpoints:
        path = endpoint.path
        for name, value in filled.items():
            path = path.replace(name, value)
        if endpoint.action in DEPLOYMENT:
            found.append((endpoint.id, endpoint.method, path, endpoint.action))
    return found


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("limits", LIMITED, ids=str)
async def test_attack_06_a_limited_role_does_nothing_of_the_deployment_on_a_hub(
    hub: TestHub, limits: dict[str, Any]
) -> None:
    before = len(hub.hub.context.stores.audit_log.entries)  # type: ignore[attr-defined]
    assert len(operations(rest_table.ENDPOINTS)) >= 12
    for role in (*ROLES, *OVERALL):
        for id, method, path, action in operations(rest_table.ENDPOINTS):
            if action not in OVERALL.get(role, ()):
                body = BODIES.get(id, {}) if method in ("POST", "PUT") else None
                answer = await ask(
                    f"http://127.0.0.1:{hub.port}", hub.auth, role, method, path, body, **limits
                )
                assert answer.status_code == 403, (role, id, answer.text)
                assert action in answer.json()["detail"]
    assert len(hub.hub.context.stores.audit_log.entries) == before  # type: ignore[attr-defined]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("limits", LIMITED, ids=str)
async def test_attack_06_a_limited_role_does_nothing_on_the_cluster_api(
    api: TestApi, limits: dict[str, Any]
) -> None:
    for role in (*ROLES, *OVERALL):
        if role == "operator" and limits == {"sites": []}:
            continue  # the operator of the deployment
        for id, method, path, action in operations(table.ENDPOINTS):
            answer = await ask(
                api.url,
                api.auth,
                role,
                method,
                path,
                {} if method in ("POST", "PUT") else None,
                **limits,
            )
            assert answer.status_code == 403, (role, id, answer.text)
            assert action in answer.json()["detail"]
    assert api.audited() == []


@pytest.mark.asyncio(loop_scope="module")
async def test_attack_06_the_answer_tells_what_is_missing(hub: TestHub, api: TestApi) -> None:
    base = f"http://127.0.0.1:{hub.port}"
    hints = {
        path: (await ask(where, auth, role, "GET", path, None, sites=["north"])).json()["hint"]
        for where, auth, role, path in (
            (base, hub.auth, "privacy", "/v1/audit"),
            (base, hub.auth, "privacy", "/v1/policy"),
            (base, hub.auth, "viewer", "/v1/revocations"),
            (api.url, api.auth, "admin", "/v1/cluster"),
        )
    }
    assert "'*'" in hints["/v1/audit"]
    assert "auditor" in hints["/v1/audit"]
    assert "auditor" in hints["/v1/policy"]
    assert "None of the token's roles may do token.revoke" in hints["/v1/revocations"]
    assert "operator" in hints["/v1/cluster"]


@pytest.mark.asyncio(loop_scope="module")
async def test_attack_06_the_roles_of_the_deployment_do_their_part(
    hub: TestHub, api: TestApi
) -> None:
    base = f"http://127.0.0.1:{hub.port}"
    for limits in ({"sites": ["north"]}, {}):
        assert (
            await ask(base, hub.auth, "auditor", "GET", "/v1/audit", None, **limits)
        ).status_code == 200
        assert (
            await ask(base, hub.auth, "auditor", "GET", "/v1/policy/decisions", None, **limits)
        ).status_code == 200
        assert (
            await ask(base, hub.auth, "policy-admin", "GET", "/v1/policy", None, **limits)
        ).status_code == 200
    assert (await ask(api.url, api.auth, "operator", "GET", "/v1/cluster", None)).status_code == 200
    for role in ("admin", "operator"):
        assert (
            await ask(api.url, api.auth, role, "GET", "/v1/cluster", None, sites=["*"])
        ).status_code == 200


@pytest.mark.asyncio(loop_scope="module")
async def test_attack_06_operations_of_the_cluster_are_shown_to_nobody_of_one_site(
    hub: TestHub,
) -> None:
    for sites, shown in ((["north"], False), (["*"], True)):
        async with hub.dashboard(hub.token("olga", roles=["admin"], sites=sites)) as dash:
            assert (
                "error" not in await dash.ask("subscribe", channel="cluster:operations")
            ) is shown
