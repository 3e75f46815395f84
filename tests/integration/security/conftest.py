"""The bare servers, for the tests that need real ones; and uvloop, the event loop that hubs run on
(Ray's asynchronous actors use it)."""

from collections.abc import Callable, Mapping

import uvloop

from tests.support.servers.store_fixtures import servers, stores

__all__ = ["servers", "stores"]


def pytest_asyncio_loop_factories(
    config: object, item: object
) -> Mapping[str, Callable[[], uvloop.Loop]]:
    return {"uvloop": uvloop.new_event_loop}
