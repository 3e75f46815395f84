"""Bare servers for the policy tests."""

from tests.support.servers.store_fixtures import servers, stores

__all__ = ["servers", "stores"]
