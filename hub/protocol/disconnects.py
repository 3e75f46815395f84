"""Every code that ends a dashboard's connection or subscription, in one table (pure).

The number carries the reconnect rule of the Centrifuge client protocol: 3500-3999 and 4500-4999 are
terminal, all others reconnect; 1009 is terminal by rule of the SDKs. Unsubscribe codes from 2500 on
make the client subscribe again. The codes below 4000 are Centrifuge's own (`disconnect.go`,
`unsubscribe.go`), 4000-4999 are ours.
"""

import msgspec

from actors.core.errors import Withdrawn

MAX_REASON_BYTES = 123  # a control frame carries 125 bytes, two of them the code (RFC 6455, 5.5)


class CloseCode(msgspec.Struct, frozen=True):
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


MESSAGE_TOO_BIG = CloseCode(1009, "message too big")
POLICY_VIOLATION = CloseCode(1008, "too many control frames")

CONNECTION_CLOSED = CloseCode(3000, "connection closed")
SHUTDOWN = CloseCode(3001, "shutdown")
INTERNAL_ERROR = CloseCode(3004, "internal server error")
EXPIRED = CloseCode(3005, "connection expired")
SUBSCRIPTION_EXPIRED = CloseCode(3006, "subscription expired")
SLOW = CloseCode(3008, "slow")
WRITE_ERROR = CloseCode(3009, "write error")
INSUFFICIENT_STATE = CloseCode(3010, "insufficient state")
FORCE_RECONNECT = CloseCode(3011, "force reconnect")
NO_PONG = CloseCode(3012, "no pong")
TOO_MANY_REQUESTS = CloseCode(3013, "too many requests")
STATE_INVALIDATED = CloseCode(3014, "state invalidated")

INVALID_TOKEN = CloseCode(3500, "invalid token")
BAD_REQUEST = CloseCode(3501, "bad request")
STALE = CloseCode(3502, "stale")
FORCE_DISCONNECT = CloseCode(3503, "force disconnect")
CONNECTION_LIMIT = CloseCode(3504, "connection limit")
CHANNEL_LIMIT = CloseCode(3505, "channel limit")
INAPPROPRIATE_PROTOCOL = CloseCode(3506, "inappropriate protocol")
PERMISSION_DENIED = CloseCode(3507, "permission denied")
NOT_AVAILABLE = CloseCode(3508, "not available")
TOO_MANY_ERRORS = CloseCode(3509, "too many errors")

POLICY_UNAVAILABLE = CloseCode(4013, "policy unavailable; retry with back-off")
WITHDRAWN = CloseCode(Withdrawn.close_code, "permission withdrawn; retry with back-off")
REVOKED = CloseCode(4501, "token revoked; get a new one")

UNSUBSCRIBED_BY_SERVER = CloseCode(2000, "server unsubscribe")
UNSUBSCRIBED_INSUFFICIENT_STATE = CloseCode(2500, "insufficient state")
UNSUBSCRIBED_EXPIRED = CloseCode(2501, "subscription expired")
UNSUBSCRIBED_STATE_INVALIDATED = CloseCode(2502, "state invalidated")
