"""What a viewer may not see reaches them by no path, and cannot be asked for by a filter either
(check 25)."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.support.doubles.actor_handles import FakeActor, FakeDirectory
from tests.support.hub.hub import Dash, TestHub, running_hub
from tests.support.hub.real_policy import real_policy

PLATE, FACE, NAME = "CANARY-PLATE-7", "CANARY-FACE-8", "CANARY-NAME-9"
CANARIES = (PLATE, FACE, NAME)
TRACK = {
    "id": "t1",
    "label": "car",
    "score": 0.9,
    "box": [0, 0, 1, 1],
    "current_zones": [],
    "stationary": False,
    "sub_label": PLATE,
    "attributes": {
        "licensePlate": PLATE,
        "face_id": FACE,
        "ownerName": NAME,
        "note": f"seen {PLATE}",
        "colour": "red",
    },
}
DATA = {
    "text": f"{NAME} drives {PLATE}",
    "data": {
        "plate": PLATE,
        "faces": [{"face": FACE}],
        "who": {"name": NAME},
        "x" * 200 + "_plate": PLATE,
    },
}
EVENT: dict[str, Any] = {"type": "alarm.seen", "label": "car", "data": DATA}
RAW = json.dumps({"time": "never", "objects": [TRACK]}).encode()
PATHS = (
    "/v1/cameras/gate/state",
    "/v1/sites/north/state",
    "/v1/fleet/state",
    "/v1/cameras/gate/events",
    "/v1/sites/north/events",
    "/v1/fleet/events",
    "/v1/dead-letters/1",
    "/v1/dead-letters",
)
# Those that show tracks, events or raw items at all: whoever may see everything finds the canaries
# in them.
TELLING = (
    "camera:gate",
    "events:camera:gate",
    "events:site:north",
    "events:fleet",
    "history",
    "recovery",
    "/v1/cameras/gate/state",
    "/v1/cameras/gate/events",
    "/v1/sites/north/events",
    "/v1/fleet/events",
    "/v1/dead-letters/1",
    "ndjson /v1/cameras/gate/events",
    "ndjson /v1/sites/north/events",
    "ndjson /v1/fleet/events",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestHub]:
    actor = FakeActor("actor-1")
    async with running_hub(
        tmp_path_factory.mktemp("hub"),
        directory=FakeDirectory(lambda name: actor),
        decider=real_policy(),
    ) as running:
        await running.register("gate")
        await running.memory.dead_letters.add(
            "gate", "s1", "bad_time", "the time is none", RAW, 1_790_000_000_000_000
        )
        await show(running, 1)
        yield running


async def show(hub: TestHub, version: int) -> None:
    await hub.show(
        "gate",
        version,
        tracks=[TRACK],
        last_event={
            "id": "e",
            "type": "alarm.seen",
            "time": "t",
            "severity": "info",
            "label": "car",
        },
    )
    await hub.happen("gate", version, **EVENT)


async def seen(hub: TestHub, *scopes: str) -> dict[str, str]:
    """Path → everything that an operator of the whole fleet with these scopes gets by it."""
    token = hub.token("ada", roles=["operator", "viewer"], sites=["*"], scopes=list(scopes))
    found: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        headers = {"authorization": f"Bearer {token}"}
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{hub.port}", timeout=30, headers=headers)
        )
        for path in PATHS:
            found[path] = (await http.get(path)).raise_for_status().text
            if "events" in path:
                found[f"ndjson {path}"] = (
                    (await http.get(path, headers={"accept": "application/x-ndjson"}))
                    .raise_for_status()
                    .text
                )
        dash = await stack.enter_async_context(hub.dashboard(token))
        for channel in (
            "camera:gate",
            "site:north",
            "fleet",
            "events:camera:gate",
            "events:site:north",
            "events:fleet",
        ):
            found[channel] = json.dumps(await dash.ask("subscribe", channel=channel))
        found["history"] = json.dumps(
            await dash.ask("history", channel="events:camera:gate", limit=-1)
        )
        await dash.ask("unsubscribe", channel="events:camera:gate")
        recovered = await dash.ask(
            "subscribe", channel="events:camera:gate", recover=True, epoch="e1", offset=0
        )
        assert recovered["subscribe"]["publications"]
        found["recovery"] = json.dumps(recovered)
        await show(hub, hub_version(hub) + 1)
        await live(dash, found)
        boxes = await stack.enter_async_context(hub.dashboard(token))
        for projection in ("boxes", "summary"):
            found[projection] = json.dumps(
                await boxes.ask("subscribe", channel="camera:gate", data={"projection": projection})
            )
            await boxes.ask("unsubscribe", channel="camera:gate")
    return found


def hub_version(hub: TestHub) -> int:
    return len(hub.memory.database.events)


async def live(dash: Dash, found: dict[str, str]) -> None:
    """Add what is pushed, until every lane has shown something."""
    waiting = {
        "camera:gate",
        "site:north",
        "fleet",
        "events:camera:gate",
        "events:site:north",
        "events:fleet",
    }
    while waiting:
        push = await dash.push()
        found[push["channel"]] += json.dumps(push)
        waiting.discard(push["channel"])


@pytest.mark.asyncio(loop_scope="module")
async def test_check_25_a_viewer_without_the_scope_gets_no_canary_by_any_path(hub: TestHub) -> None:
    hidden = await seen(hub)
    assert {
        path for path, text in hidden.items() if any(canary in text for canary in CANARIES)
    } == set()
    assert {
        path
        for path in TELLING
        if not re.search(r'\{"redacted": ?"(faces|names|plates)"\}', hidden[path])
    } == set()


@pytest.mark.asyncio(loop_scope="module")
async def test_check_25_who_has_the_scope_gets_them_by_those_paths(hub: TestHub) -> None:
    """The test before would pass on a hub that shows nothing."""
    shown = await seen(hub, "pii:read")
    assert {
        path for path in TELLING if not all(canary in shown[path] for canary in CANARIES)
    } == set()
    assert not any("redacted" in text for text in shown.values())


@pytest.mark.asyncio(loop_scope="module")
async def test_check_25_each_class_has_a_scope_of_its_own(hub: TestHub) -> None:
    plates = await seen(hub, "plates:read", "names:read")
    for path in TELLING:
        assert FACE not in plates[path]
        assert (PLATE in plates[path]) == (path != "/v1/dead-letters/1"), path


@pytest.mark.asyncio(loop_scope="module")
async def test_check_25_the_hash_of_an_event_is_no_way_to_guess_a_plate(hub: TestHub) -> None:
    """Chained over everything else that is shown, a hash would say which guess is right."""
    digest = bytes(32).hex()
    hidden, shown = await seen(hub), await seen(hub, "pii:read")
    for path in (
        "events:camera:gate",
        "history",
        "/v1/fleet/events",
        "ndjson /v1/cameras/gate/events",
    ):
        assert digest in shown[path]
        assert digest not in hidden[path]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "path", ["/v1/cameras/gate/events", "/v1/sites/north/events", "/v1/fleet/events"]
)
async def test_check_25_a_filter_on_what_is_hidden_is_refused(hub: TestHub, path: str) -> None:
    async def ask(name: str, *scopes: str, **headers: str) -> tuple[int, dict[str, Any]]:
        token = hub.token("ada", sites=["*"], scopes=list(scopes))
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{hub.port}",
            headers={"authorization": f"Bearer {token}"} | headers,
        ) as http:
            answer = await http.get(path, params={name: PLATE})
            assert PLATE not in answer.text
            return answer.status_code, answer.json()

    for name in ("plate", "data.licensePlate", "sub_label", "face", "names"):
        status, problem = await ask(name)
        assert (status, problem["title"]) == (403, "forbidden"), name
        assert "redacted for you" in problem["detail"]
        assert (await ask(name, accept="application/x-ndjson"))[0] == 403
        assert (await ask(name, "pii:read"))[0] == 400, "nor is there such a filter for anybody"
    assert (await ask("colour"))[0] == 400


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "wish",
    [
        {"plate": PLATE},
        {"filter": {"plate": PLATE}},
        {"projection": "plates"},
        {"fields": ["plate"]},
    ],
)
@pytest.mark.parametrize("channel", ["camera:gate", "site:north", "events:site:north", "fleet"])
async def test_check_25_a_subscription_cannot_ask_for_it_either(
    hub: TestHub, channel: str, wish: dict[str, Any]
) -> None:
    async with hub.dashboard(hub.token("ada")) as dash:
        refused = await dash.ask("subscribe", channel=channel, data=wish)
        assert refused["error"]["code"] == 107
        assert PLATE not in json.dumps(refused)
