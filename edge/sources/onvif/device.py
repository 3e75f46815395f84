"""A device that speaks ONVIF: calls, and who we are.

Nothing is said of us before the device asks: then by HTTP digest where it offers it, else by
WS-Security with the password's digest, on the device's own clock. The password itself is never
sent, so Basic is not answered. Whatever addresses a device gives, only their paths are used: host,
port and scheme stay those that it was reached by.
"""

import secrets
import ssl
import time
from collections.abc import Callable
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

import msgspec

from actors.core.errors import Forbidden, Unavailable
from actors.core.times import to_us
from edge.adapters.readings import RefusedInput
from edge.sources.bounded_xml import Element, parse
from edge.sources.onvif import soap
from edge.sources.onvif.http import DeviceAnswer, post, target
from edge.sources.onvif.http_digest import DigestChallenge, answer, challenge

CALL_S = 10.0
SERVICE = "/onvif/device_service"


class DeviceSettings(msgspec.Struct, frozen=True):
    """`address` of the device service. `credentials` is asked at every subscription."""

    address: str
    credentials: Callable[[], tuple[str, str]] | None = None
    tls: ssl.SSLContext | None = None
    lifetime_s: int = 120  # of a subscription that is not renewed
    pull_s: int = 20  # the longest that a device keeps us waiting


class OnvifDevice:
    """`clock_offset_s`: the device's clock less ours, None until it said it."""

    def __init__(self, settings: DeviceSettings) -> None:
        self.clock_offset_s: float | None = None
        self._settings = settings
        self._way: Literal["none", "digest", "token"] = "none"
        self._challenge: DigestChallenge | None = None
        self._uses = 0

    async def read_clock(self) -> None:
        """Ask for its clock; a device that does not say it is taken to go right."""
        now = soap.device_time(await self.call(self._settings.address, soap.TIME))
        if now is not None:
            self.clock_offset_s = round(to_us(now) / 1_000_000 - time.time(), 1)

    async def events_address(self) -> str:
        """Where its events are."""
        root = await self.call(self._settings.address, soap.CAPABILITIES)
        said = soap.events_address(root)
        if said is None:
            raise Unavailable(
                "the device has no event service", hint="ONVIF has to be switched on in it."
            )
        return self.own(said)

    def own(self, said: str) -> str:
        """An address that the device gave, at the device that we know."""
        ours = urlsplit(self._settings.address)
        try:
            path = urlsplit(said)
        except ValueError as error:
            raise Unavailable(f"the device gives no address: {said[:80]!r}") from error
        return urlunsplit((ours.scheme, ours.netloc, path.path or "/", path.query, ""))

    async def call(
        self, address: str, call: soap.Call, parameters: str = "", within_s: float = CALL_S
    ) -> Element:
        """The answer's root. Raises :class:`Unavailable`, also for a fault, and
        :class:`Forbidden`."""
        body = await self.raw(address, call, parameters, within_s)
        try:
            return parse(body)
        except RefusedInput as refused:
            raise Unavailable(f"the device's answer cannot be read: {refused.detail}") from refused

    async def raw(
        self, address: str, call: soap.Call, parameters: str = "", within_s: float = CALL_S
    ) -> bytes:
        """The answer's bytes, which are no fault as far as they can be read."""
        said = "no answer"
        for _ in range(3):  # without a word of us, as it asks for, and with its new nonce
            found = await self._post(address, call, parameters, within_s)
            trouble = _trouble(found)
            if trouble is None:
                return found.body
            said, about_us = trouble
            if not about_us:
                raise Unavailable(f"the device answers {said}")
            if self._settings.credentials is None or not self._learn(found):
                break
        self._way, self._challenge = "none", None  # a nonce does not outlive the wait
        raise Forbidden(
            f"the device does not let us in: {said}",
            hint="Give a user of the device that may read events: --credentials FILE.",
        )

    def _learn(self, found: DeviceAnswer) -> bool:
        """How to say who we are; whether that is worth another try."""
        asked = challenge(found.all("www-authenticate"))
        if asked is not None:
            is_wrong = self._way == "digest" and self._uses == 1  # so it is not the nonce's age
            self._way, self._challenge, self._uses = "digest", asked, 0
            return not is_wrong
        was, self._way = self._way, "token"
        return was != "token"

    async def _post(
        self, address: str, call: soap.Call, parameters: str, within_s: float
    ) -> DeviceAnswer:
        security = ""
        headers = {
            "Content-Type": f'application/soap+xml; charset=utf-8; action="{call.action}"',
            "Accept-Encoding": "identity",
        }
        ask = self._settings.credentials
        if ask is not None and self._way == "token":
            ahead = round((self.clock_offset_s or 0.0) * 1_000_000)
            user, password = ask()
            moment = time.time_ns() // 1_000 + ahead
            security = soap.user_token(user, password, secrets.token_bytes(16), moment)
        elif ask is not None and self._challenge is not None:
            self._uses += 1
            headers["Authorization"] = answer(
                self._challenge, target(address), ask(), secrets.token_hex(8), self._uses
            )
        body = soap.envelope(call, address, security, parameters)
        return await post(address, headers, body, self._settings.tls, within_s)


def _trouble(found: DeviceAnswer) -> tuple[str, bool] | None:
    """What is wrong with an answer, and whether it is about who asks."""
    try:
        said = soap.fault(parse(found.body)) if found.body else None
    except RefusedInput:
        said = None
    if found.status == 401 or (said is not None and soap.is_refusal(said)):
        return said or "401", True
    if said is None and found.status == 200:
        return None
    return said or f"HTTP {found.status}", False
