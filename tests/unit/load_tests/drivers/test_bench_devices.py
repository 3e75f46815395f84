"""The raw devices of the benches send what is due and admitted, in frames that the hub
understands."""

import time

import msgspec
import pytest

from actors.core.camera.decoding import decode
from actors.core.messages.edge_protocol import ObserveRaw
from load_tests.drivers import bench_devices
from load_tests.drivers.bench_devices import DriverPlan
from load_tests.drivers.edge_socket import PER_FRAME
from load_tests.harness.synthetic_scene import walk

PLAN = DriverPlan("127.0.0.1", 1, "token", "s1", [["cam"]], rate=1000.0, warm_s=0.0, measure_s=10.0)


def test_frames_hold_what_is_due_and_no_more_than_credits_admit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[bytes] = []
    monkeypatch.setattr(
        bench_devices._Socket, "send_payload", lambda _self, payload: sent.append(payload)
    )
    run = bench_devices._Run(PLAN, walk(1, 5, 400))
    (camera,) = run._cameras
    camera.limit = 3 * PER_FRAME // 2
    now = time.perf_counter()
    run._began = now - 0.3  # 300 are due
    run._fill(camera, now)
    messages = [msgspec.msgpack.decode(payload, type=ObserveRaw) for payload in sent]
    assert [(m.first_seq, len(m.observations)) for m in messages] == [
        (1, PER_FRAME),
        (PER_FRAME + 1, PER_FRAME // 2),
    ]
    assert all(
        len(decode(bytes(raw), "msgpack")[0].objects or ()) == 5
        for m in messages
        if isinstance(m, ObserveRaw)
        for raw in m.observations
    )
    camera.acked = camera.limit
    run._window_from, run._window_to = now, now + 60.0
    run._acked(camera)
    assert run._in_window == camera.limit
    assert len(run._from_sent) == len(run._from_due) == camera.limit
