"""Real stores for the tests of consumers."""

from tests.support.servers.store_fixtures import servers, stores

__all__ = ["servers", "stores"]
