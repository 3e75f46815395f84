"""From a clone to a live wall and back to nothing, wherever somebody puts the checkout and whoever they are."""

import asyncio
from pathlib import Path

import pytest

from cluster.first_publication import first_publication
from tests.support.newcomer import Machine, Person, Terminal, clone, impossible, machine, person, terminal

INSTALL_S = 1500.0  # seconds for packages, the console and the start, on a busy machine
SEEN_S = 60.0
SITE = "demo"

pytestmark = [
    pytest.mark.ray,
    pytest.mark.prove,
    pytest.mark.timeout(INSTALL_S + 600),
    pytest.mark.skipif(bool(impossible()), reason=impossible()),
]


def seen_and_stopped(up: Terminal, where: Machine, who: Person, checkout: Path, data: Path) -> None:
    """Wait for the wall, see it live on a websocket of our own, press Ctrl-C, and find nothing left."""
    up.until("first live publication on a subscriber", INSTALL_S)
    url = up.until(r"console +http(://[0-9.:]+/)", 5)[1]
    token = where.run(who, checkout, checkout / ".venv" / "bin" / "eyrie", "token", "--data-dir", data).strip()
    seen = asyncio.run(first_publication(f"ws{url}connection/websocket", token, SITE, SEEN_S, None, hint=""))
    assert len(seen["cameras"]) > 0
    up.until("Ctrl-C stops everything", 5)
    up.interrupt()
    code = up.wait()
    assert "stopped; everything acked is on disk" in up.said
    assert "Traceback" not in up.said
    assert where.left() == []
    assert [path for path in (data / "run").rglob("*") if path.is_socket() or path.suffix == ".pid"] == []
    assert (data / "postgres").is_dir()
    assert code in (0, -2, 130), up.said[-2000:]  # -2: make itself ends by the signal


def test_root_in_a_closed_home() -> None:
    with person("root") as who, machine() as where:
        checkout = clone(where, who, who.home / "eyrie")
        data = who.home.parent / "data"
        with terminal(where, who, checkout, "make", "up", "ARGS=--port 0 --cameras 2", env={"EYRIE_DATA_DIR": str(data)}) as up:
            seen_and_stopped(up, where, who, checkout, data)


def test_a_normal_user_in_a_folder_with_spaces_and_letters_of_the_world() -> None:
    with person("Zoë Müller", system_user=True) as who, machine() as where:
        checkout = clone(where, who, who.home / "mes projets à moi" / "eyrie")
        data = who.home / ".local" / "share" / "eyrie"
        with terminal(where, who, checkout, "make", "up", "ARGS=--port 0 --cameras 2") as up:
            seen_and_stopped(up, where, who, checkout, data)
