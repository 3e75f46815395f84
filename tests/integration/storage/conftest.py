"""Bare servers for the storage tests."""

import pytest

from tests.support.servers.store_fixtures import Servers, servers, stores

__all__ = ["servers", "servers_redis", "stores"]


@pytest.fixture
def servers_redis(servers: Servers) -> str:
    """Where the shared Redis is."""
    return servers.settings.redis.url
