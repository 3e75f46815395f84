"""The bench of density: it believes PostgreSQL and not the devices, and its devices come back when
policy had no time for them."""

import asyncio
import os
from typing import Any, cast

import pytest

from actors.core.errors import StartError
from actors.core.messages.edge_protocol import Bye, Hello
from load_tests.benches.on_ray import actors
from load_tests.benches.on_ray.ray_bare_actors import pss_bytes
from load_tests.drivers import bench_devices
from load_tests.drivers.bench_devices import Driven, DriverPlan
from load_tests.harness.stack import Stack


class Settings:
    """A stack without one."""

    settings = None


def test_acks_that_postgresql_does_not_have_fail_the_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    driven = Driven(1.0, 5, [], [], {"a": 5, "b": 5}, {"a": 5, "b": 5}, 0, 0.0)
    monkeypatch.setattr(
        actors, "committed", lambda _settings, names: {name: ("full", 5) for name in names}
    )
    actors._agree(cast(Stack, Settings()), ["a", "b"], driven)
    monkeypatch.setattr(
        actors, "committed", lambda _settings, _names: {"a": ("full", 5), "b": ("full", 4)}
    )
    with pytest.raises(StartError, match="1 cameras have not what was acked, b"):
        actors._agree(cast(Stack, Settings()), ["a", "b"], driven)


async def test_a_device_that_policy_had_no_time_for_comes_back_and_any_other_end_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bench_devices, "RETRY_S", 0.0)
    sent: list[Any] = []
    socket = bench_devices._Socket(
        ["a"], DriverPlan("127.0.0.1", 1, "", "cold", [["a"]], 1.0, 0.0, 1.0), lambda _camera: None
    )
    monkeypatch.setattr(socket, "send", sent.append)
    socket.message(Bye(4013, "no decision", "a"))
    async with asyncio.timeout(30):
        while not sent:
            await asyncio.sleep(0)
    assert sent == [Hello("a", "cold", 1)]
    assert socket.failed == ""
    socket.message(Bye(4509, "superseded", "a"))
    assert "4509" in socket.failed


def test_memory_is_read_of_the_kernel() -> None:
    assert pss_bytes(os.getpid()) > 2**20
