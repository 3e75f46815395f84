"""The client against a real websocket server with failure switches."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from actors.core.backoff import Backoff
from actors.core.errors import BadInput, Conflict, Forbidden, TooMany, Unauthorized, Unavailable
from actors.core.messages.observations import Alarm, Object, Observation
from edge.client import EdgeClient
from edge.messages import Format
from tests.support.servers.edge_server import EdgeServer
from tests.support.waiting import until

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def server() -> AsyncIterator[EdgeServer]:
    async with EdgeServer() as running:
        yield running


def frame(number: int, *, alarm: bool = False) -> Observation:
    box = Object("person", (0.1, 0.2, 0.3, 0.4), 0.5, id=str(number))
    return Observation(
        START + timedelta(seconds=number), [box], Alarm("button", text="help") if alarm else None
    )


def client(url: str, **options: object) -> EdgeClient:
    return EdgeClient(url, "secret", backoff=Backoff(0.02, 0.1), **options)  # type: ignore[arg-type]


def times(server: EdgeServer, camera: str) -> list[datetime]:
    bodies = server.of(camera).applied
    return [msgspec.msgpack.decode(bodies[seq], type=Observation).time for seq in sorted(bodies)]


@pytest.mark.parametrize("form", ["msgpack", "json"])
async def test_everything_arrives_in_order_within_the_credits(
    server: EdgeServer, form: Format
) -> None:
    async with client(server.url, form=form) as edge:
        streams = [await edge.open(f"cam-{number}", session="s1") for number in range(3)]
        for number in range(300):
            for stream in streams:
                await stream.send(frame(number))
        await edge.drain(10)
        assert [stream.account.committed for stream in streams] == [300] * 3
    for number in range(3):
        seen = server.of(f"cam-{number}")
        assert seen.order == list(range(1, 301))
        assert seen.byes == 1
    assert server.violations == []
    assert server.headers == ["Bearer secret"]


@pytest.mark.parametrize("cut", [1, 40, 500, 1500, 4000, 9000])
async def test_a_cut_connection_loses_and_repeats_nothing(server: EdgeServer, cut: int) -> None:
    server.switches.cut_after_bytes = cut
    async with client(server.url) as edge:
        stream = await edge.open("cam", session="s1")
        for number in range(200):
            await stream.send(frame(number))
        await edge.drain(10)
    assert server.connections == 2
    assert server.of("cam").order == list(range(1, 201))
    assert times(server, "cam") == [frame(number).time for number in range(200)]
    assert server.violations == []


async def test_lost_acks_are_made_good_by_the_next_ones_or_by_a_reconnection(
    server: EdgeServer,
) -> None:
    server.switches.drop_acks = 1
    async with client(server.url) as edge:
        stream = await edge.open("cam", session="s1")
        await stream.send(frame(1))
        await until(lambda: server.switches.drop_acks == 0)
        assert stream.pending == 1
        server.drop_everyone()
        await edge.drain(10)
        assert stream.account.committed == 1
    assert server.of("cam").order == [1]


async def test_a_hole_is_filled_when_the_hub_asks(server: EdgeServer) -> None:
    server.switches.lose_frames = 1
    async with client(server.url) as edge:
        stream = await edge.open("cam", session="s1")
        await until(lambda: stream.open)
        await stream.send(frame(0))
        await until(lambda: server.switches.lose_frames == 0)
        await stream.send(frame(1))
        await edge.drain(10)
        assert stream.account.resent >= 1
    assert server.of("cam").order == [1, 2]


async def test_a_full_spool_sheds_the_oldest_live_ones_keeps_alarms_and_declares_it(
    server: EdgeServer,
) -> None:
    server.switches.hold_acks = True
    server.credits = 4
    size = len(msgspec.msgpack.encode(frame(0)))
    async with client(server.url, capacity=20 * (size + 4)) as edge:
        stream = await edge.open("cam", session="s1")
        await until(lambda: stream.open)
        for number in range(100):
            await stream.send(frame(number, alarm=number in (10, 50)))
        assert stream.account.shed > 50
        await server.release()
        await edge.drain(10)
        account = stream.account
    seen = server.of("cam")
    declared = sum(gap.last_seq - gap.first_seq + 1 for gap in seen.gaps)
    assert declared == account.shed
    assert declared + len(seen.applied) == 100
    assert {11, 51} <= seen.applied.keys()
    assert {gap.reason for gap in seen.gaps} == {"spool full: oldest live observations dropped"}
    assert server.violations == []


async def test_alarms_alone_may_fill_the_spool_and_then_the_device_is_told(
    server: EdgeServer,
) -> None:
    server.switches.hold_acks = True
    async with client(server.url, capacity=600) as edge:
        stream = await edge.open("cam", session="s1")
        for number in range(4):
            await stream.send(frame(number, alarm=True))
        with pytest.raises(TooMany, match="full of alarms"):
            await stream.send(frame(4, alarm=True))
        await server.release()
        await edge.drain(10)
        assert stream.account.shed == 0


async def test_a_replay_waits_for_room_and_skips_what_the_hub_has(server: EdgeServer) -> None:
    for round_ in range(2):
        async with client(server.url, capacity=2000, on_full="wait") as edge:
            stream = await edge.open("cam", session="same", numbered_elsewhere=True)
            for number in range(250):
                await stream.send(frame(number))
            await edge.drain(10)
            account = stream.account
        assert (account.committed, account.duplicate) == ((250, 0) if round_ == 0 else (0, 250))
    assert server.of("cam").order == list(range(1, 251))


async def test_a_rejected_item_is_counted_and_its_neighbours_go_on(server: EdgeServer) -> None:
    server.switches.poison = {2}
    rejected: list[tuple[int, str, str]] = []
    async with client(server.url) as edge:
        stream = await edge.open("cam", session="s1")
        stream.on_reject = lambda seq, code, detail: rejected.append((seq, code, detail))
        for number in range(3):
            await stream.send(frame(number))
        await edge.drain(10)
        assert stream.account.rejected == 1
    assert rejected == [(2, "bad_input", "poison")]
    assert sorted(server.of("cam").applied) == [1, 3]


async def test_a_superseded_session_ends_its_camera_and_harms_no_neighbour(
    server: EdgeServer,
) -> None:
    server.switches.refuse["old"] = (4509, "superseded by a newer session; start a new one")
    async with client(server.url) as edge:
        old, good = await edge.open("old"), await edge.open("good")
        await good.send(frame(1))
        await good.drain(10)
        with pytest.raises(Conflict, match="superseded"):
            await old.drain(10)
        with pytest.raises(Conflict):
            await old.send(frame(1))


async def test_a_camera_that_is_sent_away_for_now_comes_back(server: EdgeServer) -> None:
    server.switches.refuse["cam"] = (4013, "its actor is starting")
    async with client(server.url, heartbeat_s=0.1) as edge:
        stream = await edge.open("cam")
        await stream.send(frame(1))
        await until(lambda: len(server.hellos) >= 2)
        server.switches.refuse.clear()
        await stream.drain(10)


@pytest.mark.parametrize(
    ("status", "error"), [(401, Unauthorized), (403, Forbidden), (400, BadInput)]
)
async def test_a_refused_handshake_is_final(
    server: EdgeServer, status: int, error: type[Exception]
) -> None:
    server.switches.status = status
    async with client(server.url) as edge:
        stream = await edge.open("cam")
        with pytest.raises(error):
            await stream.drain(10)
    assert len(server.headers) == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_hub_is_asked_again(server: EdgeServer, status: int) -> None:
    server.switches.status = status
    async with client(server.url) as edge:
        stream = await edge.open("cam")
        await until(lambda: len(server.headers) >= 3)
        server.switches.status = None
        await stream.drain(10)


async def test_a_token_that_ran_out_is_renewed_once(server: EdgeServer) -> None:
    made: list[str] = []

    def fresh() -> str:
        made.append(f"token-{len(made) + 1}")
        return made[-1]

    async with EdgeClient(server.url, fresh, backoff=Backoff(0.02, 0.1)) as edge:
        stream = await edge.open("cam")
        await stream.drain(10)
        await server.dismiss("cam", 4501, "the token expired")
        await until(lambda: len(server.hellos) == 2)
        await stream.send(frame(1))
        await stream.drain(10)
        assert [hello.token for hello in server.hellos] == [None, "token-2"]
        server.switches.refuse["cam"] = (4501, "the token was revoked")
        await server.dismiss("cam", 4501, "the token was revoked")
        await until(lambda: stream.error is not None)
        assert isinstance(stream.error, Unauthorized)


async def test_a_camera_refused_alone_on_its_socket_harms_none_that_comes_later(
    server: EdgeServer,
) -> None:
    server.switches.refuse["old"] = (4509, "superseded")
    async with client(server.url) as edge:
        old = await edge.open("old")
        await until(lambda: old.error is not None)
        good = await edge.open("good")
        await good.send(frame(1))
        await good.drain(10)


async def test_close_codes_decide_about_coming_back(server: EdgeServer) -> None:
    server.switches.close_code = 4008
    async with client(server.url) as edge:
        stream = await edge.open("cam")
        await stream.drain(10)
        assert edge.connections == 2
        server.switches.close_code = 4501
        server.drop_everyone()
        await until(lambda: stream.error is not None)
        assert isinstance(stream.error, Unauthorized)


async def test_a_silent_hub_is_left_and_found_again(server: EdgeServer) -> None:
    server.switches.silent = True
    async with client(server.url, heartbeat_s=0.05) as edge:
        stream = await edge.open("cam")
        await until(lambda: server.connections >= 2)
        server.switches.silent = False
        await stream.drain(10)
        await until(lambda: server.pings > 0)


async def test_without_any_hub_it_gives_up_when_told_to(server: EdgeServer) -> None:
    url = server.url
    await server.stop()
    async with client(url, give_up_s=0.2) as edge:
        stream = await edge.open("cam")
        with pytest.raises(Unavailable, match="no connection"):
            await stream.drain(10)


async def test_the_disk_spool_goes_on_where_it_stopped(server: EdgeServer, tmp_path: Path) -> None:
    port = server.port
    await server.stop()
    async with EdgeClient(
        f"ws://127.0.0.1:{port}/v1/edge", spool=tmp_path, backoff=Backoff(0.02, 0.1)
    ) as edge:
        first = await edge.open("cam")
        for number in range(50):
            await first.send(frame(number, alarm=number == 7))
        name = first.session
    await server.start(port)
    async with client(server.url, spool=tmp_path) as edge:
        again = await edge.open("cam")
        assert again.session == name
        assert await again.send(frame(50)) == 51
        await edge.drain(10)
    assert times(server, "cam") == [frame(number).time for number in range(51)]


async def test_a_lost_counter_starts_a_new_session(server: EdgeServer, tmp_path: Path) -> None:
    async with client(server.url, spool=tmp_path) as edge:
        stream = await edge.open("cam")
        name = stream.session
        for number in range(5):
            await stream.send(frame(number))
        await edge.drain(10)
    server.seen["cam", name].last_seq = 9  # the hub knows more than the device does
    async with client(server.url, spool=tmp_path) as edge:
        stream = await edge.open("cam")
        await until(lambda: stream.session != name)
        await stream.send(frame(9))
        await edge.drain(10)
    assert list(server.of("cam").applied) == [1]


async def test_two_processes_do_not_share_a_spool(server: EdgeServer, tmp_path: Path) -> None:
    async with (
        client(server.url, spool=tmp_path) as one,
        client(server.url, spool=tmp_path) as other,
    ):
        await one.open("cam")
        with pytest.raises(Conflict, match="another process"):
            await other.open("cam")
        with pytest.raises(Conflict, match="open already"):
            await one.open("cam")


async def test_what_is_no_observation_is_refused_at_once(server: EdgeServer) -> None:
    async with client(server.url) as edge:
        stream = await edge.open("cam")
        with pytest.raises(BadInput, match="no observation"):
            await stream.send(
                Observation(START.replace(tzinfo=None), [Object("car", (0.0, 0.0, 1.0, 1.0))])
            )
        with pytest.raises(BadInput, match="bytes"):
            await stream.send(Observation(START, alarm=Alarm("a", data={"x": "y" * 70_000})))


@pytest.mark.parametrize("restarted", [False, True])
async def test_after_a_restore_what_is_held_comes_again_the_rest_is_a_gap_and_the_device_goes_on(
    server: EdgeServer, tmp_path: Path, restarted: bool
) -> None:
    async with client(server.url, spool=tmp_path) as edge:
        stream = await edge.open("cam")
        for number in range(1, 101):
            await stream.send(frame(number))
        await edge.drain(10)
        server.switches.hold_acks = True
        for number in range(101, 111):
            await stream.send(frame(number))
        await until(lambda: server.of("cam").last_seq == 110)
        server.restore("cam", 40)
        if not restarted:
            server.switches.hold_acks = False
            server.drop_everyone()
            await edge.drain(10)
            await stream.send(frame(111))
            await edge.drain(10)
            assert stream.account.forgotten == 60
    if restarted:
        server.restore("cam", 40)
        server.switches.hold_acks = False
        async with client(server.url, spool=tmp_path) as edge:
            stream = await edge.open("cam")
            await stream.send(frame(111))
            await edge.drain(10)
    seen = server.of("cam")
    assert len(server.seen) == 1  # the same session goes on
    assert [(gap.first_seq, gap.last_seq) for gap in seen.gaps] == [(41, 100)]
    assert sorted(seen.applied) == [*range(1, 41), *range(101, 112)]
    assert server.violations == []


async def test_a_rewound_spool_remembers_the_gap_over_a_restart(
    server: EdgeServer, tmp_path: Path
) -> None:
    async with client(server.url, spool=tmp_path) as edge:
        stream = await edge.open("cam")
        for number in range(1, 51):
            await stream.send(frame(number))
        await edge.drain(10)
        server.restore("cam", 20)
        server.switches.drop_acks = 1_000
        server.drop_everyone()
        await until(lambda: bool(server.of("cam").gaps))
    server.switches.drop_acks = 0
    server.restore("cam", 20)
    async with client(server.url, spool=tmp_path) as edge:
        stream = await edge.open("cam")
        await edge.drain(10)
        await stream.send(frame(51))
        await edge.drain(10)
    seen = server.of("cam")
    assert [(gap.first_seq, gap.last_seq) for gap in seen.gaps] == [(21, 50), (21, 50)]
    assert sorted(seen.applied) == [*range(1, 21), 51]
