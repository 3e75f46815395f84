"""The request that carries one message to a receiver."""

from collections.abc import Mapping

from connectors.sinks import envelope, signatures
from connectors.sinks.envelope import CloudEvent
from connectors.sinks.sealed import Secrets
from connectors.sinks.spec import Webhook

AGENT = "eyrie-webhook/1"


def request(
    sink: str,
    to: Webhook,
    message: CloudEvent,
    kept: Secrets,
    now_s: float,
    *,
    replay: bool = False,
) -> tuple[Mapping[str, str], bytes]:
    """(headers, body), signed as of `now_s` (seconds since 1970)."""
    if to.mode == "binary":
        headers, body = envelope.headers(message), message.data
    else:
        headers, body = {"content-type": envelope.STRUCTURED}, envelope.structured(message)
    id = signatures.message_id(message.id, sink)
    signed = signatures.signed(kept.in_force(now_s), id, int(now_s), body)
    extra = {"webhook-replay": "1"} if replay else {}
    return {"user-agent": AGENT, "idempotency-key": id, **headers, **signed, **extra}, body
