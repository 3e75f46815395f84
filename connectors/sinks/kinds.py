"""The kinds of connectors that sinks are."""

from collections.abc import Mapping

from connectors.sinks import jetstream, webhook
from connectors.sinks.context import SinkContext
from workers.kinds import ConnectorKind


def kinds_of(context: SinkContext) -> Mapping[str, ConnectorKind]:
    """By name."""
    kinds = [
        ConnectorKind("sink.webhook", lambda connector: webhook.run(connector, context)),
        ConnectorKind("sink.jetstream", lambda connector: jetstream.run(connector, context)),
    ]
    return {kind.name: kind for kind in kinds}
