"""Servers and doubles for the contract suites."""

from tests.support.servers.store_fixtures import contract, servers

__all__ = ["contract", "servers"]
