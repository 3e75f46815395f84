"""The private Ray head: joinable with its token only, on loopback, and gone with everything it
started."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.core.settings import RaySettings
from cluster.ray.head import RayHead, ensure_token
from cluster.ray.process import descendants, environment
from storage.embedded.data_dir import DataDir, start_time
from tests.support.cluster.product import ROOT, data_folder
from tests.support.grpc_probe import OK, UNAUTHENTICATED, call
from tests.support.waiting import block_until

pytestmark = pytest.mark.ray

NODES = "/ray.rpc.NodeInfoGcsService/GetAllNodeInfo"
JOIN = """
import sys, ray
ray.init(address=sys.argv[1], namespace="test", log_to_driver=False, configure_logging=False)
print(int(ray.cluster_resources()["camera_slot"]))
"""


@pytest.fixture
def data() -> Iterator[DataDir]:
    with data_folder() as path:
        made = DataDir(path)
        made.prepare()
        yield made


def join(head: RayHead, token_file: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", JOIN, head.address],
        env={**environment(token_file), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_it_is_joined_with_the_token_of_the_settings_and_leaves_nothing(
    data: DataDir, tmp_path: Path
) -> None:
    named = tmp_path / "named.token"
    ensure_token(named)
    head = RayHead(data, cameras=7, settings=RaySettings(token_file=str(named)))
    head.spawn()
    try:
        head.wait()
        assert head.address.startswith("127.")
        assert list(data.keys.iterdir()) == []
        assert join(head, named).stdout.split() == ["7"]
        host, _, port = head.address.partition(":")
        token = named.read_text(encoding="ascii").strip()
        for said, answer in ((token, OK), ("0" * 64, UNAUTHENTICATED)):
            headers = (("authorization", f"Bearer {said}"),)
            assert call(host, int(port), NODES, headers) == answer
        family = {
            pid: start_time(pid)
            for pid in descendants(next(r.pid for r in data.noted() if r.name == "ray"))
        }
        assert len(family) >= 3
    finally:
        head.stop()
    assert [
        pid for pid, started in family.items() if started is not None and start_time(pid) == started
    ] == []
    assert list(data.run.glob("*.pid")) == []
    assert not head.alive()


def test_it_starts_again_after_a_kill(data: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    awkward = data.path / (
        "t" * max(1, 24 - len(str(data.path)))
    )  # with Ray's sockets below it a path would be too long for the kernel
    awkward.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(awkward))
    head = RayHead(data, cameras=1)
    head.spawn()
    try:
        head.wait()
        assert stat.S_IMODE(head.token_file.stat().st_mode) == 0o600
        first = head.address
        for record in data.noted():
            os.kill(record.pid, signal.SIGKILL)
        block_until(lambda: not head.alive(), "the head is gone")
        head.stop()
        assert data.end_leftovers() == []
        head.spawn()
        head.wait()
        assert head.address == first
    finally:
        head.stop()
