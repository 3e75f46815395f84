"""A stolen edge token that says hello for ever new cameras: a bound for each device and site, which
restarts and other hubs do not lift."""

from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

import httpx
import msgspec
from websockets.asyncio.client import connect

from actors.core.messages.edge_protocol import SUBPROTOCOL_JSON
from actors.core.settings import RegistrySettings
from tests.support.doubles.actor_handles import FakeActor, FakeDirectory
from tests.support.doubles.stores import MemoryStores, memory_stores
from tests.support.hub.hub import TestHub, running_hub

Answer = tuple[int, str]  # of a bye; (0, "") for a welcome
WELCOME: Answer = (0, "")
BOUNDS = RegistrySettings(max_per_device=5, max_per_site=8)


async def hellos(hub: TestHub, device: str, site: str, cameras: list[str]) -> dict[str, Answer]:
    """Say hello for each on one socket; camera → how it was answered."""
    token = hub.token(device, typ="edge", roles=["edge"], sites=[site])
    headers = {"authorization": f"Bearer {token}"}
    answers: dict[str, Answer] = {}
    url = f"ws://127.0.0.1:{hub.port}/v1/edge"
    async with connect(
        url,
        subprotocols=[SUBPROTOCOL_JSON],  # type: ignore[list-item]
        additional_headers=headers,
        compression=None,
        proxy=None,
    ) as socket:
        for camera in cameras:
            await socket.send(
                msgspec.json.encode({"type": "hello", "camera": camera, "session": "s1"}).decode()
            )
        while len(answers) < len(cameras):
            said = msgspec.json.decode(await socket.recv())
            if said["type"] in ("welcome", "bye"):
                answers[said["camera"]] = (
                    WELCOME if said["type"] == "welcome" else (said["code"], said["reason"])
                )
    return answers


def hub_over(memory: MemoryStores, folder: Path, name: str) -> AbstractAsyncContextManager[TestHub]:
    return running_hub(
        folder,
        memory=memory,
        name=name,
        registry=BOUNDS,
        directory=FakeDirectory(lambda _: FakeActor("a")),
    )


async def test_attack_11_a_stolen_token_registers_a_bounded_number_of_cameras(
    tmp_path: Path,
) -> None:
    memory = memory_stores()
    async with AsyncExitStack() as stack:
        hubs = [
            await stack.enter_async_context(hub_over(memory, tmp_path, f"hub-{n}"))
            for n in range(2)
        ]
        said = {**await hellos(hubs[0], "stolen", "north", [f"a-{n}" for n in range(4)])}
        said |= await hellos(hubs[1], "stolen", "north", [f"b-{n}" for n in range(40)])
        said |= await hellos(hubs[1], "stolen", "north", [f"c-{n}" for n in range(40)])
        welcomed = [camera for camera, answer in said.items() if answer == WELCOME]
        assert len(welcomed) == 5
        code, why = next(answer for answer in said.values() if answer != WELCOME)
        assert (code, "this device has registered 5 cameras" in why) == (4008, True), (
            "come back later: somebody may see to it"
        )
        assert {record.camera for record in await memory.registry.cameras()} == set(welcomed)
        assert (await hellos(hubs[0], "stolen", "north", welcomed)) == dict.fromkeys(
            welcomed, WELCOME
        ), "its cameras go on"

        assert list((await hellos(hubs[0], "honest", "south", ["d-1"])).values()) == [WELCOME], (
            "other devices lose nothing"
        )
        entries = [
            entry
            for hub in hubs
            for entry in await hub.hub.context.stores.audit_log.before(10_000, 1_000)
        ]
        told = [entry for entry in entries if entry.action == "camera.register.refused"]
        assert [(entry.who, entry.detail) for entry in told] == [
            ("stolen", "this device has registered 5 cameras, as many as it may")
        ]
        assert "eyrie_hub_edge_registrations_refused_total{" in await hubs[1].metrics()

        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{hubs[0].port}", trust_env=False, timeout=30
        ) as http:
            token = hubs[0].token("stolen", typ="edge", roles=["edge"], sites=["north"])
            body = {
                "session": "s",
                "first_seq": 1,
                "observations": [{"time": "2026-03-01T12:00:00Z", "objects": []}],
            }
            headers = {"authorization": f"Bearer {token}"}
            answer = await http.post("/v1/cameras/e-1/observations", json=body, headers=headers)
        assert (answer.status_code, answer.json()["title"]) == (429, "too_many_cameras")
        assert int(answer.headers["retry-after"]) >= 1
    async with hub_over(memory, tmp_path, "hub-2") as later:
        assert WELCOME not in (await hellos(later, "stolen", "north", ["f-1", "f-2"])).values(), (
            "a restart lifts nothing"
        )


async def test_attack_11_several_stolen_tokens_fill_a_site_to_its_bound_and_no_other(
    tmp_path: Path,
) -> None:
    memory = memory_stores()
    async with hub_over(memory, tmp_path, "hub-0") as hub:
        for device in range(4):
            await hellos(hub, f"stolen-{device}", "north", [f"n-{device}-{n}" for n in range(10)])
        assert len(await memory.registry.cameras("north")) == 8
        await hellos(hub, "honest", "south", ["s-1", "s-2"])
        assert len(await memory.registry.cameras("south")) == 2
        assert await memory.registry.add_camera("by-hand", "north"), (
            "who keeps the registry is not bound"
        )
