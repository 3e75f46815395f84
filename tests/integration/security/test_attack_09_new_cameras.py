"""A camera that is new is hidden from open walls and events until policy has been asked about it
(attack 9): not even for a moment."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from policy.decision.model import Decision, DecisionInput
from tests.support.hub.hub import Dash, TestHub, running_hub
from tests.support.hub.real_policy import real_policy
from tests.support.waiting import until

CHANNELS = ("site:north", "fleet", "events:site:north", "events:fleet")


class Held:
    """The packaged policy, which answers questions about `camera` to `roles` no sooner than it is
    let go, while it `holds`."""

    def __init__(self, camera: str, *, roles: list[str]) -> None:
        self.holds = False
        self.waiting = 0
        self._policy = real_policy()
        self._camera, self._roles = camera, roles
        self._go = asyncio.Event()

    async def decide(self, question: DecisionInput) -> Decision:
        if (
            self.holds
            and question.resource.get("camera") == self._camera
            and question.subject.get("roles") == self._roles
        ):
            self.waiting += 1
            await self._go.wait()
        return await self._policy.decide(question)

    def let_go(self) -> None:
        """Answer."""
        self.holds, self.waiting = False, 0
        self._go.set()
        self._go = asyncio.Event()


@asynccontextmanager
async def hub_reads(hub: TestHub) -> AsyncIterator[httpx.AsyncClient]:
    """Reads by REST of who may see every site, but nothing with the tag `restricted`."""
    headers = {"authorization": f"Bearer {hub.token('anna')}"}
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{hub.port}", headers=headers, timeout=30
    ) as http:
        yield http


async def everything(dash: Dash, *, until: str) -> str:
    """What is pushed on every channel until all of them have told of the camera `until`."""
    told, left = [], set(CHANNELS)
    while left:
        push = await dash.push()
        told.append(json.dumps(push))
        if f'"{until}"' in told[-1]:
            left.discard(push["channel"])
    return "\n".join(told)


async def happens(hub: TestHub, times: int) -> None:
    """Two cameras are new at the same moment, the hidden one first, and both are live at once."""
    await hub.register("vault", tags=["restricted"])
    await hub.register("yard")
    for number in range(1, times + 1):
        for camera in ("vault", "yard"):
            await hub.show(camera, number)
            await hub.happen(camera, number)
        await asyncio.sleep(0)


@pytest.mark.parametrize("elsewhere", [False, True], ids=["together", "apart"])
async def test_attack_09_a_new_camera_is_hidden_from_who_watches_already(
    tmp_path: Path, *, elsewhere: bool
) -> None:
    async with running_hub(tmp_path, decider=real_policy()) as hub:
        await hub.register("gate")
        await hub.show("gate", 1)
        await hub.happen("gate", 1)
        token, trusted = hub.token("anna"), hub.token("tom", scopes=["pii:read", "restricted:read"])
        async with (
            hub.dashboard(token) as dash,
            hub.dashboard(trusted if elsewhere else token) as other,
        ):
            for one in (dash, other):
                for channel in CHANNELS:
                    answer = await one.ask("subscribe", channel=channel)
                    assert "error" not in answer
            await happens(hub, 5)
            assert "vault" not in await everything(dash, until="yard")
            if elsewhere:
                assert "vault" in await everything(other, until="vault")


async def test_attack_09_no_event_of_a_new_camera_is_lost_or_told_twice(tmp_path: Path) -> None:
    async with running_hub(tmp_path, decider=real_policy()) as hub:
        await hub.register("gate")
        await hub.happen("gate", 1)
        async with hub.dashboard(hub.token("tom", scopes=["pii:read", "restricted:read"])) as dash:
            for channel in ("events:site:north", "events:fleet"):
                await dash.ask("subscribe", channel=channel)
            await happens(hub, 20)
            await hub.happen("gate", 2)
            found: dict[str, list[tuple[str, int]]] = {"events:site:north": [], "events:fleet": []}
            while any(len(told) < 41 for told in found.values()):
                push = await dash.push()
                found[push["channel"]].append(
                    (push["pub"]["data"]["camera"], push["pub"]["data"]["offset"])
                )
            expected = [
                (camera, number) for number in range(1, 21) for camera in ("vault", "yard")
            ] + [("gate", 2)]
            for channel, told in found.items():
                assert told == expected, channel


async def test_attack_09_who_comes_while_events_wait_for_policy_starts_at_once(
    tmp_path: Path,
) -> None:
    """Events wait here for as long as nobody can say who may see a new camera, and for one that is
    nowhere."""
    decider = Held("yard", roles=["viewer"])
    async with running_hub(tmp_path, decider=decider) as hub:
        await hub.register("gate")
        await hub.happen("gate", 1)
        channels = ("events:site:north", "events:fleet", "site:north", "fleet")
        async with (
            hub.dashboard(hub.token("anna")) as anna,
            hub.dashboard(hub.token("tom", roles=["admin"])) as tom,
        ):
            await anna.ask("subscribe", channel="events:site:north")
            decider.holds = True
            await hub.register("yard")
            for camera in ("yard", "ghost", "gate"):
                await hub.happen(camera, 2)
            await until(lambda: decider.waiting > 0, what="the question about the new camera")
            for channel in channels:
                position = (
                    {"recover": True, "offset": 0, "epoch": ""}
                    if channel == "events:site:north"
                    else {}
                )
                answer = await tom.ask("subscribe", channel=channel, **position)
                assert "error" not in answer, (channel, answer)
                if position:
                    assert [pub["data"]["id"] for pub in answer["subscribe"]["publications"]] == [
                        "gate/e1/1"
                    ]
                    assert answer["subscribe"]["recovered"]
            assert anna.pushes == []
            decider.let_go()
            for dash, expected in (
                (anna, {"events:site:north"}),
                (tom, {"events:site:north", "events:fleet"}),
            ):
                told: dict[str, list[str]] = {channel: [] for channel in expected}
                while any(len(found) < 2 for found in told.values()):
                    push = await dash.push()
                    if push["channel"] in told:
                        told[push["channel"]].append(push["pub"]["data"]["id"])
                assert all(found == ["yard/e1/2", "gate/e1/2"] for found in told.values()), told


async def test_attack_09_a_subscription_is_decided_about_what_is_new_when_it_starts(
    tmp_path: Path,
) -> None:
    """Policy is asked about a wall; a camera is new before the answer comes, and everybody else has
    been asked about it by then."""
    decider = Held("gate", roles=["operator"])
    async with running_hub(tmp_path, decider=decider) as hub:
        await hub.register("gate")
        await hub.show("gate", 1)
        await hub.happen("gate", 1)
        async with hub.dashboard(hub.token("tom", scopes=["restricted:read"])) as tom:
            for channel in CHANNELS:
                await tom.ask("subscribe", channel=channel)
            for number, channel in enumerate(CHANNELS, 2):
                async with hub.dashboard(hub.token("olga", roles=["operator"])) as olga:
                    decider.holds = True
                    asked = asyncio.create_task(olga.ask("subscribe", channel=channel))
                    await until(lambda: decider.waiting > 0, what="the question about the channel")
                    vault = f"vault-{number}"
                    await hub.register(vault, tags=["restricted"])
                    await hub.show(vault, 1)
                    await hub.happen(vault, 1)
                    while vault not in json.dumps(await tom.push()):
                        pass
                    decider.let_go()
                    told = [json.dumps(await asked)]
                    await hub.show(vault, 2)
                    await hub.happen(vault, 2)
                    await hub.show("gate", number, fps=float(number))
                    await hub.happen("gate", number)
                    while (
                        f'"gate/e1/{number}"' not in told[-1]
                        and f'"fps": {number}.0' not in told[-1]
                    ):
                        told.append(json.dumps(await olga.push()))
                    assert "gate" in told[-1]
                    assert "vault" not in "".join(told), channel


async def test_attack_09_reads_show_no_camera_that_is_newer_than_what_policy_was_asked_about(
    tmp_path: Path,
) -> None:
    """A camera is registered by this hub while policy is asked about the others."""
    decider = Held("gate", roles=["viewer"])
    async with running_hub(tmp_path, decider=decider) as hub, hub_reads(hub) as http:
        await hub.register("gate")
        for number, path in enumerate(("/v1/sites/north/state", "/v1/fleet/state", "/v1/sites")):
            decider.holds = True
            asked = asyncio.create_task(http.get(path))
            await until(lambda: decider.waiting > 0, what="the question about the camera")
            await hub.register(f"vault-{number}", tags=["restricted"])
            hub.hub.cameras.forget(f"vault-{number}", "north")
            decider.let_go()
            told = (await asked).text
            assert '"north"' in told
            assert "vault" not in told, path
            assert path != "/v1/sites" or '"cameras":1' in told


@pytest.mark.parametrize(
    ("first", "then"),
    [("/v1/fleet/events", "/v1/fleet/state"), ("/v1/sites/north/state", "/v1/sites")],
    ids=["fleet", "sites"],
)
async def test_attack_09_reads_show_and_count_by_one_memory_of_a_site(
    tmp_path: Path, first: str, then: str
) -> None:
    """What a hub remembers of a site and of the fleet is of different ages: for neither is
    something shown that only the other knows."""
    async with running_hub(tmp_path, decider=real_policy()) as hub, hub_reads(hub) as http:
        await hub.register("gate")
        assert (
            "gate" in (await http.get("/v1/fleet/state")).text
        )  # who reads first waits for actors, and reads more
        hub.hub.cameras.forget("", "north")
        await http.get(first)
        await hub.register("vault", tags=["restricted"])
        told = (await http.get(then)).text
        assert "vault" not in told
        assert then != "/v1/sites" or '"cameras":1' in told
