"""Every way by which the data of cameras leaves by reading, listed from the routes and channels that a hub has, against every rule that may
hide a camera or a value of it: one cell each (attacks 5 and 9). Rates are in `test_attack_05_camera_rules`.

A route or a kind of channel without a row fails the first test.
"""

import json
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from starlette.routing import Route

from hub import channels
from hub.access import Access
from hub.camera_policy import CameraPolicy, Ruling
from policy.ports import Decision, Question
from tests.integration.security.test_attack_05_camera_rules import modules
from tests.support.hub import TestHub, running_hub
from tests.support.real_policy import real_policy

# GET routes that show what cameras saw, or which there are. {id}, {of} and {letter} are of the camera that the rule is about, and its site.
READS = {
    "/v1/cameras": "/v1/cameras", "/v1/sites": "/v1/sites", "/v1/sites/{site}": "/v1/sites/south",
    "/v1/cameras/{camera}": "/v1/cameras/{id}", "/v1/cameras/{camera}/scene": "/v1/cameras/{id}/scene",
    "/v1/cameras/{camera}/scene/zones/{zone}": "/v1/cameras/{id}/scene/zones/door",
    "/v1/cameras/{camera}/scene/lines/{line}": "/v1/cameras/{id}/scene/lines/entry",
    "/v1/cameras/{camera}/state": "/v1/cameras/{id}/state", "/v1/cameras/{camera}/events": "/v1/cameras/{id}/events",
    "/v1/sites/{site}/state": "/v1/sites/{of}/state", "/v1/sites/{site}/events": "/v1/sites/{of}/events",
    "/v1/fleet/state": "/v1/fleet/state", "/v1/fleet/events": "/v1/fleet/events",
    "/v1/dead-letters": "/v1/dead-letters", "/v1/dead-letters/{letter}": "/v1/dead-letters/{letter}",
}  # fmt: skip
# Routes that hold nothing of a camera's data; `tests/integration/security/test_matrix.py` says who may have them.
OTHERS = (
    "/v1/policy", "/v1/audit", "/v1/revocations", "/health", "/openapi", "/asyncapi", "/schemas", "/docs", "/console", "/emulation",
    "/connection", "/metrics", "/assets", "/v1/events", "/v1/edge",
)  # fmt: skip
CHANNELS = ("camera:{id}", "events:camera:{id}", "site:{of}", "events:site:{of}", "fleet", "events:fleet")
WAYS = [*READS.values(), *(f"{how} {name}" for name in CHANNELS for how in ("subscribe", "history", "recover"))]
# Rule → the camera it is about, its site, and the sites and roles of who asks.
RULES = {
    "site": ("dock", "south", ["north"], "operator"),
    "tag": ("strong", "north", ["*"], "operator"),
    "denial": ("vault", "north", ["*"], "operator"),
    "redaction": ("till", "north", ["*"], "operator"),
}
CANARY = "CANARY-PLATE"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestHub]:
    async with running_hub(tmp_path_factory.mktemp("hub"), decider=real_policy(modules())) as running:
        for camera, site, tags in (
            ("gate", "north", ()),
            *((c, s, ("restricted",) if r == "tag" else ()) for r, (c, s, *_) in RULES.items()),
        ):
            square = {"points": [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]}
            scene = {"zones": {"door": square}, "lines": {"entry": {"points": [[0.5, 0.0], [0.5, 1.0]]}}}
            await running.register(camera, site=site, tags=tags, scene=json.dumps(scene).encode())
            track = {"id": "t", "label": "car", "score": 1, "box": [0, 0, 1, 1], "current_zones": [], "stationary": False}
            await running.show(camera, 1, site=site, tracks=[track | {"sub_label": f"{CANARY}-{camera}"}])
            await running.happen(camera, 1, site=site, type="alarm.seen", data={"data": {"plate": f"{CANARY}-{camera}"}})
            await running.memory.dead_letters.add(camera, "s1", "bad", "why", f"{CANARY}-{camera}".encode(), 1_790_000_000_000_000)
        yield running


async def told(hub: TestHub, way: str, rule: str, scopes: list[str]) -> str:
    """What the asker of a rule is told by one way, without the ids they named themselves in an error."""
    camera, site, sites, role = RULES[rule]
    token = hub.token("anna", roles=[role], sites=sites, scopes=scopes)
    letter = 2 + list(RULES).index(rule)
    name = way.replace("{id}", camera).replace("{of}", site).replace("{letter}", str(letter))
    if name.startswith("/"):
        async with httpx.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=30) as http:
            answer = await http.get(f"http://127.0.0.1:{hub.port}{name}")
        return answer.text if answer.status_code == 200 else ""
    how, _, channel = name.partition(" ")
    async with hub.dashboard(token) as dash:
        first = await dash.ask("subscribe", channel=channel, **({"recover": True, "offset": 0, "epoch": ""} if how == "recover" else {}))
        answered = await dash.ask("history", channel=channel, limit=-1) if how == "history" else first
        return "" if "error" in answered else json.dumps(answered)


@pytest.mark.asyncio(loop_scope="module")
async def test_attack_05_the_sweep_knows_every_route_and_every_kind_of_channel(hub: TestHub) -> None:
    routes = {route.path for route in hub.hub.app.app.routes if isinstance(route, Route) and "GET" in (route.methods or ())}
    assert {path for path in routes if path not in READS and path not in ("/", "/v1/{rest:path}") and not path.startswith(OTHERS)} == set()
    kinds = {channels.parse(name.replace("{id}", "a").replace("{of}", "a")).namespace for name in CHANNELS}
    ours = {value for value in vars(channels).values() if isinstance(value, channels.Namespace)}
    assert ours - kinds == {channels.PERSONAL, channels.OPERATIONS}, "those show no camera"


def leaks(text: str, way: str, rule: str) -> bool:
    """Whether what was told breaks the rule."""
    camera, site, *_ = RULES[rule]
    if rule == "redaction":
        return f"{CANARY}-{camera}" in text and not way.startswith("/v1/dead-letters")
    return camera in text or (rule == "site" and site in text)


async def _allowed(self: Access, question: Question) -> Decision:
    return Decision(True, "allowed", "broken")


async def _no_ruling(*_: object) -> Ruling:
    return Ruling()


# Rule → a mechanism taken out; with it the cells of the rule must turn red.
BROKEN: dict[str, tuple[object, str, object]] = {
    "site": (Access, "_ask", _allowed),
    "tag": (CameraPolicy, "ruling", _no_ruling),
    "denial": (CameraPolicy, "ruling", _no_ruling),
    "redaction": (CameraPolicy, "ruling", _no_ruling),
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("rule", RULES)
async def test_attack_05_a_product_without_the_mechanism_turns_the_cells_red(
    hub: TestHub, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    target, name, broken = BROKEN[rule]
    monkeypatch.setattr(target, name, broken)
    red = [way for way in WAYS if leaks(await told(hub, way, rule, ["pii:read"]), way, rule)]
    if rule == "site":
        assert {"/v1/cameras/{id}/state", "/v1/cameras/{id}/events", "subscribe camera:{id}"} <= set(red)
        return
    assert {"/v1/fleet/events", "recover events:site:{of}"} <= set(red)
    assert rule == "redaction" or {"/v1/fleet/state", "subscribe site:{of}", "subscribe fleet"} <= set(red)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("way", WAYS)
async def test_attack_05_what_a_rule_hides_leaves_by_no_way(hub: TestHub, way: str, rule: str) -> None:
    assert not leaks(await told(hub, way, rule, ["pii:read"]), way, rule)
