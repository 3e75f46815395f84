"""Bare servers for the tests that need no Ray."""

from tests.support.servers.store_fixtures import servers, stores

__all__ = ["servers", "stores"]
