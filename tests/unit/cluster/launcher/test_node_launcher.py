"""Joining, as far as it goes without Ray: what is missing is said before anything is started."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.core.errors import StartError
from actors.core.settings import DataSettings, Settings
from cluster.launcher.node_launcher import NodeLauncher


class Quiet:
    """Reports to nobody."""

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Nothing."""
        yield

    def note(self, text: str) -> None:
        """Nothing."""


def launcher(path: Path, address: str) -> NodeLauncher:
    made = NodeLauncher(Settings(data=DataSettings(dir=str(path))), Quiet(), address=address)
    made.data.prepare()
    return made


def test_without_the_cluster_s_token_nothing_is_started(tmp_path: Path) -> None:
    made = launcher(tmp_path, "127.0.0.2:1")
    with pytest.raises(StartError, match=r"ray\.token") as refused:
        made.start()
    assert "keys/" in refused.value.next_step


def test_a_head_that_does_not_answer_is_said_at_once(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        made = launcher(tmp_path, f"127.0.0.1:{unused.getsockname()[1]}")
        (made.data.keys / "ray.token").write_text("0" * 64, encoding="ascii")
        with pytest.raises(StartError, match="nobody answers"):
            made.start()
        assert made.stop() is False
    assert list(made.data.run.glob("*.pid")) == []


@pytest.mark.parametrize("address", ["", "head", "head:", ":x", "127.0.0.2:99999"])
def test_an_address_that_is_none_is_refused(tmp_path: Path, address: str) -> None:
    made = launcher(tmp_path, address)
    (made.data.keys / "ray.token").write_text("0" * 64, encoding="ascii")
    with pytest.raises(StartError):
        made.start()
    made.stop()
