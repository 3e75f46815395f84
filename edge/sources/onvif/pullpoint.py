"""An ONVIF PullPoint as an origin: subscribe, ask for all properties, pull, renew; again and again.

One call at a time. A device forgets what it gave: what was pulled and is not on disk when the
process is killed is lost, but every subscription begins with the value of each property.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Sequence
from typing import Literal

from actors.core.errors import EyrieError, Forbidden, Unavailable
from edge.adapters.readings import RefusedInput
from edge.sources.bounded_xml import parse
from edge.sources.mqtt import Delivery
from edge.sources.onvif import soap
from edge.sources.onvif.device import CALL_S, DeviceSettings, OnvifDevice
from edge.sources.receipts import Receipt

MAX_HELD = 16  # answers that were pulled and not yet taken over; then nothing is pulled
RETRY_S = (1.0, 15.0)  # the first wait, and the longest
REFUSED_S = 60.0  # devices lock users out after a few wrong passwords
EMPTY_S = 0.2  # between pulls of a device that answers at once with nothing
GOODBYE_S = 2.0

log = logging.getLogger("eyrie.sources.onvif")


class PullPointOrigin:
    """`state` is connecting, online, refused or away; `why` says the last trouble."""

    def __init__(self, settings: DeviceSettings, refused_s: float = REFUSED_S) -> None:
        self.state: Literal["connecting", "online", "refused", "away"] = "connecting"
        self.why = ""
        self.subscriptions = 0
        self.renewals = 0
        self._settings = settings
        self._refused_s = refused_s
        self._device = OnvifDevice(settings)
        self._held: deque[Delivery] = deque()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._subscription: soap.Subscription | None = None
        self._pulls = 0

    def start(self) -> None:
        """Subscribe in the background."""
        self._task = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """End the subscription, within `GOODBYE_S`."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._unsubscribe()

    def account(self) -> tuple[str, dict[str, object]]:
        """What the status file says of it, under which name."""
        return "device", {
            "state": self.state,
            "why": self.why,
            "subscriptions": self.subscriptions,
            "renewals": self.renewals,
            "clock_offset_s": self._device.clock_offset_s,
        }

    async def receive(self, most: int, timeout_s: float | None) -> list[Delivery]:
        """The answers that came, at most `most`; nothing after `timeout_s`. They stay held, and so
        bound what is pulled, until they are acknowledged."""
        if self._task is not None and self._task.done():
            self._task.result()  # a fault of ours ends the source
        self._arrived.clear()  # before the look: what comes after it sets it again
        if not self._held:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._arrived.wait()
            except TimeoutError:
                return []
        return list(self._held)[:most]

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """These are on disk: there is room for more."""
        for _ in deliveries:
            self._held.popleft()
        self._room.set()

    async def _work(self) -> None:
        wait_s = RETRY_S[0]
        while True:
            subscribed = self.subscriptions
            try:
                await self._subscribe()
                await self._pull()
            except Forbidden as error:
                self._told("refused", error.detail)
                wait_s = self._refused_s
            except (Unavailable, RefusedInput) as error:
                self._told("away", error.detail)
                if self.subscriptions > subscribed:
                    wait_s = RETRY_S[0]
            await self._unsubscribe()
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, RETRY_S[1])

    async def _subscribe(self) -> None:
        device = self._device
        await device.read_clock()
        events = await device.events_address()
        made = await device.call(events, soap.subscribe(self._settings.lifetime_s))
        self._subscription = soap.subscription(made)
        if self._subscription is None:
            raise Unavailable("the device made no subscription that can be found")
        self.subscriptions += 1
        self._told("online", "")
        try:
            await self._ask(soap.SYNCHRONIZE)
        except Unavailable as error:  # it may not know that: a new subscription tells all as well
            log.info("%s", error.detail)

    async def _pull(self) -> None:
        """Until the device is lost or forgets us."""
        renew_at = time.monotonic() + self._settings.lifetime_s / 2
        wait_s = self._settings.pull_s
        while True:
            self._room.clear()
            if len(self._held) >= MAX_HELD:
                await self._room.wait()
            if time.monotonic() >= renew_at:
                renew_at = time.monotonic() + self._settings.lifetime_s / 2
                await self._renew()
            payload = await self._raw(soap.pull(wait_s), wait_s + CALL_S)
            await self._pulled(payload)

    async def _pulled(self, payload: bytes) -> None:
        """Hold an answer. One that cannot be read is refused and counted where all are read, and
        is no reason to ask this subscription again."""
        refused: RefusedInput | None = None
        try:
            if not parse(payload).under("NotificationMessage"):
                await asyncio.sleep(EMPTY_S)
                return
        except RefusedInput as error:
            refused = error
        self._pulls += 1
        received_us = time.time_ns() // 1_000
        # each answer is another one: a device that counts in seconds may say the same words twice
        receipt = Receipt(f"{received_us}/{self._pulls}", payload, received_us)
        self._held.append(Delivery(receipt, 0, 0, 0))
        self._arrived.set()
        if refused is not None:
            raise refused

    async def _renew(self) -> None:
        try:
            await self._ask(soap.renew(self._settings.lifetime_s))
            self.renewals += 1
        except Unavailable as error:  # to some, pulling is renewing; to others the next pull fails
            log.info("%s", error.detail)

    async def _unsubscribe(self) -> None:
        if self._subscription is None:
            return
        with contextlib.suppress(EyrieError, TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                await self._ask(soap.UNSUBSCRIBE)
        self._subscription = None

    async def _ask(self, call: soap.Call) -> None:
        await self._raw(call, CALL_S)

    async def _raw(self, call: soap.Call, within_s: float) -> bytes:
        assert self._subscription is not None
        there = self._device.own(self._subscription.address)
        return await self._device.raw(there, call, self._subscription.parameters, within_s)

    def _told(self, state: Literal["online", "refused", "away"], why: str) -> None:
        if (state, why) != (self.state, self.why):
            level = logging.INFO if state == "online" else logging.WARNING
            log.log(level, "device %s: %s %s", self._settings.address, state, why)
        self.state, self.why = state, why
