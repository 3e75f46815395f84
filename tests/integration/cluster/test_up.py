"""`eyrie up` refused in time: servers that take connections and say nothing, and a port that is
none."""

import socket
import time
from collections.abc import Iterator

import pytest

from tests.support.cluster.product import data_folder, eyrie

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
