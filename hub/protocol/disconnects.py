"""Every code that ends a dashboard's connection or subscription, in one table (pure).

The number carries the reconnect rule of the Centrifuge client protocol: 3500-3999 and 4500-4999 are terminal, all others reconnect;
1009 is terminal by rule of the SDKs. Unsubscribe codes from 2500 on make the client subscribe again. The codes below 4000 are
Centrifuge's own (`disconnect.go`, `unsubscribe.go`), 4000-4999 are ours.
"""

import msgspec

from actors.core.errors import Withdrawn

MAX_REASON_BYTES = 123  # a control frame carries 125 bytes, two of them the code (RFC 6455, 5.5)


class Close(msgspec.Struct, frozen=True):
    """A close code and its reason, as the client gets them."""

    code: int
    reason: str

    @property
    def reconnects(self) -> bool:
        """Whether stock SDKs connect again by themselves."""
        return reconnects(self.code)


def reconnects(code: int) -> bool:
    """The SDKs' rule for a close code."""
    return not (3500 <= code < 4000 or 4500 <= code < 5000 or code == MESSAGE_TOO_BIG.code)


def resubscribes(code: int) -> bool:
    """The SDKs' rule for an unsubscribe code."""
    return code >= 2500


MESSAGE_TOO_BIG = Close(1009, "message too big")
POLICY_VIOLATION = Close(1008, "too many control frames")

CONNECTION_CLOSED = Close(3000, "connection closed")
SHUTDOWN = Close(3001, "shutdown")
INTERNAL_ERROR = Close(3004, "internal server error")
EXPIRED = Close(3005, "connection expired")
SUBSCRIPTION_EXPIRED = Close(3006, "subscription expired")
SLOW = Close(3008, "slow")
WRITE_ERROR = Close(3009, "write error")
INSUFFICIENT_STATE = Close(3010, "insufficient state")
FORCE_RECONNECT = Close(3011, "force reconnect")
NO_PONG = Close(3012, "no pong")
TOO_MANY_REQUESTS = Close(3013, "too many requests")
STATE_INVALIDATED = Close(3014, "state invalidated")

INVALID_TOKEN = Close(3500, "invalid token")
BAD_REQUEST = Close(3501, "bad request")
STALE = Close(3502, "stale")
FORCE_DISCONNECT = Close(3503, "force disconnect")
CONNECTION_LIMIT = Close(3504, "connection limit")
CHANNEL_LIMIT = Close(3505, "channel limit")
INAPPROPRIATE_PROTOCOL = Close(3506, "inappropriate protocol")
PERMISSION_DENIED = Close(3507, "permission denied")
NOT_AVAILABLE = Close(3508, "not available")
TOO_MANY_ERRORS = Close(3509, "too many errors")

POLICY_UNAVAILABLE = Close(4013, "policy unavailable; retry with back-off")
WITHDRAWN = Close(Withdrawn.close_code, "permission withdrawn; retry with back-off")
REVOKED = Close(4501, "token revoked; get a new one")

UNSUBSCRIBED_BY_SERVER = Close(2000, "server unsubscribe")
UNSUBSCRIBED_INSUFFICIENT_STATE = Close(2500, "insufficient state")
UNSUBSCRIBED_EXPIRED = Close(2501, "subscription expired")
UNSUBSCRIBED_STATE_INVALIDATED = Close(2502, "state invalidated")
