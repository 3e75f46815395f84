"""What policy hides comes out under no other name and by no trace (attack 9)."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from actors.core.camera.core import restore
from actors.core.camera.rendering import render
from actors.core.camera.state import view_of
from actors.core.errors import Conflict
from actors.core.messages.commits import Activation, Position
from actors.core.messages.event_data import AlarmData
from actors.core.messages.states import TrackView
from actors.core.settings import CameraSettings
from storage.ports.live import LiveState, LiveSummary
from tests.support.doubles.actor_handles import FakeActor, FakeDirectory
from tests.support.hub.hub import TestHub, running_hub
from tests.support.hub.real_policy import real_policy

# Names that no list of ours has a word for, in three languages, and the value again in every way
# that was tried.
DATA = {
    "text": "KA CANARY 77 kam an",
    "data": {
        "Kennzeichen": "KA CANARY 77",
        "immatriculation": "ka-canary-77",
        "fahrer": {"ka canary 77": True},
        "plate": "KA CANARY 77",
        "colour": "Ka Canary 77",
        "speed": 47114711,
        "personId": "47114711",
    },
}
EVENT: dict[str, Any] = {
    "type": "alarm.kacanary77",
    "label": "ka canary 77",
    "track": "KACANARY77",
    "data": DATA,
}
TRACK = {
    "id": "kacanary77",
    "label": "KA-CANARY-77",
    "score": 0.9,
    "box": [0, 0, 1, 1],
    "current_zones": [],
    "stationary": False,
    "sub_label": "KA CANARY 77",
    "attributes": {"matricula": "KA CANARY 77", "colour": "red"},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestHub]:
    async with running_hub(tmp_path_factory.mktemp("hub"), decider=real_policy()) as running:
        await running.register("gate", "yard")
        await running.register("vault", "safe", tags=["restricted"])
        await running.show("gate", 1, tracks=[TRACK], objects={"person": 1})
        for offset in (1, 2, 3):
            await running.happen("gate", offset, **EVENT)
            await running.happen("vault", offset)
        yield running


async def told(hub: TestHub, *scopes: str) -> str:
    """All that a viewer with these scopes is told of the gate."""
    token = hub.token("anna", scopes=list(scopes))
    found = []
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{hub.port}",
        headers={"authorization": f"Bearer {token}"},
        timeout=30,
    ) as http:
        for path in (
            "cameras/gate/state",
            "cameras/gate/events",
            "sites/north/events",
            "fleet/events",
        ):
            found.append((await http.get(f"/v1/{path}")).raise_for_status().text)
    async with hub.dashboard(token) as dash:
        for channel in ("camera:gate", "events:camera:gate", "events:site:north"):
            found.append(
                json.dumps(
                    await dash.ask(
                        "subscribe",
                        channel=channel,
                        recover=channel.startswith("events"),
                        offset=0,
                        epoch="",
                    )
                )
            )
        found.append(json.dumps(await dash.ask("history", channel="events:camera:gate", limit=-1)))
    return "\n".join(found).casefold()


@pytest.mark.asyncio(loop_scope="module")
async def test_attack_09_a_hidden_value_comes_out_under_no_name_and_in_no_form(
    hub: TestHub,
) -> None:
    hidden, shown = await told(hub), await told(hub, "pii:read")
    for form in ("canary", "47114711"):
        assert form in shown
        assert form not in hidden
    for name in ("kennzeichen", "immatriculation", "fahrer", "matricula"):
        assert name in shown
        assert name not in hidden
    assert '"red"' in hidden


@pytest.mark.asyncio(loop_scope="module")
async def test_attack_09_a_filter_by_type_tells_nothing_that_is_hidden(hub: TestHub) -> None:
    token = hub.token("anna")
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=30) as http:
        for path in ("cameras/gate/events", "sites/north/events", "fleet/events"):
            answer = await http.get(
                f"http://127.0.0.1:{hub.port}/v1/{path}", params={"type": "alarm.kacanary77"}
            )
            assert answer.json()["events"] == []


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("type", "alarm.kacanary77", "alarm.kacanary78"),
        ("label", "ka canary 77", "ka canary 78"),
        ("track", "KACANARY77", "KACANARY78"),
    ],
)
async def test_attack_09_a_right_guess_is_answered_as_a_wrong_one(
    hub: TestHub, name: str, right: str, wrong: str
) -> None:
    """By no event, and by no cursor, epoch or line either; whole, by pages of either order,
    streamed."""
    token = hub.token("anna")
    asked: list[dict[str, str]] = [
        {},
        {"limit": "1"},
        {"limit": "1", "order": "newest"},
        {"limit": "1", "after": "0~~~-1"},
    ]
    asked += [
        {"limit": "2", "before": "250000000000000000~~~-1"},
        {"limit": "2", "severity": "info"},
    ]
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=30) as http:
        for path in ("cameras/gate/events", "sites/north/events", "fleet/events"):
            for query in asked:
                for accept in ("application/json", "application/x-ndjson"):
                    told = []
                    for guess in (right, wrong):
                        url, headers = f"http://127.0.0.1:{hub.port}/v1/{path}", {"accept": accept}
                        answer = await http.get(url, params={**query, name: guess}, headers=headers)
                        told.append((answer.status_code, answer.text))
                    assert told[0] == told[1], (path, query, accept)


@pytest.mark.asyncio(loop_scope="module")
async def test_attack_09_pages_with_a_filter_have_all_that_is_seen_and_a_cursor_to_no_other(
    hub: TestHub,
) -> None:
    for offset in (4, 6, 9):
        await hub.happen("yard", offset, label="ka otter 77", data={"data": {"colour": "red"}})
    for offset in (5, 7, 8, 10, 11):
        await hub.happen(
            "yard", offset, label="ka otter 77", data={"data": {"plate": "KA OTTER 77"}}
        )

    async def walk(path: str, way: str, place: str, **chosen: str) -> tuple[list[int], list[str]]:
        """The offsets of each page after the other, and the cursors."""
        found, cursors, cursor = list[int](), list[str](), chosen.pop("first", "")
        async with httpx.AsyncClient(
            headers={"authorization": f"Bearer {hub.token('anna')}"}, timeout=30
        ) as http:
            while len(cursors) < 9:
                params = {"label": "ka otter 77", **chosen} | ({place: cursor} if cursor else {})
                page = (
                    (await http.get(f"http://127.0.0.1:{hub.port}/v1/{path}", params=params))
                    .raise_for_status()
                    .json()
                )
                offsets = [event["offset"] for event in page["events"]]
                found += offsets if place == "after" else offsets[::-1]
                if (cursor := page.get(way, "")) == "":
                    break
                cursors.append(cursor.rsplit("~", 1)[1])
        return found, cursors

    for path in ("cameras/yard/events", "sites/north/events"):
        assert await walk(path, "next", "after", limit="1", order="oldest") == (
            [4, 6, 9],
            ["4", "6"],
        ), path
        assert await walk(path, "next", "after", limit="2", order="newest") == ([9, 6, 4], ["6"]), (
            path
        )
        first = "250000000000000000~~~-1"
        assert await walk(path, "previous", "before", limit="2", order="oldest", first=first) == (
            [9, 6, 4],
            ["6"],
        ), path


@pytest.mark.asyncio(loop_scope="module")
async def test_attack_09_the_list_of_sites_counts_no_hidden_camera(hub: TestHub) -> None:
    async def count(*scopes: str) -> int:
        headers = {"authorization": f"Bearer {hub.token('anna', scopes=list(scopes))}"}
        async with httpx.AsyncClient(headers=headers, timeout=30) as http:
            (site,) = (await http.get(f"http://127.0.0.1:{hub.port}/v1/sites")).json()["sites"]
            return int(site["cameras"])

    assert await count() == 2
    assert await count("restricted:read") == 4


def rendered() -> tuple[bytes, bytes]:
    """(state, summary) as an actor makes them, of a track whose label, and with it two counts, says
    what its attribute says."""
    core = restore(
        Activation("gate", "north", 1, Position("", 0, "e1", 0, bytes(32)), None, b"{}", 1),
        owner="a",
        settings=CameraSettings(),
        now_us=0,
    )
    core.journal.moment("s1", 1, time_us=0, stream_us=0, received_us=0)
    core.journal.emit(
        "alarm.kacanary77",
        data=AlarmData(data={"plate": "KA CANARY 77"}),
        label="ka canary 77",
        level="critical",
    )
    moment = view_of(core)
    moment.tracks = [
        TrackView(
            "t1",
            "KA-CANARY-77",
            0.9,
            (0, 0, 1, 1),
            [],
            False,
            attributes={"matricula": "KA CANARY 77", "colour": "red"},
        )
    ]
    moment.objects, moment.occupancy = {"KA-CANARY-77": 1, "car": 2}, {"yard": {"KA-CANARY-77": 1}}
    return render(moment, camera="gate", site="north", generation=1, version=9, now_us=0)


@pytest.mark.asyncio(loop_scope="module")
async def test_attack_09_walls_say_nothing_that_attributes_of_a_track_or_an_alarm_hide(
    tmp_path: Any,
) -> None:
    state, summary = rendered()
    async with running_hub(tmp_path, decider=real_policy()) as hub:
        await hub.register("gate")
        await hub.memory.publisher.publish(
            [LiveState("north", "gate", 1, 9, 0, state)],
            [],
            {"north": [LiveSummary("gate", 1, 9, 0, summary)]},
            {},
        )

        async def walls(*scopes: str) -> str:
            token, found = hub.token("anna", scopes=list(scopes)), []
            async with httpx.AsyncClient(
                headers={"authorization": f"Bearer {token}"}, timeout=30
            ) as http:
                for path in ("sites/north/state", "fleet/state", "cameras/gate/state"):
                    found.append(
                        (await http.get(f"http://127.0.0.1:{hub.port}/v1/{path}"))
                        .raise_for_status()
                        .text
                    )
            async with hub.dashboard(token) as dash:
                found += [
                    json.dumps(await dash.ask("subscribe", channel=channel))
                    for channel in ("site:north", "fleet", "camera:gate")
                ]
                await hub.memory.publisher.publish(
                    [], [], {"north": [LiveSummary("gate", 1, 10 + len(scopes), 0, summary)]}, {}
                )
                found.append(json.dumps([await dash.push(), await dash.push()]))
            return "\n".join(found).casefold()

        hidden, shown = await walls(), await walls("pii:read")
        assert shown.count("ka-canary-77") >= 7
        assert "alarm.kacanary77" in shown
        assert "canary" not in hidden
        assert "echoes" not in hidden
        assert hidden.count('"car"') >= 7, "what says nothing hidden is shown"


@pytest.mark.asyncio
async def test_attack_09_why_a_letter_was_refused_is_hidden_with_its_item(tmp_path: Path) -> None:
    actor = FakeActor("actor-1")
    async with running_hub(
        tmp_path, decider=real_policy(), directory=FakeDirectory(lambda name: actor)
    ) as hub:
        await hub.register("gate")
        await hub.memory.dead_letters.add(
            "gate",
            "s1",
            "bad_input",
            "no number: KA CANARY 77",
            b"KA CANARY 77",
            1_790_000_000_000_000,
        )
        actor.refusal = Conflict(
            "dead letter 1 is still refused: bad_input, no number: KA CANARY 77"
        )
        for scopes, shown in (([], False), (["pii:read"], True)):
            headers = {"authorization": f"Bearer {hub.token(roles=['operator'], scopes=scopes)}"}
            async with httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{hub.port}", headers=headers, timeout=30
            ) as http:
                letters = [
                    (await http.get(path)).json()
                    for path in ("/v1/dead-letters", "/v1/dead-letters/1")
                ]
                for letter in (letters[0]["dead_letters"][0], letters[1]):
                    assert letter["detail"] == (
                        "no number: KA CANARY 77"
                        if shown
                        else {"redacted": letters[1]["raw"]["redacted"]}
                    )
                refused = await http.post("/v1/dead-letters/1/replay")
                assert (refused.status_code, "KA CANARY 77" in refused.text) == (409, shown)
