"""Who sees what: tokens, decisions, revocations and redaction on open sockets, and the same by
REST."""

import asyncio
import time
from pathlib import Path

import httpx
import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from actors.core.settings import HubSettings
from hub.fanout import live_states
from policy.identity.revocations import Revocations
from storage.ports.policy import Revocation
from tests.support.hub.hub import Dash, TestHub, running_hub
from tests.support.waiting import until


async def closed_with(dash: Dash, within_s: float = 5.0) -> int:
    async with asyncio.timeout(within_s):
        while True:
            try:
                await dash.receive()
            except ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd is not None else 1006


async def refused_with(hub: TestHub, token: str) -> int:
    async with connect(hub.url, compression=None) as socket:
        await socket.send(msgspec.json.encode({"id": 1, "connect": {"token": token}}).decode())
        return await closed_with(Dash(socket))


async def test_bad_tokens_close_and_expired_ones_may_be_renewed(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        assert await refused_with(hub, "not-a-token") == 3500
        assert await refused_with(hub, hub.token(typ="edge", roles=["ingester"])) == 3500
        async with hub.dashboard("") as dash:
            old = hub.token(now_s=time.time() - 1000, lifetime=600)
            assert (await dash.ask("connect", token=old))["error"]["code"] == 109
        hub.policy.denied.add(("connect", "dashboard"))
        assert await refused_with(hub, hub.token()) == 3507
        hub.policy.unavailable = True
        assert await refused_with(hub, hub.token()) == 4013


async def test_check_09_a_token_that_runs_out_closes_after_the_grace_and_refresh_prevents_it(
    tmp_path: Path,
) -> None:
    settings = HubSettings(port=0, expired_grace_s=0.2)
    async with (
        running_hub(tmp_path, hub=settings) as hub,
        hub.dashboard(hub.token(lifetime=2)) as one,
        hub.dashboard(hub.token(lifetime=2)) as two,
    ):
        renewed = await two.ask("refresh", token=hub.token())
        assert renewed["refresh"]["ttl"] > 3000
        assert await closed_with(one) == 3005
        assert (await two.ask("ping"))["ping"] == {}
        assert "error" not in await two.ask("refresh", token=hub.token())
        await two.socket.send(
            msgspec.json.encode({"id": 99, "refresh": {"token": hub.token("eve")}}).decode()
        )
        assert await closed_with(two) == 3500


async def test_policy_is_asked_for_every_channel_and_unknown_cameras_are_not_told_to_outsiders(
    tmp_path: Path,
) -> None:
    async with running_hub(tmp_path) as hub:
        await hub.register("cam-1")
        hub.policy.denied |= {("subscribe", "north"), ("subscribe", "cam-1")}
        async with hub.dashboard() as dash:
            for channel in (
                "camera:cam-1",
                "site:north",
                "events:camera:cam-1",
                "events:site:north",
            ):
                assert (await dash.ask("subscribe", channel=channel))["error"]["code"] == 103
            assert (await dash.ask("subscribe", channel="camera:cam-2"))["error"]["code"] == 102
            assert (await dash.ask("subscribe", channel="site:south"))["error"]["code"] == 102
            hub.policy.unavailable = True
            assert (await dash.ask("subscribe", channel="fleet"))["error"] == {
                "code": 100,
                "message": "internal server error",
                "temporary": True,
            }


async def test_check_27_a_changed_policy_reaches_open_sockets(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.dashboard() as dash:
        await hub.register("cam-1")
        await hub.show("cam-1", 1, tracks=[{"id": "1", "label": "car", "sub_label": "KA 1"}])
        await dash.ask("subscribe", channel="camera:cam-1")
        await dash.ask("subscribe", channel="site:north")
        hub.policy.redact = ("plates",)
        hub.hub.policy_changed("r2")
        state = (await dash.publication())["data"]
        assert state["tracks"][0]["sub_label"] == {"redacted": "plates"}
        hub.policy.denied.add(("subscribe", "cam-1"))
        hub.hub.policy_changed("r3")
        while (push := await dash.push())["channel"] != "camera:cam-1" or "unsubscribe" not in push:
            pass
        assert push["unsubscribe"]["code"] == 2502
        hub.policy.denied.add(("connect", "dashboard"))
        hub.hub.policy_changed("r4")
        assert await closed_with(dash) == 4403, "it was allowed before: the SDK comes back, slowly"


async def test_a_revoked_token_is_closed_and_stays_out(tmp_path: Path) -> None:
    async with (
        running_hub(tmp_path) as hub,
        hub.dashboard(hub.token("ada")) as ada,
        hub.dashboard(hub.token("bob")) as bob,
    ):
        hub.hub.revoked(Revocations([Revocation("jti", "ada-1", 0)]))
        assert await closed_with(ada) == 4501
        assert hub.hub.node.stats.closes == {4501: 1}
        assert (await bob.ask("ping"))["ping"] == {}
        assert await refused_with(hub, hub.token("ada")) == 3500


async def test_a_decision_that_holds_for_a_while_is_asked_again_when_that_is_over(
    tmp_path: Path,
) -> None:
    async with running_hub(tmp_path) as hub, hub.dashboard() as dash:
        await hub.register("cam-1")
        hub.policy.valid_s = 0.5
        await dash.ask("subscribe", channel="camera:cam-1")
        hub.policy.denied.add(("subscribe", "cam-1"))
        assert (await dash.push())["unsubscribe"]["code"] == 2502
        assert (await dash.ask("subscribe", channel="camera:cam-1"))["error"]["code"] == 103


async def test_views_are_encoded_apart_and_thinned_to_their_rate(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        await hub.register("cam-1", "cam-2")
        async with hub.dashboard() as full:
            await full.ask("subscribe", channel="camera:cam-1")
            hub.policy.redact, hub.policy.max_hz = ("names",), 5.0
            async with hub.dashboard() as calm:
                await calm.ask("subscribe", channel="camera:cam-1")
                for version in range(1, 11):
                    await hub.show(
                        "cam-1",
                        version,
                        tracks=[{"id": "1", "label": "person", "sub_label": "Ada"}],
                    )
                for _ in range(10):
                    assert (await full.publication())["data"]["tracks"][0]["sub_label"] == "Ada"
                first = last = await calm.publication()
                seen = [first["offset"]]
                while last["offset"] != 10:  # a slow machine may show a sample twice, at the rate
                    last = await calm.publication()
                    seen.append(last["offset"])
                assert seen[0] == 1
                assert seen == sorted(seen)
                assert len(seen) <= 4
                assert last["data"]["tracks"][0]["sub_label"] == {"redacted": "names"}


async def test_cameras_that_policy_hides_are_left_out_of_walls_and_events(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.dashboard() as dash:
        await hub.register("cam-1")
        await hub.register("vault", tags=["restricted"])
        hub.policy.denied.add(("subscribe", "vault"))
        wall = (await dash.ask("subscribe", channel="site:north"))["subscribe"]["publications"][0][
            "data"
        ]
        assert [camera["camera"] for camera in wall["cameras"]] == ["cam-1"]
        await dash.ask("subscribe", channel="events:site:north")
        await hub.happen("vault", 1)
        await hub.happen("cam-1", 1)
        await hub.show("vault", 1)
        await hub.show("cam-1", 1)
        seen = [await dash.publication(), await dash.publication()]
        assert all("vault" not in str(publication) for publication in seen)


async def test_a_camera_not_heard_is_shown_stale_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_states, "STALE_AFTER_S", 0.5)
    async with running_hub(tmp_path) as hub, hub.dashboard() as dash:
        await hub.register("cam-1")
        await hub.show("cam-1", 1)
        for channel in ("camera:cam-1", "site:north"):
            await dash.ask("subscribe", channel=channel)
        seen = [(await dash.publication())["data"] for _ in range(2)]
        wall, state = sorted(seen, key=lambda data: "tracks" in data)
        assert (state["status"], state["reason"]) == ("stale", "actor_lost")
        assert [(camera["status"], camera["reason"]) for camera in wall["cameras"]] == [
            ("stale", "actor_lost")
        ]
        await hub.beat(("cam-1", 1, 1, 0))
        assert (await dash.publication())["data"]["status"] == "online"
        hub.broker.disconnect()
        dash.pushes.clear()
        while (data := (await dash.publication())["data"]).get("reason") != "redis_lost":
            assert "cameras" in data


async def test_a_state_missed_is_read_back_after_two_heartbeats(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.dashboard() as dash:
        await hub.register("cam-1")
        await hub.show("cam-1", 1)
        await dash.ask("subscribe", channel="camera:cam-1")
        hub.broker.connected = False
        await hub.show("cam-1", 2)
        hub.broker.connected = True
        await hub.beat(("cam-1", 1, 2, 0))
        await hub.beat(("cam-1", 1, 2, 0))
        assert (await dash.publication())["data"]["version"] == 2


async def test_an_event_missed_with_nothing_after_it_is_read_back(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.dashboard() as dash:
        await hub.register("cam-1")
        await hub.happen("cam-1", 1)
        await dash.ask("subscribe", channel="events:camera:cam-1")
        hub.broker.connected = False
        await hub.happen("cam-1", 2)
        hub.broker.connected = True
        await hub.beat(("cam-1", 1, 0, 2))
        await hub.beat(("cam-1", 1, 0, 2))
        assert (await dash.publication())["offset"] == 2


async def test_history_has_limits_order_and_position(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.dashboard() as dash:
        await hub.register("cam-1")
        for offset in range(1, 6):
            await hub.happen("cam-1", offset)
        channel = "events:camera:cam-1"
        assert (await dash.ask("history", channel=channel))["error"]["code"] == 103
        await dash.ask("subscribe", channel=channel)
        position = (await dash.ask("history", channel=channel))["history"]
        assert (position["offset"], position["publications"]) == (5, [])
        everything = (await dash.ask("history", channel=channel, limit=-1))["history"][
            "publications"
        ]
        assert [publication["offset"] for publication in everything] == [1, 2, 3, 4, 5]
        since = {"offset": 2, "epoch": position["epoch"]}
        page = (await dash.ask("history", channel=channel, limit=2, since=since))["history"][
            "publications"
        ]
        assert [publication["offset"] for publication in page] == [3, 4]
        newest = (await dash.ask("history", channel=channel, limit=2, reverse=True))["history"][
            "publications"
        ]
        assert [publication["offset"] for publication in newest] == [5, 4]
        back = (
            await dash.ask(
                "history",
                channel=channel,
                limit=2,
                reverse=True,
                since={"offset": 4, "epoch": position["epoch"]},
            )
        )["history"]
        assert [publication["offset"] for publication in back["publications"]] == [3, 2]
        lost = await dash.ask(
            "history", channel=channel, limit=2, since={"offset": 2, "epoch": "other"}
        )
        assert lost["error"]["code"] == 112


async def test_recovery_beyond_redis_comes_from_postgresql(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.dashboard() as dash:
        await hub.register("cam-1")
        for offset in range(1, 5):
            await hub.happen("cam-1", offset)
        del hub.memory.redis.sites["north"].streams["cam-1"][:3]
        reply = (
            await dash.ask(
                "subscribe", channel="events:camera:cam-1", recover=True, epoch="e1", offset=1
            )
        )["subscribe"]
        assert [publication["offset"] for publication in reply["publications"]] == [2, 3, 4]


async def test_reads_by_rest(tmp_path: Path) -> None:
    async with (
        running_hub(tmp_path) as hub,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{hub.port}", timeout=30) as http,
    ):
        await hub.register("cam-1", scene=b'{"zones":{}}')
        await hub.register("cam-2", site="south")
        await hub.show("cam-1", 3)
        for offset in (1, 2, 3):
            await hub.happen("cam-1", offset)
        refused = await http.get("/v1/cameras")
        assert (refused.status_code, refused.headers["content-type"]) == (
            401,
            "application/problem+json",
        )
        http.headers["authorization"] = f"Bearer {hub.token()}"
        assert (await http.get("/v1/sites")).json() == {
            "sites": [{"site": "north", "cameras": 1}, {"site": "south", "cameras": 1}]
        }
        page = (await http.get("/v1/cameras", params={"limit": "1"})).json()
        assert [camera["camera"] for camera in page["cameras"]] == ["cam-1"]
        rest = (await http.get("/v1/cameras", params={"after": page["next"]})).json()
        assert [camera["camera"] for camera in rest["cameras"]] == ["cam-2"]
        assert (await http.get("/v1/cameras/cam-1")).json()["site"] == "north"
        assert (await http.get("/v1/cameras/cam-1/state")).json()["version"] == 3
        assert (await http.get("/v1/cameras/cam-2/state")).json()["reason"] == "never_seen"
        assert (await http.get("/v1/sites/north/state")).json()["cameras"][0]["version"] == 3
        scene = await http.get("/v1/cameras/cam-1/scene")
        assert (scene.json()["scene"]["zones"], scene.headers["etag"]) == ({}, '"1"')
        events = (
            await http.get("/v1/cameras/cam-1/events", params={"after": "1", "limit": "2"})
        ).json()
        assert (
            [event["offset"] for event in events["events"]],
            events["next"],
            events["epoch"],
        ) == ([2, 3], 3, "e1")
        assert [
            event["offset"]
            for event in (await http.get("/v1/cameras/cam-1/events")).json()["events"]
        ] == [1, 2, 3]
        for path, status in (
            ("/v1/cameras/nobody", 404),
            ("/v1/cameras/UPPER", 400),
            ("/v1/cameras/cam-1/events?limit=1000000000", 400),
            ("/v1/nothing", 404),
            ("/v1/cameras/cam-1/events?after=-1", 400),
            ("/v1/sites/nowhere/state", 404),
        ):
            answer = await http.get(path)
            assert answer.status_code == status, path
            assert answer.json()["hint"]
        hub.policy.denied |= {
            ("registry.read", "cam-1"),
            ("subscribe", "cam-1"),
            ("subscribe", "north"),
            ("history", "cam-1"),
        }
        assert [
            camera["camera"] for camera in (await http.get("/v1/cameras")).json()["cameras"]
        ] == ["cam-2"]
        for path in (
            "/v1/cameras/cam-1",
            "/v1/cameras/cam-1/state",
            "/v1/cameras/cam-1/scene",
            "/v1/cameras/cam-1/events",
            "/v1/sites/north/state",
        ):
            assert (await http.get(path)).status_code == 403, path


async def test_health_metrics_and_the_console_page(tmp_path: Path) -> None:
    async with (
        running_hub(tmp_path) as hub,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{hub.hub.private_port}", timeout=30) as http,
        hub.dashboard(),
    ):
        assert (await http.get("/health/live")).json()["service"] == "eyrie-hub"
        assert (await http.get("/health/ready")).status_code == 200
        page = await http.get("/")
        assert page.status_code in (200, 503)
        policy = page.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-inline" not in policy
        assert f"ws://127.0.0.1:{hub.port}" in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in page.headers
        assert (await http.get(f"http://127.0.0.1:{hub.port}/metrics")).status_code == 404
        text = await hub.metrics()
        assert "eyrie_hub_dashboards 1.0" in text
        hub.broker.disconnect()
        await until(lambda: not hub.hub.node.reader.heard, what="the loss is known")
        ready = await http.get("/health/ready")
        assert (ready.status_code, ready.json()["reasons"]) == (503, ["Redis is not heard"])
