"""One message to see whether a receiver takes it."""

import secrets

from actors.core.errors import Conflict
from connectors.sinks import envelope, webhook_requests
from connectors.sinks.envelope import CloudEvent
from connectors.sinks.http_client import HttpAnswer, HttpClient
from connectors.sinks.sealed import Secrets
from connectors.sinks.spec import SinkSpec, Webhook


async def trial(
    name: str, spec: SinkSpec, kept: Secrets, client: HttpClient, now_s: float
) -> HttpAnswer:
    """What the receiver says of a message that tells nothing. Raises Conflict for another kind of
    sink."""
    if not isinstance(spec.to, Webhook):
        raise Conflict(f"sink {name} is no webhook")
    attributes = {
        "specversion": envelope.SPEC,
        "id": f"test/{secrets.token_hex(8)}",
        "source": "/",
        "type": "eyrie.sink.test.v1",
        "datacontenttype": envelope.JSON,
    }
    message = CloudEvent(attributes, b'{"test":true}')
    headers, body = webhook_requests.request(name, spec.to, message, kept, now_s)
    return await client.post(spec.to.url, headers, body)
