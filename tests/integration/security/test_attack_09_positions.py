"""What a hub tells of the order of events says nothing of events that are hidden: positions,
histories, recoveries, ticks of walls, cursors (attack 9). The same is done with and without hidden
events, and what is told must be the same."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub.fanout.seen_positions import MARK
from hub.rest.history.event_filters import key_of_text
from tests.support.hub.hub import Dash, TestHub, running_hub
from tests.support.hub.real_policy import real_policy

SITE = "events:site:north"


class Story:
    """Events of a gate that a viewer sees, each followed by `hidden` events of a vault that they do
    not."""

    def __init__(self, hub: TestHub, hidden: int) -> None:
        self.hub = hub
        self.hidden = hidden
        self.happened = {"gate": 0, "vault": 0}

    async def begin(self) -> None:
        await self.hub.register("gate")
        await self.hub.register("vault", tags=["restricted"])

    async def go_on(self, events: int) -> None:
        for _ in range(events):
            for camera in ("gate", *["vault"] * self.hidden):
                self.happened[camera] += 1
                second = self.happened["gate"]
                await self.hub.happen(
                    camera,
                    self.happened[camera],
                    received=f"2026-03-01T12:{second // 60:02}:{second % 60:02}.010000Z",
                )


def plain(told: Any) -> str:
    """Without the name of the stream, which is another one each time."""
    text = json.dumps(told)
    epoch = told.get("epoch", "")
    return text.replace(epoch, "E") if epoch else text


def offsets(told: dict[str, Any]) -> list[int]:
    return [publication["data"]["offset"] for publication in told.get("publications", ())]


async def asked(dash: Dash, method: str, **fields: Any) -> dict[str, Any]:
    answer = await dash.ask(method, channel=SITE, **fields)
    return dict(answer.get(method, answer))


async def positions(folder: Path, hidden: int) -> list[str]:
    """All that a viewer is told of one story, by a socket."""
    async with running_hub(folder, decider=real_policy()) as hub:
        story = Story(hub, hidden)
        await story.begin()
        told: list[str] = []
        async with hub.dashboard() as dash:
            empty = await asked(dash, "subscribe")
            told.append(json.dumps({**empty, "epoch": ""}))
            await story.go_on(3)
            live = [await dash.push() for _ in range(3)]
            told += [json.dumps(push) for push in live]
            place = live[0]["pub"]["offset"]
            for limit, reverse in ((0, False), (2, False), (2, True), (-1, False)):
                told.append(plain(await asked(dash, "history", limit=limit, reverse=reverse)))
            found = await asked(dash, "history", limit=-1)
            epoch = found["epoch"]
            assert epoch.endswith(MARK)
            assert offsets(found) == [1, 2, 3]
            assert found["offset"] == live[-1]["pub"]["offset"]
            for limit, reverse, expected in ((1, False, [2]), (-1, False, [2, 3]), (-1, True, [])):
                found = await asked(
                    dash,
                    "history",
                    limit=limit,
                    reverse=reverse,
                    since={"offset": place, "epoch": epoch},
                )
                assert offsets(found) == expected
                told.append(plain(found))
            told.append(
                json.dumps(
                    await asked(
                        dash, "history", limit=1, since={"offset": place + 1, "epoch": epoch}
                    )
                )
            )
            await asked(dash, "unsubscribe")
            await story.go_on(2)
            for offset, of, expected in (
                (place, epoch, [2, 3, 4, 5]),
                (0, epoch, [1, 2, 3, 4, 5]),
                (0, "", [1, 2, 3, 4, 5]),
            ):
                found = await asked(dash, "subscribe", recover=True, offset=offset, epoch=of)
                assert found["recovered"]
                assert offsets(found) == expected
                told.append(plain(found))
                await asked(dash, "unsubscribe")
            for offset, of in (
                (place + 1, epoch),
                (1, epoch),
                (1, epoch.removesuffix(MARK)),
                (1, ""),
                (place, "another"),
            ):
                found = await asked(dash, "subscribe", recover=True, offset=offset, epoch=of)
                assert not found.get("recovered"), (offset, of)
                told.append(plain(found))
                await asked(dash, "unsubscribe")
        return told


@pytest.mark.asyncio
async def test_attack_09_positions_in_the_events_of_a_site_count_no_hidden_event(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    without, some, many = [
        await positions(tmp_path_factory.mktemp("hub"), hidden) for hidden in (0, 1, 90)
    ]
    assert without == some == many


@pytest.mark.asyncio
async def test_attack_09_who_sees_every_camera_keeps_the_offsets_of_the_site(
    tmp_path: Path,
) -> None:
    async with running_hub(tmp_path, decider=real_policy()) as hub:
        story = Story(hub, 1)
        await story.begin()
        async with hub.dashboard(hub.token(scopes=["restricted:read"])) as dash:
            await asked(dash, "subscribe")
            await story.go_on(2)
            assert [(await dash.publication())["offset"] for _ in range(4)] == [1, 2, 3, 4]


@pytest.mark.asyncio
async def test_attack_09_ticks_of_a_wall_count_no_hidden_camera(tmp_path: Path) -> None:
    async with running_hub(tmp_path, decider=real_policy()) as hub:
        await Story(hub, 0).begin()
        for camera in ("gate", "vault"):
            await hub.show(camera, 1)
        async with hub.dashboard(hub.token(scopes=["restricted:read"])) as insider:
            await insider.ask("subscribe", channel="site:north")
            for turn, role in (
                (10, "viewer"),
                (20, "guest"),
            ):  # a guest gets whole walls at the policy's rate
                async with hub.dashboard(hub.token("bob", roles=[role])) as dash:
                    first = (await dash.ask("subscribe", channel="site:north"))["subscribe"]
                    for version in range(turn, turn + 8):
                        await hub.show("vault", version)
                        await insider.push()
                    await dash.ask(
                        "history", channel="site:north"
                    )  # whatever was sent before has come when this is answered
                    assert dash.pushes == [], "nothing that they see has changed"
                    await hub.show("gate", turn)
                    push = await dash.push()
                    assert "vault" not in json.dumps(push)
                    assert [shown["camera"] for shown in push["pub"]["data"]["cameras"]] == ["gate"]
                    assert push["pub"]["offset"] - first.get("offset", 0) >= 300, (
                        "milliseconds, not the eight ticks of the vault"
                    )
                    while dash.pushes:
                        assert "vault" not in json.dumps(dash.pushes.pop())


@pytest.mark.asyncio
@pytest.mark.parametrize("hidden", [1, 7])
async def test_attack_09_a_cursor_is_the_place_of_an_event_that_is_seen(
    tmp_path: Path, hidden: int
) -> None:
    async with running_hub(tmp_path, decider=real_policy()) as hub:
        story = Story(hub, hidden)
        await story.begin()
        await story.go_on(5)
        await hub.register("cellar", site="south", tags=["restricted"])
        await hub.happen("cellar", 1, site="south")
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{hub.port}",
            headers={"authorization": f"Bearer {hub.token()}"},
            timeout=30,
        ) as http:
            for path in ("/v1/sites/north/events", "/v1/fleet/events"):
                for order in ("oldest", "newest"):
                    seen: list[int] = []
                    after = ""
                    while True:
                        page = (
                            await http.get(
                                path,
                                params={
                                    "limit": "2",
                                    "order": order,
                                    **({"after": after} if after else {}),
                                },
                            )
                        ).json()
                        for cursor in (page.get("next"), page.get("previous")):
                            if cursor:
                                assert key_of_text(cursor)[1] == "gate"
                        seen += [event["offset"] for event in page["events"]]
                        if not page.get("next"):
                            break
                        assert len(page["events"]) == 2, (
                            "a page that goes on is full: hidden events make no hole in it"
                        )
                        assert key_of_text(page["next"])[3] == seen[-1]
                        after = page["next"]
                    assert sorted(seen) == [1, 2, 3, 4, 5]
            page = (await http.get("/v1/sites/south/events", params={"limit": "2"})).json()
            assert page == {"site": "south", "events": []}, (
                "where all are hidden there is nothing to go on to"
            )


async def answers_about(hub: TestHub, site: str) -> dict[str, Any]:
    """All that who sees no camera of a site is answered about it, without its name."""
    told: dict[str, Any] = {}
    headers = {"authorization": f"Bearer {hub.token()}"}
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{hub.port}", headers=headers, timeout=30
    ) as http:
        for path in ("state", "events", "events?order=newest&limit=1", "events?severity=info"):
            answer = await http.get(f"/v1/sites/{site}/{path}")
            told[path] = (answer.status_code, answer.text.replace(site, "SITE"))
        told["cameras"] = (await http.get("/v1/cameras", params={"site": site})).json()
        told["listed"] = [
            {**one, "site": ""}
            for one in (await http.get("/v1/sites")).json()["sites"]
            if one["site"] == site
        ]
    async with hub.dashboard(hub.token()) as dash:
        for channel in (f"site:{site}", f"events:site:{site}"):
            told[f"history of {channel}, first"] = await dash.ask(
                "history", channel=channel, limit=-1
            )
            for fields in (
                {},
                {"recover": True, "epoch": "", "offset": 0},
                {"recover": True, "epoch": "e1", "offset": 1},
            ):
                told[f"{channel} {fields}"] = await dash.ask("subscribe", channel=channel, **fields)
                for asked in (
                    {},
                    {"limit": -1},
                    {"limit": 1, "reverse": True},
                    {"limit": 1, "since": {"offset": 0, "epoch": ""}},
                ):
                    told[f"history of {channel} {fields} {asked}"] = await dash.ask(
                        "history", channel=channel, **asked
                    )
                told[f"presence of {channel} {fields}"] = await dash.ask(
                    "presence", channel=channel
                )
                await dash.ask("unsubscribe", channel=channel)
        assert dash.pushes == []
    return dict(json.loads(json.dumps(told).replace(site, "SITE")))


@pytest.mark.asyncio
async def test_attack_09_a_site_of_which_all_is_hidden_is_answered_as_one_without_cameras(
    tmp_path: Path,
) -> None:
    async with running_hub(tmp_path, decider=real_policy()) as hub:
        await hub.register("vault", "cellar", site="cavesite", tags=["restricted"])
        for offset in (1, 2):
            await hub.happen("vault", offset, site="cavesite")
        await hub.show("vault", 1, site="cavesite")
        await hub.memory.registry.add_site("baresite", name="", place=b"")
        hidden, empty = await answers_about(hub, "cavesite"), await answers_about(hub, "baresite")
        assert hidden == empty
        assert hidden["state"][0] == 404
        assert "error" in hidden["site:SITE {}"]
        assert hidden["listed"] == [{"site": "", "cameras": 0}]
        unknown = await answers_about(hub, "lostsite")
        assert {name for name in unknown if unknown[name] != empty[name]} == {"listed"}
        async with hub.dashboard(hub.token(scopes=["restricted:read"])) as insider:
            assert "error" not in await insider.ask("subscribe", channel="site:cavesite")
