"""The whole product, started once for the tests that only look at it, and once for those that
bring a load of their own."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from load_tests.checker.stored import install_witness
from storage.process.settings_files import read_resolved
from tests.support.cluster.product import Product, data_folder, product
from tests.support.cluster.started_once import StartedOnce

LOOKED_AT = StartedOnce("stack", Path(__file__).parent)
LOADED = StartedOnce("bare_stack", Path(__file__).parent)


def pytest_configure(config: pytest.Config) -> None:
    """See `StartedOnce`."""
    config.pluginmanager.register(LOOKED_AT, "acceptance stack")
    config.pluginmanager.register(LOADED, "acceptance stack without a site")


@pytest.fixture(scope="session")
def stack() -> Iterator[Product]:
    """`eyrie up` with the simulated site of 8 cameras."""
    with LOOKED_AT.started as started:
        yield started.enter_context(product(started.enter_context(data_folder())))


@pytest.fixture(scope="session")
def bare_stack() -> Iterator[Product]:
    """`eyrie up` without a simulated site. What is written is witnessed, and actors that hang are
    replaced soon."""
    env = {"EYRIE_CLUSTER_ACTOR_DEAD_AFTER_S": "3"}
    with LOADED.started as started:
        path = started.enter_context(data_folder())
        running = started.enter_context(product(path, "--no-simulate", env=env))
        asyncio.run(install_witness(read_resolved(running.data.settings_file).postgres))
        yield running
