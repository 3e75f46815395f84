"""What can be wrong when Eyrie starts: each says what to do, ends with an exit code a script can
use, and leaves nothing running."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster.product import Product, data_folder, eyrie

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data directory of the test's own."""
    with data_folder() as path:
        yield path


def left_over(path: Path) -> list[str]:
    """Command lines of processes that still name the data directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                text = (
                    (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
            except OSError:
                continue
            if str(path) in text:
                found.append(text)
    return found


def test_a_data_directory_in_use_names_its_holder(stack: Product) -> None:
    refused = eyrie("up", "--data-dir", stack.data.path, "--port", "0")
    assert refused.returncode == 1
    assert "is in use by the process" in refused.stderr
    assert "--data-dir" in refused.stderr
    assert eyrie("status", "--data-dir", stack.data.path).returncode == 0


def test_a_port_in_use_says_so_before_anything_starts(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = eyrie("up", "--data-dir", folder, "--port", str(port))
    assert refused.returncode == 1
    assert f"127.0.0.1:{port} cannot be listened on" in refused.stderr
    assert "--port" in refused.stderr
    assert "PostgreSQL" not in refused.stderr
    assert left_over(folder) == []


@pytest.mark.parametrize(
    ("variable", "address", "words"),
    [
        (
            "EYRIE_POSTGRES_DSN",
            "postgresql://eyrie@127.0.0.1:1/eyrie",
            "PostgreSQL cannot be reached",
        ),
        ("EYRIE_REDIS_URL", "redis://127.0.0.1:1/0", "Redis cannot be reached"),
    ],
)
def test_an_external_server_that_does_not_answer_is_named(
    folder: Path, variable: str, address: str, words: str
) -> None:
    refused = eyrie("up", "--data-dir", folder, "--port", "0", env={variable: address})
    assert refused.returncode == 1
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr
    assert left_over(folder) == []


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"EYRIE_HUB_PRT": "1"}, "did you mean 'EYRIE_HUB_PORT'?"),
        ({"EYRIE_HUB_PORT": "80a"}, "EYRIE_HUB_PORT"),
        ({"EYRIE_POSTGRES_DSN": "postgresql://eyrie:secret@db/eyrie"}, "postgres.password_file"),
    ],
)
def test_settings_that_cannot_be_used_are_named(
    folder: Path, env: dict[str, str], words: str
) -> None:
    refused = eyrie("up", "--data-dir", folder, "--port", "0", env=env)
    assert refused.returncode == 2
    assert words in refused.stderr
    assert "secret" not in refused.stderr


def test_status_of_nothing_says_how_to_start(folder: Path) -> None:
    answer = eyrie("status", "--data-dir", folder)
    assert answer.returncode == 3
    assert "eyrie up" in answer.stderr
