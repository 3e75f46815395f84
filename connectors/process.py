"""The connectors of one worker process: what they share, opened and closed together."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from actors.core.errors import ConfigError
from actors.core.settings import Settings
from connectors import metrics
from connectors.sinks import guard, sealed
from connectors.sinks.context import SinkContext
from connectors.sinks.http_client import HttpClient
from connectors.sinks.kinds import kinds_of
from hub.access import redaction
from policy.decision.enforcer import Call
from policy.decision.policy_client import PolicyClient
from storage.process.metrics import Metric
from storage.stores import Stores, keyring_folder
from workers.kinds import ConnectorKind


class SinkConnectors:
    """`workers.worker_process.Connectors`."""

    def __init__(self, context: SinkContext, policy: PolicyClient) -> None:
        self._context = context
        self._policy = policy
        self.kinds: Mapping[str, ConnectorKind] = kinds_of(context)

    @classmethod
    async def open(cls, stores: Stores, settings: Settings, call: Call) -> "SinkConnectors":
        """`call` asks a policy actor. Raises ConfigError."""
        redaction.show_also(settings.policy.shown_attributes)
        allowed = guard.networks(settings.sinks.private_receivers)
        key = await asyncio.to_thread(sealed.key_of, keyring_folder(settings))
        policy = PolicyClient(call, stores.policy.marks, settings)
        await policy.refresh()
        policy.start()
        context = SinkContext(
            store=stores.sinks,
            breakers=stores.breakers,
            decider=policy.enforcer,
            key=key,
            client=HttpClient(allowed),
            allowed=allowed,
            nats_url=settings.nats.url,
            nats_token=await asyncio.to_thread(_token, settings.nats.token_file),
        )
        return cls(context, policy)

    def collect(self) -> list[Metric]:
        """Their metrics."""
        return metrics.collect(self._context.counts)

    async def close(self) -> None:
        """After the connectors have ended."""
        await self._policy.close()


def _token(path: str) -> str:
    """Blocking. Raises ConfigError."""
    if not path:
        return ""
    try:
        return Path(path).expanduser().read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"nats.token_file cannot be read: {error}") from error
