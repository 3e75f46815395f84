"""`eyrie up` in trouble: servers that take connections and say nothing, its own servers killed
under it, and itself killed."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from storage.embedded.data_dir import start_time
from tests.support.cluster.product import Product, data_folder, eyrie, product
from tests.support.waiting import block_until

pytestmark = pytest.mark.ray

REFUSED_S = 30.0  # seconds within which a refusal must have come, on a busy machine


@pytest.fixture
def mute() -> Iterator[socket.socket]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other


@pytest.mark.parametrize(
    ("variable", "address", "told"),
    [
        ("EYRIE_POSTGRES_DSN", "postgresql://eyrie@127.0.0.1:{}/eyrie", "PostgreSQL"),
        ("EYRIE_REDIS_URL", "redis://127.0.0.1:{}/0", "Redis"),
    ],
)
def test_an_external_server_that_says_nothing_is_told_in_time(
    mute: socket.socket, variable: str, address: str, told: str
) -> None:
    env = {
        variable: address.format(mute.getsockname()[1]),
        "EYRIE_POSTGRES_CONNECT_TIMEOUT_S": "2",
        "EYRIE_REDIS_TIMEOUT_S": "2",
    }
    with data_folder() as path:
        begun = time.monotonic()
        refused = eyrie("up", "--data-dir", path, "--port", "0", env=env)
        assert time.monotonic() - begun < REFUSED_S
    assert refused.returncode == 1
    assert told in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_port_that_is_none_is_a_wrong_setting() -> None:
    with data_folder() as path:
        refused = eyrie("up", "--data-dir", path, "--port", "70000")
        assert list(path.iterdir()) == []
    assert refused.returncode == 2
    assert "hub.port" in refused.stderr
    assert "Traceback" not in refused.stderr


def pid_of(running: Product, name: str) -> int | None:
    return next((record.pid for record in running.data.noted() if record.name == name), None)


def is_ready(running: Product) -> bool:
    try:
        return bool(urlopen(running.url + "health/ready", timeout=5).status == 200)
    except OSError:
        return False


def test_killed_servers_come_back_and_a_killed_launcher_leaves_its_port_free() -> None:
    with data_folder() as path:
        first = Product(path, ["--no-simulate"])
        try:
            first.wait_ready()
            before = {name: pid_of(first, name) for name in ("redis", "postgres")}
            for pid in before.values():
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
            block_until(
                lambda: all(pid_of(first, name) not in (None, pid) for name, pid in before.items()),
                "servers are back",
                within_s=40,
            )
            block_until(lambda: is_ready(first), "the hub is ready again", within_s=40)
            family = {pid: start_time(pid) for pid in first.processes()}
        finally:
            first.kill_launcher()
        port = urlsplit(first.url).port
        with product(path, "--no-simulate", "--port", str(port)) as second:
            assert urlsplit(second.url).port == port
            assert [
                pid
                for pid, started in family.items()
                if started is not None and start_time(pid) == started
            ] == []
        assert second.data.noted() == []
