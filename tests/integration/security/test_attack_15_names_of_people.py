"""Attack 15: names, roles and token ids as identity providers make them get in, mean nobody else,
and end no line anywhere."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from policy.engine.modules import read_sources
from policy.engine.rego_engine import RegoEngine
from tests.support.hub.hub import TestHub, running_hub
from tests.support.hub.real_policy import real_policy
from tests.support.tokens import claims, forge, secret_of

# Auth0, Keycloak, Entra ID, GitHub Actions, an address with a tag, names of people, the longest
# that OpenID Connect knows, and what is syntax somewhere: a channel's limit of users, a Redis hash
# tag, SQL, Lua, a metric's label.
NAMES = [
    "auth0|5f7c8ec7c33c6c004bbafe82",
    "f:8b5c:jane",
    "jane+ops@example.org",
    "Jörg Müller",
    "山田 太郎",
    "repo:octo-org/octo-repo:ref:refs/heads/main",
    "s" * 255,
    "ü" * 255,
    "a,b",
    "#ada",
    "eyrie:{north}:fences",
    "'; DROP TABLE cameras; --",
    '"}]=1',
    "\\u0000",
    "100 %",
    "🎥",
]
NO_NAMES = [
    "",
    "s" * 256,
    "ada\n",
    "ada\x00",
    "\x1b[2Jada",
    "ada\x85",
    "ada\u2028",
    "ada\ud800",
    7,
    None,
    ["ada"],
]
ROLES = ["viewer", "Wache Süd", "https://example.org/roles#Kamera Leser", "r" * 128, "夜" * 128]

# The packaged policy, and a deployment's own role with a space and an umlaut in its name.
OWN_ROLE = (
    'package eyrie.authz\n\ngranted if {\n\t"Wache%20S%C3%BCd" in '
    "input.subject.roles\n\tinput.action in reading\n}\n"
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestHub]:
    async with running_hub(
        tmp_path_factory.mktemp("hub"), decider=real_policy(read_sources() | {"own.rego": OWN_ROLE})
    ) as running:
        await running.register("gate", site="north")
        await running.register("dock", site="south")
        yield running


def token(hub: TestHub, **changes: Any) -> str:
    now = int(time.time())
    return forge(claims(iat=now - 10, exp=now + 600, **changes), secret_of(hub.auth))


def client(hub: TestHub, text: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{hub.port}",
        headers={"authorization": f"Bearer {text}"},
        timeout=30,
    )


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
async def test_attack_15_a_real_name_gets_in_and_is_revoked_alone(hub: TestHub, name: str) -> None:
    pia = token(hub, sub="pia", jti="p", roles=["privacy"])
    text = token(hub, sub=name, jti=f"id of {name}"[:255], sites=["north"])
    async with hub.dashboard(text) as dash, client(hub, text) as http:
        assert "connect" in dash.connected
        assert "error" not in await dash.ask("subscribe", channel="camera:gate")
        assert (await dash.ask("subscribe", channel="camera:dock"))["error"]["code"] == 103
        assert (await http.get("/v1/cameras/gate")).status_code == 200
    async with client(hub, pia) as http:
        assert (
            await http.post("/v1/revocations", json={"subject": name, "reason": "a test"})
        ).status_code == 201
        entry = (
            (await http.get("/v1/audit", params={"limit": 1}))
            .raise_for_status()
            .json()["entries"][0]
        )
        assert entry["target"] == f"subject:{name}"
        revoked = (await http.get("/v1/revocations")).json()["revocations"]
    assert name in [row["value"] for row in revoked]
    async with client(hub, token(hub, sub="ada", jti="t")) as http:
        assert (await http.get("/v1/cameras/gate")).status_code == 200


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("claim", ["sub", "jti", "roles", "scopes"])
@pytest.mark.parametrize("value", NO_NAMES, ids=range(len(NO_NAMES)))
async def test_attack_15_what_could_end_a_line_is_refused_and_the_claim_is_named(
    hub: TestHub, claim: str, value: Any
) -> None:
    given = value if claim in ("sub", "jti") else [value]
    async with client(hub, token(hub, **{claim: given})) as http:
        answer = await http.get("/v1/cameras/gate")
    assert answer.status_code == 401
    assert f"`{claim}" in answer.json()["detail"]
    assert answer.text.isprintable()


@pytest.mark.asyncio(loop_scope="module")
async def test_attack_15_a_role_of_any_script_reaches_the_policy_as_itself_alone(
    hub: TestHub,
) -> None:
    seen = {}
    for role in (*ROLES, "Wache Sud", "Wache%20S%C3%BCd", "wache süd"):
        async with client(hub, token(hub, roles=[role], scopes=[role])) as http:
            seen[role] = (await http.get("/v1/cameras/gate")).status_code
    assert seen == {role: 200 if role in ("viewer", "Wache Süd") else 403 for role in seen}


@pytest.mark.asyncio(loop_scope="module")
async def test_attack_15_a_name_opens_no_channel_of_another(hub: TestHub) -> None:
    for name in ("#ada", "ada,eve", "ada"):
        async with hub.dashboard(token(hub, sub=name, jti="t")) as dash:
            for channel in ("##ada", "#ada,eve", "#eve", "#"):
                assert "error" in await dash.ask("subscribe", channel=channel), (name, channel)


def test_attack_15_the_role_is_the_policys_not_the_tests() -> None:
    """Without the module of this test the role grants nothing."""
    from policy.decision import inputs
    from policy.identity.principal import Principal

    wache = Principal("jörg", "t", "user", 0, 1, ("Wache Süd",), ("north",))
    asked = [inputs.on_camera("registry.read", wache, "gate", site="north")]
    assert not RegoEngine(read_sources()).decide(asked)[0].allow
    assert json.loads(json.dumps(inputs.subject(wache)))["roles"] == ["Wache%20S%C3%BCd"]
