"""Commands of dashboards whose stream is one-way (SSE, HTTP streaming): they come on requests of
their own, maybe to another hub, and are passed on to the hub that holds the stream, through Redis.
Who knows a session's secret is its client; secrets are 128 random bits, sealed for the name of
their hub by a key that all hubs have, so that a guess is known as one before it costs Redis or an
address anything.
"""

import hashlib
import hmac
import logging
import secrets
import time
from pathlib import Path

import msgspec

from actors.core.errors import NotFound, TooMany
from actors.core.token_bucket import Bucket
from hub.dashboards.connection import Dashboard
from policy.identity.keys import read_secret
from storage.ports.live import Broker

log = logging.getLogger(__name__)

MARK = b"\0emulate"  # what tells such a message from the canary's, which is JSON
SECRET_BYTES = 16
SEAL_BYTES = 16
KEY_BYTES = 32
PASSED_PER_S = 500.0  # requests handed on to other hubs: each costs Redis a message
PASSED_BURST = 1_000.0


class _Passed(msgspec.Struct, frozen=True, array_like=True):
    session: str
    data: bytes


class Emulation:
    """The streams of one hub, by their secret. Bounded by the connections there are."""

    def __init__(self, name: str, broker: Broker, key_file: str) -> None:
        """`key_file`: `policy.key_file`; without one no session of another hub is known here.
        Raises ConfigError."""
        self._name = name
        self._key = read_secret(Path(key_file)) if key_file else secrets.token_bytes(KEY_BYTES)
        self._broker = broker
        self._streams: dict[str, Dashboard] = {}
        self._passed = Bucket(PASSED_PER_S, PASSED_BURST, time.monotonic())

    def enter(self, dashboard: Dashboard) -> None:
        """A one-way stream begins."""
        secret = secrets.token_hex(SECRET_BYTES)
        dashboard.session.secret = secret + self._seal(secret, self._name)
        self._streams[dashboard.session.secret] = dashboard

    def forget(self, dashboard: Dashboard) -> None:
        """A connection has ended."""
        self._streams.pop(dashboard.session.secret, None)

    def own(self, node: str) -> bool:
        """Whether sessions of `node` are held here."""
        return node in ("", self._name)

    def passes(self, node: str, session: str) -> bool:
        """Whether commands of `session` would be handed on to the hub `node`."""
        return not self.own(node) and self._genuine(node, session)

    async def deliver(self, node: str, session: str, data: bytes) -> None:
        """Commands of a session that the hub `node` holds. Raises NotFound where that is known not
        to be so, TooMany, Unavailable."""
        if self.own(node):
            self._hand_over(session, data)
        elif not self._genuine(node, session):
            raise NotFound("no hub gave this session out", hint="Connect again.")
        elif not self._passed.draw(time.monotonic()):
            raise TooMany("too many commands for other hubs", retry_after_s=1.0)
        elif not await self._broker.send(
            node, MARK + msgspec.msgpack.encode(_Passed(session, data))
        ):
            raise NotFound(f"no hub is called {node[:80]!r}", hint="Connect again.")

    def receive(self, body: bytes) -> bool:
        """A message from Redis to this hub; whether it was for here."""
        if not body.startswith(MARK):
            return False
        passed = msgspec.msgpack.decode(body[len(MARK) :], type=_Passed)
        try:
            self._hand_over(passed.session, passed.data)
        except NotFound as error:
            log.info("commands passed on by another hub are dropped: %s", error.detail)
        return True

    def _genuine(self, node: str, session: str) -> bool:
        secret, seal = session[: 2 * SECRET_BYTES], session[2 * SECRET_BYTES :]
        return hmac.compare_digest(seal.encode(), self._seal(secret, node).encode())

    def _seal(self, secret: str, node: str) -> str:
        text = b"eyrie.emulation\0" + secret.encode() + b"\0" + node.encode()
        return hmac.digest(self._key, text, hashlib.sha256)[:SEAL_BYTES].hex()

    def _hand_over(self, session: str, data: bytes) -> None:
        dashboard = self._streams.get(session)
        if dashboard is None or dashboard.closing:
            raise NotFound("this hub holds no such session", hint="Connect again.")
        dashboard.on_message(data)
