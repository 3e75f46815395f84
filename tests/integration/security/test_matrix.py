"""Operation x role x place, through the real sockets and REST of a hub under the packaged policy
(check 21).

The table is written down here and asks nobody: each cell is compared with what the engine decides
and with what the hub did.
"""

import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from actors.core.messages.edge_protocol import SUBPROTOCOL_JSON
from actors.core.settings import RegistrySettings
from policy.decision import inputs
from policy.decision.model import DecisionInput
from policy.engine.modules import read_sources
from policy.engine.rego_engine import RegoEngine
from policy.identity.principal import Principal
from tests.support.doubles.actor_handles import FakeActor, FakeDirectory
from tests.support.hub import more_routes, privacy_routes
from tests.support.hub.hub import Dash, TestHub, running_hub
from tests.support.hub.real_policy import real_policy

# An operation, what it is done to, and who may. `ingester` is a service's token, `edge` a device's,
# `nobody` a user's without a role. Presence and publish exist for no channel of Eyrie's own: nobody
# gets them, whatever policy says.
TABLE = """
connect              deployment  guest viewer operator admin privacy
refresh              deployment  guest viewer operator admin privacy
subscribe.camera     camera      guest viewer operator admin privacy
subscribe.events     camera      guest viewer operator admin privacy
subscribe.wall       site        guest viewer operator admin privacy
subscribe.site       site        guest viewer operator admin privacy
subscribe.fleet      fleet       guest viewer operator admin privacy
subscribe.all        fleet       guest viewer operator admin privacy
history              camera      viewer operator admin privacy
presence             camera      -
publish              camera      -
read.state           camera      guest viewer operator admin privacy
read.wall            site        guest viewer operator admin privacy
read.fleet           fleet       guest viewer operator admin privacy
read.events          camera      viewer operator admin privacy
read.events.site     site        viewer operator admin privacy
read.events.fleet    fleet       viewer operator admin privacy
read.camera          camera      viewer operator admin privacy
read.scene           camera      viewer operator admin privacy
read.site            site        viewer operator admin privacy
change.camera        camera      admin
change.scene         camera      admin
reset.counts         camera      admin
add.camera           camera      admin
change.site          site        admin
letter.read          camera      operator admin
letter.replay        camera      operator admin
letter.discard       camera      operator admin
policy.read          deployment  privacy
policy.change        deployment  privacy
policy.log           deployment  privacy
audit.read           deployment  privacy
token.revoke         deployment  privacy
ingest.socket        camera      ingester edge
ingest.http          camera      ingester edge
"""

ROLES = ("guest", "viewer", "operator", "admin", "privacy", "ingester", "edge", "nobody")
# What a token covers and what is asked for: the same site, another one, and everything.
PLACES = {
    "own": (("north",), "north"),
    "other": (("north",), "south"),
    "everywhere": (("*",), "south"),
}
CAMERAS = {"north": "gate", "south": "dock"}
CHANNELS = {
    "subscribe.camera": "camera:{camera}",
    "subscribe.events": "events:camera:{camera}",
    "subscribe.wall": "site:{site}",
    "subscribe.site": "events:site:{site}",
    "subscribe.fleet": "fleet",
    "subscribe.all": "events:fleet",
}
NO_REVISION = "/v1/policy/revisions/" + "0" * 64
# Method, path, body and the status of who may.
REST: dict[str, tuple[str, str, Any, int]] = {
    "read.state": ("GET", "/v1/cameras/{camera}/state", None, 200),
    "read.wall": ("GET", "/v1/sites/{site}/state", None, 200),
    "read.fleet": ("GET", "/v1/fleet/state", None, 200),
    "read.events": ("GET", "/v1/cameras/{camera}/events", None, 200),
    "read.events.site": ("GET", "/v1/sites/{site}/events", None, 200),
    "read.events.fleet": ("GET", "/v1/fleet/events", None, 200),
    "read.camera": ("GET", "/v1/cameras/{camera}", None, 200),
    "read.scene": ("GET", "/v1/cameras/{camera}/scene", None, 200),
    "read.site": ("GET", "/v1/sites/{site}", None, 200),
    "change.camera": ("PUT", "/v1/cameras/{camera}", {"name": "changed"}, 200),
    "change.scene": ("PUT", "/v1/cameras/{camera}/scene", {}, 200),
    "reset.counts": ("POST", "/v1/cameras/{camera}/counts/reset", {}, 200),
    "add.camera": ("POST", "/v1/cameras", {"camera": "fresh-{n}", "site": "{site}"}, 201),
    "change.site": ("PUT", "/v1/sites/{site}", {"name": "changed"}, 200),
    "letter.read": ("GET", "/v1/dead-letters/{letter}", None, 200),
    "letter.replay": ("POST", "/v1/dead-letters/{letter}/replay", {}, 200),
    "letter.discard": ("POST", "/v1/dead-letters/{letter}/discard", {"reason": "a test"}, 200),
    "policy.read": ("GET", "/v1/policy", None, 200),
    "policy.change": ("POST", f"{NO_REVISION}/activate", {}, 404),  # nothing is changed by it
    "policy.log": ("GET", "/v1/policy/decisions", None, 200),
    "audit.read": ("GET", "/v1/audit", None, 200),
    "token.revoke": ("POST", "/v1/revocations", {"jti": "of-nobody"}, 201),
    "ingest.http": (
        "POST",
        "/v1/cameras/{camera}/observations",
        {
            "session": "s-{n}",
            "first_seq": 1,
            "observations": [{"time": "2026-03-01T12:00:00Z", "objects": []}],
        },
        200,
    ),
} | more_routes.REST
# Operation → what policy is asked.
ACTIONS = {
    "read.state": "subscribe",
    "read.wall": "subscribe",
    "read.fleet": "subscribe",
    "read.events": "history",
    "read.events.site": "history",
    "read.events.fleet": "history",
    "read.camera": "registry.read",
    "read.scene": "registry.read",
    "read.site": "registry.read",
    "change.camera": "registry.write",
    "change.scene": "registry.write",
    "reset.counts": "registry.write",
    "alert.act": "alert.operate",
    "add.camera": "register",
    "change.site": "registry.write",
    "letter.read": "deadletter.read",
    "letter.replay": "deadletter.replay",
    "letter.discard": "deadletter.discard",
    "policy.log": "policy.read",
    "ingest.socket": "ingest",
    "ingest.http": "ingest",
    "refresh": "connect",
}
NOT_OF_THE_POLICY = ("presence", "publish")
# Policy lets these register a camera too, which they do by sending it: REST takes a user's token
# alone.
BY_SENDING = {"add.camera": ("ingester", "edge")}


@dataclass(frozen=True)
class Cell:
    operation: str
    kind: str
    role: str
    place: str
    allowed: bool


def cells() -> list[Cell]:
    """Every operation by every role in every place, with what must come out."""
    made = []
    for line in (TABLE.strip() + more_routes.MATRIX).strip().splitlines():
        operation, kind, who = line.split(maxsplit=2)
        places = (
            ("everywhere",)
            if kind == "deployment"
            else ("other", "everywhere")
            if kind == "fleet"
            else tuple(PLACES)
        )
        made += [
            Cell(operation, kind, role, place, role in who.split() and place != "other")
            for role in ROLES
            for place in places
        ]
    return made


def principal(role: str, sites: tuple[str, ...]) -> Principal:
    typ = {"ingester": "service", "edge": "edge"}.get(role, "user")
    roles = () if role == "nobody" else (role,)
    return Principal(role, f"{role}-1", typ, 0, 1, roles, sites, None, ())


def question(cell: Cell) -> DecisionInput:
    """What the engine is asked about a cell."""
    sites, site = PLACES[cell.place]
    who = principal(cell.role, sites)
    action = ACTIONS.get(cell.operation, cell.operation.partition(".")[0])
    if cell.kind == "deployment":
        if action == "connect":
            return inputs.connect(who, to="dashboard")
        named = cell.operation if action in ("token", "audit", "policy", "privacy") else action
        return inputs.on_system(named, who, privacy_routes.KINDS.get(action, "policy"))
    if cell.kind == "fleet":
        return inputs.on_fleet(action, who)
    return (
        inputs.on_camera(action, who, CAMERAS[site], site=site)
        if cell.kind == "camera"
        else inputs.on_site(action, who, site)
    )


class Asker:
    """One role with one token, at the hub."""

    def __init__(
        self, hub: TestHub, token: str, http: httpx.AsyncClient, dash: Dash | None
    ) -> None:
        self.hub, self.token, self.http, self.dash = hub, token, http, dash
        self.numbers = itertools.count(1)

    async def allowed(self, cell: Cell) -> bool:
        """Do it; whether the hub let it happen. Anything but the answer of who may or a refusal is
        an error of the test."""
        _, site = PLACES[cell.place]
        if cell.operation in REST:
            return await self._rest(cell, site)
        if cell.operation == "ingest.socket":
            return await self._hello(CAMERAS[site])
        if self.dash is None:
            return False  # it was refused at the connect, so nothing of a dashboard's can be asked
        return cell.operation == "connect" or await self._dashboard(self.dash, cell.operation, site)

    async def _rest(self, cell: Cell, site: str) -> bool:
        method, path, body, good = REST[cell.operation]
        values = {
            "{site}": site,
            "{camera}": CAMERAS[site],
            "{n}": f"{cell.role}-{next(self.numbers)}",
        }
        if "{letter}" in path:
            letters = self.hub.memory.dead_letters
            values["{letter}"] = str(
                await letters.add(
                    CAMERAS[site], "s", "bad_input", "why", b"{}", 1_790_000_000_000_000
                )
            )
        text = json.dumps(body)
        for name, value in values.items():
            path, text = path.replace(name, value), text.replace(name, value)
        answer = await self.http.request(method, path, content=None if body is None else text)
        assert answer.status_code in (good, 401, 403), (cell, answer.text)
        return answer.status_code == good

    async def _dashboard(self, dash: Dash, operation: str, site: str) -> bool:
        if operation == "refresh":
            return "error" not in await dash.ask("refresh", token=self.token)
        channel = (
            CHANNELS.get(operation, CHANNELS["subscribe.events"])
            .replace("{site}", site)
            .replace("{camera}", CAMERAS[site])
        )
        if operation in CHANNELS:
            answer = await dash.ask("subscribe", channel=channel)
        elif operation == "publish":
            answer = await dash.ask("publish", channel=channel, data={})
        else:
            await dash.ask("subscribe", channel=channel)
            answer = await dash.ask(operation, channel=channel)
        if operation != "refresh":
            await dash.ask("unsubscribe", channel=channel)
        assert "error" not in answer or answer["error"]["code"] in (103, 108), (operation, answer)
        return "error" not in answer

    async def _hello(self, camera: str) -> bool:
        headers = {"authorization": f"Bearer {self.token}"}
        url = f"ws://127.0.0.1:{self.hub.port}/v1/edge"
        async with connect(
            url,
            subprotocols=[SUBPROTOCOL_JSON],  # type: ignore[list-item]
            additional_headers=headers,
            compression=None,
            proxy=None,
        ) as socket:
            session = f"s-{camera}-{next(self.numbers)}"
            await socket.send(json.dumps({"type": "hello", "camera": camera, "session": session}))
            told = json.loads(await socket.recv())
            assert told["type"] == "welcome" or told["code"] in (4501, 4503), told
            return bool(told["type"] == "welcome")


@asynccontextmanager
async def askers(hub: TestHub, role: str) -> AsyncIterator[dict[tuple[str, ...], Asker]]:
    """The role with a token for the north, and with one for everything."""
    async with AsyncExitStack() as stack:
        made: dict[tuple[str, ...], Asker] = {}
        for sites in sorted({sites for sites, _ in PLACES.values()}):
            who = principal(role, sites)
            token = hub.token(role, typ=who.typ, roles=list(who.roles), sites=list(sites))
            headers = {
                "authorization": f"Bearer {token}",
                "if-match": "*",
                "content-type": "application/json",
            }
            http = await stack.enter_async_context(
                httpx.AsyncClient(
                    base_url=f"http://127.0.0.1:{hub.port}",
                    timeout=30,
                    headers=headers,
                    trust_env=False,
                )
            )
            dash: Dash | None = None
            with contextlib.suppress(ConnectionClosed):
                dash = await stack.enter_async_context(hub.dashboard(token))
            made[sites] = Asker(hub, token, http, dash)
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestHub]:
    actor = FakeActor("actor-1")
    registry = RegistrySettings(auto_register=False)
    async with running_hub(
        tmp_path_factory.mktemp("hub"),
        directory=FakeDirectory(lambda name: actor),
        decider=real_policy(),
        registry=registry,
    ) as running:
        for site, camera in CAMERAS.items():
            await running.register(camera, site=site)
            await running.happen(camera, 1, site=site)
        yield running


def test_check_21_the_table_has_every_operation_role_and_place() -> None:
    made = cells()
    assert len(made) == len(set(made)) >= 200
    assert {cell.operation for cell in made} == {
        *REST,
        *CHANNELS,
        "connect",
        "refresh",
        "history",
        "ingest.socket",
        *NOT_OF_THE_POLICY,
    }
    assert 0.1 < sum(cell.allowed for cell in made) / len(made) < 0.5


def test_check_21_the_engine_decides_as_the_table_says() -> None:
    asked = [cell for cell in cells() if cell.operation not in NOT_OF_THE_POLICY]
    engine = RegoEngine(read_sources())
    made = [engine.decide([question(cell)])[0] for cell in asked]  # a batch has a deadline
    expected = [
        cell.allowed or (cell.role in BY_SENDING.get(cell.operation, ()) and cell.place != "other")
        for cell in asked
    ]
    assert [
        cell
        for cell, decision, allow in zip(asked, made, expected, strict=True)
        if decision.allow != allow
    ] == []


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("role", ROLES)
async def test_check_21_sockets_and_rest_do_as_the_table_says(hub: TestHub, role: str) -> None:
    async with askers(hub, role) as made:
        wrong = [
            cell
            for cell in cells()
            if cell.role == role and await made[PLACES[cell.place][0]].allowed(cell) != cell.allowed
        ]
    assert wrong == []


BROKEN: dict[str, Callable[[str], str]] = {
    "everybody may write": lambda rego: rego.replace(
        '"guest": looking', '"guest": (looking | running)'
    ),
    "sites do not count": lambda rego: rego.replace(
        "site_covered if input.resource.site in input.subject.sites", "site_covered := true"
    ),
    "edges may watch": lambda rego: rego.replace(
        'input.action in {"connect", "ingest", "register"}', "true"
    ),
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_a_policy_that_gives_more_away_does_not_fit_the_table(change: Callable[[str], str]) -> None:
    sources = read_sources()
    broken = {name: change(text) for name, text in sources.items()}
    assert broken != sources
    asked = [cell for cell in cells() if cell.operation not in NOT_OF_THE_POLICY]
    made = RegoEngine(broken).decide([question(cell) for cell in asked])
    before = RegoEngine(sources).decide([question(cell) for cell in asked])
    given = [
        cell
        for cell, old, new in zip(asked, before, made, strict=True)
        if new.allow and not old.allow
    ]
    assert given
    assert not any(cell.allowed for cell in given)
