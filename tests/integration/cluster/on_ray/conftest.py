"""One whole stack for the tests that need nothing of their own, and the stores of the one that a
test uses."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from load_tests.checker.stored import install_witness
from storage.stores import Stores, open_stores
from tests.support.cluster.ray_stack import Stack, stack
from tests.support.cluster.started_once import StartedOnce

SHARED = StartedOnce("shared_stack", Path(__file__).parent)


def pytest_configure(config: pytest.Config) -> None:
    """See `StartedOnce`."""
    config.pluginmanager.register(SHARED, "shared stack on Ray")


@pytest.fixture(scope="session")
def shared_stack() -> Iterator[Stack]:
    """Cameras without an edge leave their actors soon; what is written is witnessed. Its stop is
    durable and in order."""
    with SHARED.started as started:
        running = started.enter_context(
            stack(
                camera={"offline_after_s": 2.0},
                cluster={"actor_dead_after_s": 10.0, "passivate_after_s": 2.0},
            )
        )
        started.callback(stopped_in_order, running)
        asyncio.run(install_witness(running.settings.postgres))
        yield running


def stopped_in_order(running: Stack) -> None:
    """Fails when something that was acked is not on disk."""
    assert running.stop()
    assert running.driver.returncode == 0


@pytest.fixture
def running(shared_stack: Stack) -> Stack:
    """The stack of the test; modules that break it have one of their own."""
    return shared_stack


@pytest.fixture
async def stores(running: Stack) -> AsyncIterator[Stores]:
    """Its stores."""
    opened = await open_stores(running.settings, name="test")
    yield opened
    await opened.close()
