"""Real recordings through the whole product: all accounted for, twice is once, and a kill in the
middle changes nothing derived."""

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster.product import (
    COMMAND,
    ROOT,
    Product,
    committed_seqs,
    data_folder,
    eyrie,
    product,
)
from tests.support.load.recordings import recording
from tests.support.waiting import block_until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

GARAGE = "nvidia-360d/garage.jsonl"
GARAGE_MESSAGES = 2000
UNTIMED = "opendatacam/rawdetections.ndjson"
FRAMES = 2573
PACKED = {
    "EYRIE_CLUSTER_CAMERAS_PER_ACTOR": "16"
}  # as many processes as two cores start quickly; `prove` runs one camera per actor


def replay(path: Path, name: str, form: str) -> dict[str, Any]:
    """Replay a recording at full speed; its account. Fails when the account does not add up."""
    done = eyrie(
        "replay",
        recording(name),
        "--format",
        form,
        "--speed",
        "max",
        "--json",
        "--site",
        "garage",
        "--data-dir",
        path,
        timeout_s=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def export(path: Path, to: Path) -> None:
    """Everything stored, into a file."""
    done = eyrie("audit", "export", to, "--source", path)
    assert done.returncode == 0, done.stderr


@dataclass(frozen=True)
class Twice:
    """The garage, replayed twice: each account, what was stored behind it, and what `eyrie audit
    verify` said at the end; and the account of frames without times or tracks, replayed
    thereafter."""

    first: dict[str, Any]
    before: Path
    second: dict[str, Any]
    after: Path
    untimed: dict[str, Any]
    verified: "subprocess.CompletedProcess[str]"


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Twice:
    recording(GARAGE)
    recording(UNTIMED)
    folder = tmp_path_factory.mktemp("garage")
    before, after = folder / "first.ndjson", folder / "second.ndjson"
    with data_folder() as path, product(path, "--no-simulate", env=PACKED):
        first = replay(path, GARAGE, "deepstream")
        export(path, before)
        second = replay(path, GARAGE, "deepstream")
        export(path, after)
        untimed = replay(path, UNTIMED, "opendatacam")
        return Twice(first, before, second, after, untimed, eyrie("audit", "verify", path))


def test_the_garage_twice_is_the_garage_once(twice: Twice) -> None:
    assert twice.first["messages"] == GARAGE_MESSAGES
    assert twice.first["committed"] + sum(twice.first["rejected"].values()) == GARAGE_MESSAGES
    assert twice.second["duplicate"] + sum(twice.second["rejected"].values()) == GARAGE_MESSAGES
    assert twice.second["committed"] == 0
    assert twice.before.read_bytes() == twice.after.read_bytes()
    assert twice.verified.returncode == 0, twice.verified.stdout


def test_frames_without_times_or_tracks_replay_whole(twice: Twice) -> None:
    account = twice.untimed
    assert account["messages"] == FRAMES
    assert account["committed"] + account["duplicate"] + sum(account["rejected"].values()) == FRAMES
    assert account["committed"] > 0


def killed_in_the_middle(path: Path, env: dict[str, str]) -> int:
    """Start, replay, `kill -9` everything when a part is committed; how much was. Fails when the
    kill came too late."""
    running = Product(path, ["--no-simulate"], env)
    running.wait_ready()
    arguments = [
        "replay",
        str(recording(GARAGE)),
        "--format",
        "deepstream",
        "--speed",
        "max",
        "--site",
        "garage",
        "--data-dir",
        str(path),
    ]
    device = subprocess.Popen(
        [*COMMAND, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        block_until(
            lambda: committed_seqs(running.data) >= GARAGE_MESSAGES // 4,
            "a part of the recording is committed",
            within_s=120,
        )
        killed = running.kill_everything()
        assert len(killed) >= 8, killed
    finally:
        device.kill()
        device.wait()
    return len(killed)


def undisturbed_equals_killed(undisturbed: Path, env: dict[str, str]) -> dict[str, Any]:
    """The *Must show*: a killed and repeated run derives what an undisturbed one did, whose export
    is given. The second run's account."""
    with data_folder() as harsh:
        killed_in_the_middle(harsh, env)
        begun = time.monotonic()
        with product(harsh, "--no-simulate", env=env):
            account = replay(harsh, GARAGE, "deepstream")
            compared = eyrie("audit", "diff", undisturbed, harsh, "--json")
            verified = eyrie("audit", "verify", harsh)
        account["again_s"] = time.monotonic() - begun
    verdict = json.loads(compared.stdout)
    assert verdict["green"], verdict["findings"]
    assert verdict["events"] > 0
    assert verified.returncode == 0, verified.stdout
    assert 0 < account["duplicate"] < GARAGE_MESSAGES, "the kill did not come in the middle"
    assert (
        account["duplicate"] + account["committed"] + sum(account["rejected"].values())
        == GARAGE_MESSAGES
    )
    return account


@pytest.mark.prove
def test_a_kill_in_the_middle_changes_nothing_derived(twice: Twice) -> None:
    undisturbed_equals_killed(twice.before, PACKED)


@pytest.mark.prove
def test_a_kill_in_the_middle_changes_nothing_derived_with_an_actor_for_each_camera(
    tmp_path: Path,
) -> None:
    recording(GARAGE)
    with data_folder() as calm, product(calm, "--no-simulate"):
        replay(calm, GARAGE, "deepstream")
        export(calm, tmp_path / "calm.ndjson")
    undisturbed_equals_killed(tmp_path / "calm.ndjson", {})
