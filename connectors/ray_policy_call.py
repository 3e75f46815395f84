"""How the connectors of a worker under Ray ask policy."""

from actors.core.settings import Settings
from connectors.process import SinkConnectors
from policy.actor.ray_policy import PolicyCaller
from storage.stores import Stores


async def open_connectors(stores: Stores, settings: Settings) -> SinkConnectors:
    """`workers.worker_process.OpenConnectors`. Raises ConfigError."""
    call = PolicyCaller(
        settings.policy.replicas,
        namespace=settings.ray.namespace,
        timeout_s=settings.policy.decide_timeout_s,
    )
    return await SinkConnectors.open(stores, settings, call)
