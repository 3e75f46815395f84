"""MQTT in: one subscription of paho, with acknowledgements by hand.

A message of QoS 1 stays the broker's until `acknowledge`. The session is stable (a client id, no
clean start), so what comes while we are away waits at the broker, and what was not acknowledged
comes again. Packet ids mean something on their own connection only: those of another are not
acknowledged. paho runs in a thread of its own; everything else in the event loop.
"""

import asyncio
import logging
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.sources.receipts import Receipt

Version = Literal["3.1.1", "5"]
MAX_HELD = 4_096  # messages taken from the broker and not yet taken over; then reading stops
MAX_PAYLOAD_BYTES = 1_048_576
FULL_PAUSE_S = 0.05
COMPANY_S = 0.002  # the first message waits for more: a round costs one sync, however many it has
SESSION_EXPIRY_S = 7 * 86_400  # how long the broker keeps our place (MQTT 5)
RECEIVE_MAXIMUM = 1_000  # messages of QoS 1 under way at once (MQTT 5)

log = logging.getLogger("eyrie.sources.mqtt")


class MqttSettings(msgspec.Struct, frozen=True):
    """Where the broker is. `client_id` names the session there: one per source, stable over
    restarts. `credentials` is asked at every connection for (user, password)."""

    host: str
    port: int
    client_id: str
    version: Version = "5"
    keepalive_s: int = 20
    tls: ssl.SSLContext | None = None
    credentials: Callable[[], tuple[str, str] | None] | None = None


class Delivery(msgspec.Struct, frozen=True):
    """A message and what acknowledges it. `qos` 0 cannot be acknowledged: the broker has forgotten
    it."""

    receipt: Receipt
    connection: int
    packet: int
    qos: int


class MqttOrigin:
    """Subscribed to `topics` while started. `state` is connecting, online, refused or away;
    `why` says the last trouble. `lost_session`: connections at which the broker had forgotten our
    session."""

    def __init__(self, settings: MqttSettings, topics: Sequence[str]) -> None:
        self.state: Literal["connecting", "online", "refused", "away"] = "connecting"
        self.why = ""
        self.connections = 0
        self.lost_session = 0
        self.too_large = 0
        self._settings = settings
        self._topics = list(topics)
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._held: deque[Delivery] = deque()
        self._lock = threading.Lock()  # over the number of the connection and acknowledgements
        self._connection = 0  # changes with every connection made and lost
        self._stopping = False
        self._client = self._make()

    def start(self) -> None:
        """Connect in the background, again and again."""
        properties = None
        if self._settings.version == "5":
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = SESSION_EXPIRY_S
            properties.ReceiveMaximum = RECEIVE_MAXIMUM
        options: dict[str, Any] = {}
        if self._settings.version == "5":
            options = {"clean_start": False, "properties": properties}
        self._client.connect_async(
            self._settings.host, self._settings.port, self._settings.keepalive_s, **options
        )
        self._client.loop_start()

    async def stop(self) -> None:
        """Disconnect; the session stays at the broker."""
        self._stopping = True
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    def account(self) -> tuple[str, dict[str, object]]:
        """What the status file says of it, and under which name."""
        return "broker", {
            "state": self.state,
            "why": self.why,
            "connections": self.connections,
            "lost_session": self.lost_session,
        }

    async def receive(self, most: int, timeout_s: float | None) -> list[Delivery]:
        """What came, at most `most` messages in the broker's order; nothing after `timeout_s`."""
        self._arrived.clear()  # before the look: what comes after it sets it again
        if not self._held:
            try:
                async with asyncio.timeout(timeout_s):  # `wait_for` may swallow a cancellation
                    await self._arrived.wait()
            except TimeoutError:
                return []
            await asyncio.sleep(COMPANY_S)
        return [self._held.popleft() for _ in range(min(most, len(self._held)))]

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """These are taken over: the broker may forget them. In the order in which they came."""
        with self._lock:
            for delivery in deliveries:
                if delivery.qos and delivery.connection == self._connection:
                    self._client.ack(delivery.packet, delivery.qos)

    def _make(self) -> Client:
        settings = self._settings
        is_5 = settings.version == "5"
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            clean_session=None if is_5 else False,
            protocol=MQTTProtocolVersion.MQTTv5 if is_5 else MQTTProtocolVersion.MQTTv311,
            manual_ack=True,
        )
        client.reconnect_delay_set(min_delay=1, max_delay=15)
        if settings.tls is not None:
            client.tls_set_context(settings.tls)
        self._authenticate(client)
        client.on_pre_connect = lambda client, _data: self._authenticate(client)
        client.on_connect = self._connected
        client.on_connect_fail = lambda _client, _data: self._told("away", "no connection")
        client.on_subscribe = self._subscribed
        client.on_disconnect = self._disconnected
        client.on_message = self._message
        return client

    # in paho's thread

    def _authenticate(self, client: Client) -> None:
        ask = self._settings.credentials
        pair = ask() if ask is not None else None
        if pair is not None:
            client.username_pw_set(*pair)

    def _connected(
        self,
        client: Client,
        _data: object,
        flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._told("refused", str(reason))
            return
        self.connections += 1
        with self._lock:
            self._connection += 1
        if not flags.session_present and self.connections > 1:
            self.lost_session += 1
        client.subscribe([(topic, 1) for topic in self._topics])

    def _subscribed(
        self,
        _client: Client,
        _data: object,
        _packet: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        refused = [
            topic for topic, reason in zip(self._topics, reasons, strict=False) if reason.is_failure
        ]
        if refused:
            self._told("refused", f"not allowed to subscribe to {', '.join(refused)}")
        else:
            self._told("online", "")

    def _disconnected(
        self,
        _client: Client,
        _data: object,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        with self._lock:
            self._connection += 1  # what was delivered on the last one comes again
        if self.state != "refused":
            self._told("away", "" if self._stopping else str(reason))

    def _message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        payload = bytes(message.payload)
        if len(payload) > MAX_PAYLOAD_BYTES:
            self.too_large += 1
            payload = b""  # refused as malformed, and acknowledged like everything else
        received_us = time.time_ns() // 1_000
        delivery = Delivery(
            Receipt(message.topic, payload, received_us, bool(message.retain), bool(message.dup)),
            self._connection,
            message.mid,
            message.qos,
        )
        while len(self._held) >= MAX_HELD and not self._stopping:
            time.sleep(FULL_PAUSE_S)  # in paho's thread: its socket fills, the broker waits
        self._held.append(delivery)
        if not self._arrived.is_set():  # a call into the loop is a system call
            self._loop.call_soon_threadsafe(self._arrived.set)

    def _told(self, state: Literal["online", "refused", "away"], why: str) -> None:
        if (state, why) != (self.state, self.why):
            log.log(
                logging.INFO if state == "online" else logging.WARNING,
                "broker %s:%d: %s %s",
                self._settings.host,
                self._settings.port,
                state,
                why,
            )
        self.state, self.why = state, why
