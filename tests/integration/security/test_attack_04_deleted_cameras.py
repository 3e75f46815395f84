"""A camera that was deleted keeps its site and its rules: what is stored of it is seen by nobody
who might not see it before, its id comes back nowhere else, and what belongs to no camera that was
ever registered is hidden (attack 4).

The ways to read it are those of its site and of the fleet; by its own name nobody reads a deleted
camera.
"""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from actors.core.messages.edge_protocol import SUBPROTOCOL_JSON
from actors.core.settings import RegistrySettings
from tests.support.hub.hub import TestHub, running_hub
from tests.support.hub.real_policy import real_policy

PLATE = "CANARY-PLATE-4"
NORTH = ("/v1/sites/north/events", "/v1/sites/north/events?order=newest&limit=1", "/v1/sites")
FLEET = ("/v1/fleet/events", "/v1/fleet/state")
# Who may see cameras of the north, but none with the tag `restricted`; who is elsewhere; and who
# may see all of it.
USERS: Mapping[str, dict[str, Any]] = {
    "viewer": {"roles": ["viewer"], "sites": ["north"]},
    "viewer of all": {"roles": ["viewer"], "sites": ["*"], "scopes": ["pii:read"]},
    "admin of the site": {"roles": ["admin"], "sites": ["north"], "scopes": ["pii:read"]},
    "guest": {"roles": ["guest"], "sites": ["north"]},
    "admin of another site": {
        "roles": ["admin"],
        "sites": ["south"],
        "scopes": ["pii:read", "restricted:read"],
    },
    "operator of all": {"roles": ["operator"], "sites": ["*"], "scopes": ["pii:read"]},
    "trusted": {"roles": ["admin"], "sites": ["*"], "scopes": ["pii:read", "restricted:read"]},
}
CLIENT = httpx.AsyncClient(timeout=30)
BLIND = ("viewer", "viewer of all", "admin of the site", "guest")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestHub]:
    """The vault, restricted, is deleted; then its last event comes, as its actor commits it. The
    ghost was never registered."""
    registry = RegistrySettings(auto_register=True)
    async with running_hub(
        tmp_path_factory.mktemp("hub"), decider=real_policy(), registry=registry
    ) as running:
        await running.register("gate")
        await running.register("vault", tags=["restricted"])
        await running.register("dock", site="south")
        for camera in ("gate", "vault", "ghost"):
            await running.show(camera, 1)
            await running.happen(
                camera, 1, type="alarm.seen", data={"data": {"plate": f"{PLATE}-{camera}"}}
            )
        await running.memory.dead_letters.add(
            "vault", "s1", "bad_input", "why", PLATE.encode(), 1_790_000_000_000_000
        )
        await running.memory.dead_letters.add(
            "ghost", "s1", "bad_input", "why", b"{}", 1_790_000_000_000_000
        )
        await delete(running, "vault")
        yield running
        await CLIENT.aclose()


def token(hub: TestHub, user: str) -> str:
    return hub.token(user.replace(" ", "-"), **USERS[user])


async def request(
    hub: TestHub, user: str, method: str, path: str, body: Any = None, **headers: str
) -> httpx.Response:
    headers["authorization"] = f"Bearer {token(hub, user)}"
    return await CLIENT.request(
        method, f"http://127.0.0.1:{hub.port}{path}", json=body, headers=headers
    )


async def delete(hub: TestHub, camera: str, user: str = "trusted") -> None:
    answer = await request(hub, user, "DELETE", f"/v1/cameras/{camera}", **{"if-match": "*"})
    assert answer.status_code == 204, answer.text


def offset(hub: TestHub, camera: str) -> int:
    """Of the camera's next event."""
    return 1 + sum(stored.row.camera == camera for stored in hub.memory.database.events)


async def read(hub: TestHub, user: str, *, past: bool) -> str:
    """All that this user is told of the north: by REST, streams, sockets, history and recovery
    (`past`), live."""
    paths = [
        *(NORTH if past else NORTH[-1:]),
        "/v1/sites/north/state",
        *(FLEET if USERS[user]["sites"] == ["*"] else ()),
    ]
    found = []
    for path in paths:
        for accept in ("application/json", *(["application/x-ndjson"] if "events" in path else [])):
            answer = await request(hub, user, "GET", path, accept=accept)
            assert answer.status_code == 200, answer.text
            found.append(answer.text)
    channels = [
        "site:north",
        "events:site:north",
        *(["fleet", "events:fleet"] if USERS[user]["sites"] == ["*"] else []),
    ]
    async with hub.dashboard(token(hub, user)) as dash:
        for channel in channels:
            asked = (
                {"recover": True, "offset": 0, "epoch": ""}
                if channel == "events:site:north"
                else {}
            )
            found.append(json.dumps(await dash.ask("subscribe", channel=channel, **asked)))
        if past:
            found.append(
                json.dumps(await dash.ask("history", channel="events:site:north", limit=-1))
            )
        for camera in (
            "vault",
            "gate",
        ):  # the last that the actor of a deleted camera commits, and what comes after it
            await hub.happen(
                camera,
                offset(hub, camera),
                type="alarm.seen",
                data={"data": {"plate": f"{PLATE}-{camera}"}},
            )
        last, seen = f'"gate/e1/{offset(hub, "gate") - 1}"', set[str]()
        while seen != {channel for channel in channels if channel.startswith("events")}:
            push = await dash.push()
            found.append(json.dumps(push))
            if last in found[-1]:
                seen.add(push["channel"])
    return "\n".join(found)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("user", BLIND)
async def test_attack_04_what_is_left_of_a_deleted_camera_is_hidden_as_it_was(
    hub: TestHub, user: str
) -> None:
    told = await read(hub, user, past=user != "guest")
    assert "gate" in told
    assert "vault" not in told
    assert (await request(hub, user, "GET", "/v1/cameras/vault/events")).status_code in (403, 404)


@pytest.mark.asyncio(loop_scope="module")
async def test_attack_04_who_might_see_it_sees_what_is_left_of_it_in_its_site_and_the_fleet(
    hub: TestHub,
) -> None:
    told = await read(hub, "trusted", past=True)
    assert told.count(f"{PLATE}-vault") >= 5, "the cells above are about something"
    assert "ghost" not in told, "of a camera that nobody registered nobody could say who may see it"


@pytest.mark.asyncio(loop_scope="module")
async def test_attack_04_dead_letters_of_a_deleted_camera_go_by_its_rules(hub: TestHub) -> None:
    for user, shown in (
        ("trusted", ["vault", "ghost"]),
        ("admin of the site", []),
        ("admin of another site", []),
    ):
        letters = (await request(hub, user, "GET", "/v1/dead-letters")).json()["dead_letters"]
        assert [letter["camera"] for letter in letters] == shown, user
        assert (await request(hub, user, "GET", "/v1/dead-letters/1")).status_code == (
            200 if shown else 403
        )
    letters = (await request(hub, "operator of all", "GET", "/v1/dead-letters")).json()[
        "dead_letters"
    ]
    assert [letter["camera"] for letter in letters] == ["ghost"], (
        "all sites, but not what is restricted"
    )


@pytest.mark.asyncio(loop_scope="module")
async def test_attack_04_a_deleted_id_comes_back_at_no_other_site_and_not_without_its_tags(
    hub: TestHub,
) -> None:
    refused = set[str]()
    for user, body in (
        ("admin of another site", {"camera": "vault", "site": "south"}),
        ("admin of another site", {"camera": "vault", "site": "south", "tags": ["restricted"]}),
        (
            "admin of another site",
            {"camera": "gate", "site": "south"},
        ),  # it is there: the answer is the same
        ("admin of the site", {"camera": "vault", "site": "north"}),
        ("admin of the site", {"camera": "vault", "site": "north", "tags": ["harmless"]}),
        ("trusted", {"camera": "vault", "site": "south"}),
    ):
        answer = await request(hub, user, "POST", "/v1/cameras", body)
        assert answer.status_code == 409, (user, body, answer.text)
        refused.add(answer.text.replace("gate", "vault"))
    assert len(refused) == 1, "it tells neither where the camera is nor that it was deleted"
    assert "another id" in refused.pop()
    told = await request(hub, "admin of another site", "GET", "/v1/sites/south/events")
    assert (told.status_code, told.json()["events"]) == (200, [])

    added = await request(
        hub, "trusted", "POST", "/v1/cameras", {"camera": "vault", "site": "north"}
    )
    assert (added.status_code, added.json()["tags"]) == (201, ["restricted"])
    assert "vault" not in await read(hub, "viewer of all", past=True)
    await delete(hub, "vault")


@pytest.mark.asyncio(loop_scope="module")
async def test_attack_04_an_event_of_a_camera_that_was_elsewhere_stays_hidden(hub: TestHub) -> None:
    """As they are stored by releases that let a deleted id come back at another site: at neither
    site, and under no name."""
    await hub.happen(
        "dock", 1, site="north", type="alarm.seen", data={"data": {"plate": f"{PLATE}-dock"}}
    )
    assert f"{PLATE}-dock" not in await read(hub, "trusted", past=True)
    for path in (
        "/v1/sites/south/events",
        "/v1/cameras/dock/events",
        "/v1/cameras/dock/events?after=0&epoch=e1",
    ):
        for accept in ("application/json", "application/x-ndjson"):
            answer = await request(hub, "trusted", "GET", path, accept=accept)
            assert answer.status_code == 200
            assert PLATE not in answer.text


@pytest.mark.asyncio(loop_scope="module")
async def test_attack_04_a_device_of_another_site_learns_and_gets_nothing_by_a_deleted_id(
    hub: TestHub,
) -> None:
    async def bye(site: str, camera: str) -> tuple[int, str]:
        shown = hub.token(f"device-{site}", typ="edge", roles=[], sites=[site])
        headers, protocols = {"authorization": f"Bearer {shown}"}, [Subprotocol(SUBPROTOCOL_JSON)]
        async with connect(
            f"ws://127.0.0.1:{hub.port}/v1/edge",
            subprotocols=protocols,
            additional_headers=headers,
            proxy=None,
        ) as socket:
            await socket.send(
                msgspec.json.encode({"type": "hello", "camera": camera, "session": "s1"}).decode()
            )
            while (told := msgspec.json.decode(await socket.recv()))["type"] != "bye":
                pass
            return told["code"], told["reason"].replace(camera, "…")

    assert await bye("south", "vault") == await bye("south", "gate"), "as for one that is there"
    assert (await bye("north", "vault"))[0] == 4504, "its own device is told that it was deleted"
    assert await hub.memory.registry.camera("vault") is None
