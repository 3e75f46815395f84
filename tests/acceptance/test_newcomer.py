"""From a clone to a live wall and back to nothing, wherever somebody puts the checkout, whoever
they are, with every Python there is."""

import os
from pathlib import Path

import pytest

from tests.support.cluster.newcomer import (
    INSTALL_S,
    clone,
    impossible,
    machine,
    person,
    terminal,
    wall_seen_and_stopped,
)
from tools.pythons import found

ARGUMENTS = "ARGS=--port 0 --cameras 2"
OTHER_PYTHON = os.environ.get(
    "OTHER_PYTHON", ""
)  # of another line than the one that runs the tests: `.ci/run` names one

pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(INSTALL_S + 600),
    pytest.mark.skipif(bool(impossible()), reason=impossible()),
]


def root_in_a_closed_home(python: str) -> None:
    """Everything from the clone on, as root in a closed home, with that Python."""
    with person("root") as who, machine() as where:
        checkout = clone(where, who, who.home / "eyrie")
        data = who.home.parent / "data"
        env = {"EYRIE_DATA_DIR": str(data)}
        with terminal(
            where, who, checkout, "make", "up", f"PYTHON={python}", ARGUMENTS, env=env
        ) as up:
            wall_seen_and_stopped(up, where, who, checkout, data)


@pytest.mark.skipif(not OTHER_PYTHON, reason="no OTHER_PYTHON is named")
def test_another_python_installs_and_starts_a_wall_for_root_in_a_closed_home() -> None:
    root_in_a_closed_home(OTHER_PYTHON)


@pytest.mark.prove
@pytest.mark.parametrize(
    "python", [pytest.param(str(path), id=f"3.{minor}") for minor, path in found().items()]
)
def test_every_python_of_this_machine_starts_a_wall_for_root_in_a_closed_home(python: str) -> None:
    root_in_a_closed_home(python)


@pytest.mark.prove
def test_a_normal_user_in_a_folder_with_spaces_and_letters_of_the_world() -> None:
    with person("Zoë Müller", system_user=True) as who, machine() as where:
        checkout = clone(where, who, who.home / "mes projets à moi" / "eyrie")
        data = who.home / ".local" / "share" / "eyrie"
        with terminal(where, who, checkout, "make", "up", ARGUMENTS) as up:
            wall_seen_and_stopped(up, where, who, checkout, data)


@pytest.mark.prove
def test_a_checkout_made_under_umask_077_that_nobody_can_write_to() -> None:
    with person("root") as who, machine() as where:
        where.run(who, who.home, "sh", "-c", "umask 077; mkdir projects")
        checkout = clone(where, who, who.home / "projects" / "eyrie")
        where.run(who, checkout, "sh", "-c", "umask 077; make install console", timeout_s=INSTALL_S)
        where.run(who, Path("/"), "mount", "--bind", checkout, checkout)
        where.run(who, Path("/"), "mount", "-o", "remount,bind,ro", checkout)
        assert where.attempt(who, checkout, "touch", "written").returncode != 0
        data = who.home.parent / "data"
        words = (".venv/bin/eyrie", "up", "--port", "0", "--cameras", "2", "--data-dir", data)
        with terminal(where, who, checkout, "sh", "-c", 'umask 077; exec "$@"', "sh", *words) as up:
            wall_seen_and_stopped(up, where, who, checkout, data)
