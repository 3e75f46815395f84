"""What policy says of one camera binds it wherever its data leaves: on walls, in events of its site
and the fleet, in history, recovery and REST; a denial, a class to hide and a rate alike (attack 5).

None of the cameras has a tag: the rules name them.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from policy.engine.modules import read_sources
from tests.support.hub.hub import Dash, Policy, TestHub, running_hub
from tests.support.hub.real_policy import real_policy

PLATE = "CANARY-PLATE-7"
RULES = """
deny contains "camera" if input.resource.camera == "vault"

redact contains "plates" if input.resource.camera == "till"

max_hz := 0.001 if input.resource.camera == "slow"

max_hz := 1 if {
	only_guest
	not input.resource.camera == "slow"
}
"""
CAMERAS = ("gate", "slow", "till", "vault")
WALLS = ("/v1/sites/north/state", "/v1/fleet/state")
EVENTS = ("/v1/sites/north/events", "/v1/fleet/events")


def modules() -> dict[str, str]:
    sources = read_sources()
    calm = "max_hz := 1 if only_guest"
    assert sum(text.count(calm) for text in sources.values()) == 1
    return {name: text.replace(calm, RULES) for name, text in sources.items()}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestHub]:
    async with running_hub(
        tmp_path_factory.mktemp("hub"), decider=real_policy(modules())
    ) as running:
        for camera in CAMERAS:
            await running.register(camera)
            await running.show(camera, 1)
            await running.happen(
                camera, 1, type="alarm.seen", data={"data": {"plate": f"{PLATE}-{camera}"}}
            )
        yield running


def anna(hub: TestHub, role: str = "viewer") -> str:
    return hub.token("anna", roles=[role], sites=["*"], scopes=["pii:read"])


def offset(hub: TestHub, camera: str) -> int:
    """Of the camera's next event."""
    return 1 + sum(stored.row.camera == camera for stored in hub.memory.database.events)


async def read(hub: TestHub, token: str, path: str) -> Any:
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=30) as http:
        answer = await http.get(f"http://127.0.0.1:{hub.port}{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()


async def channels(dash: Dash, *names: str) -> dict[str, Any]:
    return {name: (await dash.ask("subscribe", channel=name))["subscribe"] for name in names}


@pytest.mark.asyncio(loop_scope="module")
async def test_attack_05_a_camera_denied_by_its_name_is_on_no_wall_and_in_no_events(
    hub: TestHub,
) -> None:
    async with hub.dashboard(anna(hub)) as dash:
        told = [
            json.dumps(
                await channels(dash, "site:north", "fleet", "events:site:north", "events:fleet")
            )
        ]
        told.append(json.dumps(await dash.ask("history", channel="events:site:north", limit=-1)))
        await dash.ask("unsubscribe", channel="events:site:north")
        recovered = await dash.ask(
            "subscribe", channel="events:site:north", recover=True, offset=0, epoch=""
        )
        assert recovered["subscribe"]["recovered"]
        told.append(json.dumps(recovered))
        for camera in ("vault", "gate"):
            await hub.show(camera, 2)
            await hub.happen(camera, offset(hub, camera))
        seen = set[str]()
        while seen != {"site:north", "fleet", "events:site:north", "events:fleet"}:
            push = await dash.push()
            told.append(json.dumps(push))
            if "gate" in told[-1]:
                seen.add(push["channel"])
    for path in (*WALLS, *EVENTS):
        told.append(json.dumps(await read(hub, anna(hub), path)))
    assert all("gate" in text for text in told[:3])
    assert [text for text in told if "vault" in text] == []


@pytest.mark.asyncio(loop_scope="module")
async def test_attack_05_a_class_hidden_of_one_camera_is_hidden_in_events_of_its_site_and_the_fleet(
    hub: TestHub,
) -> None:
    async with hub.dashboard(anna(hub)) as dash:
        await channels(dash, "events:site:north", "events:fleet")
        told = [json.dumps(await dash.ask("history", channel="events:site:north", limit=-1))]
        await dash.ask("unsubscribe", channel="events:site:north")
        told.append(
            json.dumps(
                await dash.ask(
                    "subscribe", channel="events:site:north", recover=True, offset=0, epoch=""
                )
            )
        )
        for camera in ("till", "gate"):
            await hub.happen(
                camera,
                offset(hub, camera),
                type="alarm.seen",
                data={"data": {"plate": f"{PLATE}-{camera}"}},
            )
        live = ""
        while live.count(f"{PLATE}-gate") < 2:
            live += json.dumps(await dash.push())
    told += [live, *[json.dumps(await read(hub, anna(hub), path)) for path in EVENTS]]
    for text in told:
        assert f"{PLATE}-gate" in text, "the scope lets it be seen of other cameras"
        assert f"{PLATE}-till" not in text
        assert "till" in text


@pytest.mark.asyncio(loop_scope="module")
async def test_attack_05_a_rate_of_one_camera_holds_by_every_way(hub: TestHub) -> None:
    """Once in a thousand seconds: what was shown first is what everybody sees while this test
    runs."""

    def versions(told: Any) -> set[int]:
        if isinstance(told, dict):
            own = {told["version"]} if told.get("camera") == "slow" and "version" in told else set()
            return own.union(*(versions(value) for value in told.values()))
        return (
            set().union(*(versions(value) for value in told)) if isinstance(told, list) else set()
        )

    token = anna(hub)
    async with hub.dashboard(token) as dash:
        told: list[Any] = [await channels(dash, "camera:slow", "site:north", "fleet")]
        first = versions(told)
        assert len(first) == 1
        for version in range(10, 15):
            await hub.show("slow", version)
            await hub.show("gate", version)
            seen = set[str]()
            while seen != {"site:north", "fleet"}:
                push = await dash.push()
                told.append(push)
                if f'"version": {version}' in json.dumps(push):
                    seen.add(push["channel"])
            for path in (*WALLS, "/v1/cameras/slow/state"):
                told.append(await read(hub, token, path))
        for channel in ("camera:slow", "site:north", "fleet"):
            await dash.ask("unsubscribe", channel=channel)
        told.append(await channels(dash, "camera:slow", "site:north", "fleet"))
    assert versions(told) == first


@pytest.mark.asyncio(loop_scope="module")
async def test_attack_05_a_recovery_asks_what_history_asks(hub: TestHub) -> None:
    """A guest may look on from now, and read nothing of before: not by saying that it was there."""
    for channel in ("events:camera:gate", "events:site:north"):
        async with hub.dashboard(anna(hub, "guest")) as dash:
            assert "error" in await dash.ask("history", channel=channel, limit=-1)
            answer = (
                await dash.ask("subscribe", channel=channel, recover=True, offset=0, epoch="")
            )["subscribe"]
            assert answer["was_recovering"]
            assert not answer.get("recovered")
            assert not answer.get("publications")
        async with hub.dashboard(anna(hub)) as dash:
            assert (await dash.ask("subscribe", channel=channel, recover=True, offset=0, epoch=""))[
                "subscribe"
            ]["publications"]


@pytest.mark.asyncio
async def test_attack_05_a_changed_rule_of_one_camera_reaches_open_walls_and_events(
    tmp_path: Any,
) -> None:
    async with running_hub(tmp_path) as hub:
        assert isinstance(hub.policy, Policy)
        for camera in ("gate", "vault"):
            await hub.register(camera)
            await hub.show(camera, 1)
        async with hub.dashboard(hub.token("anna")) as dash:
            walls = await channels(dash, "events:site:north", "site:north")
            assert "vault" in json.dumps(walls)
            hub.policy.denied.add(("subscribe", "vault"))
            hub.hub.node.reviews.policy_changed("r2")
            whole = await dash.publication()
            assert [shown["camera"] for shown in whole["data"]["cameras"]] == ["gate"]
            await hub.happen("vault", 1)
            await hub.happen("gate", 1)
            while (push := await dash.push())["channel"] != "events:site:north":
                assert "vault" not in json.dumps(push)
            assert push["pub"]["data"]["camera"] == "gate"
