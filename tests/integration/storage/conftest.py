"""Bare servers for the storage tests. Those of Redis run on both event loops: ours (uvloop) and
Python's own, whose transports differ."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

from tests.support.servers.store_fixtures import Servers, servers, stores

__all__ = ["servers", "servers_redis", "stores"]


@pytest.fixture
def servers_redis(servers: Servers) -> str:
    """Where the shared Redis is."""
    return servers.settings.redis.url


def pytest_asyncio_loop_factories(
    config: object, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    uv = {"uvloop": uvloop.new_event_loop}
    if item.path.name.startswith("test_redis_"):
        return {"asyncio": asyncio.new_event_loop, **uv}
    return {"asyncio": asyncio.new_event_loop}
