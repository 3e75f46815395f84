"""A simulated ONVIF device: its clock, an event service with PullPoint subscriptions, users by HTTP
digest or WS-Security, and faults. It checks what a device checks."""

import asyncio
import base64
import contextlib
import hashlib
import re
import ssl
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from edge.sources.bounded_xml import Element, parse
from edge.sources.onvif.http_digest import answer, challenge

USER, PASSWORD = "viewer", "s3cret&<"
FRESH_S = 60  # the oldest WS-Security token by the device's clock
REALM = 'Digest realm="cam", nonce="{}", algorithm={}, qop="auth"'


@dataclass
class DeviceSwitches:
    """What goes wrong. Each stays until it is changed, unless its comment says once."""

    access: str = "none"  # or digest, token
    password: str = PASSWORD
    ahead_s: float = 0.0  # of the device's clock
    replies: list[bytes] = field(default_factory=list)  # once each: instead of the next pull's
    half: bool = False  # once: the next pull's answer is cut in the middle
    elsewhere: str | None = None  # the host that it says its services are at
    no_synchronization: bool = False


@dataclass
class PulledSubscription:
    """What one subscriber has not got, and until when it is kept."""

    until: float
    waiting: list[str] = field(default_factory=list)


class SimulatedOnvifDevice:
    """Use it as a context; `url` is its device service. `calls`: what was asked, in order;
    `violations`: what a client must not do."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.switches = DeviceSwitches()
        self.calls: list[str] = []
        self.violations: list[str] = []
        self.subscriptions: dict[str, PulledSubscription] = {}
        self.properties: dict[str, str] = {}  # topic → value
        self.refusals = 0
        self.url = ""
        self._server: asyncio.Server | None = None
        self._news = asyncio.Condition()
        self._nonces: set[str] = set()
        self._pulling: set[str] = set()
        self._made = 0

    async def __aenter__(self) -> "SimulatedOnvifDevice":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, port: int = 0) -> None:
        """Begin, without any subscription from before."""
        self.subscriptions.clear()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        scheme = "https" if self._tls is not None else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}/onvif/device_service"

    async def stop(self) -> None:
        """End; what waits for messages gets none."""
        if self._server is not None:
            self._server.close()
            self.subscriptions.clear()
            async with self._news:
                self._news.notify_all()
            await self._server.wait_closed()

    async def set(self, topic: str, value: str) -> None:
        """A property changes."""
        self.properties[topic] = value
        await self._tell(self.notice(topic, value, "Changed"))

    async def happens(self, topic: str, value: str) -> None:
        """An event that is no property."""
        await self._tell(self.notice(topic, value, None))

    async def forget(self) -> None:
        """All subscriptions are gone."""
        self.subscriptions.clear()
        async with self._news:
            self._news.notify_all()

    def notice(self, topic: str, value: str, operation: str | None) -> str:
        """A notification at the device's time, which has whole seconds."""
        moment = datetime.fromtimestamp(self._now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        said = f' PropertyOperation="{operation}"' if operation else ""
        return (
            '<wsnt:NotificationMessage><wsnt:Topic Dialect="http://www.onvif.org/ver10/tev/'
            f'topicExpression/ConcreteSet">{topic}</wsnt:Topic><wsnt:Message><tt:Message '
            f'UtcTime="{moment}"{said}><tt:Source><tt:SimpleItem Name="Source" Value="1"/>'
            f'</tt:Source><tt:Data><tt:SimpleItem Name="State" Value="{value}"/></tt:Data>'
            "</tt:Message></wsnt:Message></wsnt:NotificationMessage>"
        )

    def _now(self) -> float:
        return time.time() + self.switches.ahead_s

    async def _tell(self, notice: str) -> None:
        for one in self.subscriptions.values():
            one.waiting.append(notice)
        async with self._news:
            self._news.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            path = head[0].split()[1]
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
            signed = next((line[15:] for line in head if line.startswith("Authorization: ")), "")
            body = await reader.readexactly(int(headers["content-length"]))
            status, extra, reply = await self._answer(path, signed, parse(body))
            sent = f"HTTP/1.1 {status} X\r\nContent-Length: {len(reply)}\r\n{extra}\r\n"
            if self.switches.half and self.calls[-1] == "PullMessages":
                self.switches.half = False
                reply = reply[: len(reply) // 2]
            writer.write(sent.encode() + reply)
            await writer.drain()
        writer.close()

    async def _answer(self, path: str, signed: str, root: Element) -> tuple[int, str, bytes]:
        what = root.all("Body")[0].children[0]
        self.calls.append(what.name)
        if what.name == "GetSystemDateAndTime":
            return 200, "", self._clock()
        refused = self._refused(path, signed, root)
        if refused is not None:
            self.refusals += 1
            return refused
        name = path.rpartition("/")[2]
        match what.name:
            case "GetCapabilities":
                at = self._at("/onvif/event_service")
                return _said(
                    "<tds:GetCapabilitiesResponse><tds:Capabilities><tt:Events><tt:XAddr>"
                    f"{at}</tt:XAddr></tt:Events></tds:Capabilities></tds:GetCapabilitiesResponse>"
                )
            case "CreatePullPointSubscription":
                return self._subscribed(_seconds(what, "InitialTerminationTime"))
        found = self.subscriptions.get(name)
        if found is None or found.until < time.monotonic():
            self.subscriptions.pop(name, None)
            return _fault("wsrf-rw:ResourceUnknownFault", "no such subscription")
        number = root.first("Header", "Number")
        if number is None or number.text != name:
            self.violations.append("the parameters of the reference did not come back")
        match what.name:
            case "PullMessages":
                return await self._pulled(name, found, _seconds(what, "Timeout"))
            case "SetSynchronizationPoint":
                if self.switches.no_synchronization:
                    return _fault("s:ActionNotSupported", "not here")
                found.waiting += [
                    self.notice(topic, value, "Initialized")
                    for topic, value in self.properties.items()
                ]
            case "Renew":
                found.until = time.monotonic() + _seconds(what, "TerminationTime")
            case "Unsubscribe":
                del self.subscriptions[name]
        return _said(f"<wsnt:{what.name}Response/>")

    def _subscribed(self, seconds: float) -> tuple[int, str, bytes]:
        self._made += 1
        name = str(self._made)
        self.subscriptions[name] = PulledSubscription(time.monotonic() + seconds)
        return _said(
            "<tev:CreatePullPointSubscriptionResponse><tev:SubscriptionReference><a:Address>"
            f"{self._at(f'/onvif/sub/{name}')}</a:Address><a:ReferenceParameters>"
            f'<d:Number xmlns:d="urn:device">{name}</d:Number></a:ReferenceParameters>'
            "</tev:SubscriptionReference></tev:CreatePullPointSubscriptionResponse>"
        )

    async def _pulled(
        self, name: str, found: PulledSubscription, seconds: float
    ) -> tuple[int, str, bytes]:
        if name in self._pulling:
            self.violations.append("two pulls at once")
        self._pulling.add(name)
        try:
            async with asyncio.timeout(seconds), self._news:
                while not (found.waiting or self.switches.replies) and name in self.subscriptions:
                    await self._news.wait()
        except TimeoutError:
            pass
        finally:
            self._pulling.discard(name)
        if self.switches.replies:
            return 200, "", self.switches.replies.pop(0)
        given, found.waiting = found.waiting[:100], found.waiting[100:]
        return _said(f"<tev:PullMessagesResponse>{''.join(given)}</tev:PullMessagesResponse>")

    def _at(self, path: str) -> str:
        return f"http://{self.switches.elsewhere or f'127.0.0.1:{self.port}'}{path}"

    def _clock(self) -> bytes:
        now = datetime.fromtimestamp(self._now(), UTC)
        return _said(
            "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:UTCDateTime><tt:Time>"
            f"<tt:Hour>{now.hour}</tt:Hour><tt:Minute>{now.minute}</tt:Minute><tt:Second>"
            f"{now.second}</tt:Second></tt:Time><tt:Date><tt:Year>{now.year}</tt:Year><tt:Month>"
            f"{now.month}</tt:Month><tt:Day>{now.day}</tt:Day></tt:Date></tt:UTCDateTime>"
            "</tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>"
        )[2]

    def _refused(self, path: str, signed: str, root: Element) -> tuple[int, str, bytes] | None:
        if self.switches.access == "digest":
            used = re.search(r'nonce="([^"]+)".*nc=(\w+), cnonce="([^"]+)"', signed)
            if used is not None and used[1] in self._nonces:
                asked = challenge([REALM.format(used[1], "SHA-256")])
                assert asked is not None
                count = int(used[2], 16)
                wanted = answer(asked, path, (USER, self.switches.password), used[3], count)
                if signed == wanted and count <= 3:  # then it wants a new nonce
                    return None
            fresh = f"n{len(self._nonces)}"
            self._nonces.add(fresh)
            offers = [REALM.format(fresh, kind) for kind in ("MD5", "SHA-256")]
            extra = "".join(f"WWW-Authenticate: {one}\r\n" for one in ['Basic realm="x"', *offers])
            return 401, extra, b""
        if self.switches.access == "token" and not self._is_known(root):
            _, extra, reply = _fault("ter:NotAuthorized", "who are you?")
            return 400, extra, reply
        return None

    def _is_known(self, root: Element) -> bool:
        token = root.first("Header", "Security", "UsernameToken")
        if token is None:
            return False
        user, said, once, created = (
            part.text if (part := token.first(name)) is not None else ""
            for name in ("Username", "Password", "Nonce", "Created")
        )
        age_s = self._now() - datetime.fromisoformat(created).timestamp()
        if once in self._nonces or abs(age_s) > FRESH_S:
            return False
        self._nonces.add(once)
        text = base64.b64decode(once) + created.encode() + self.switches.password.encode()
        wanted = base64.b64encode(hashlib.sha1(text, usedforsecurity=False).digest()).decode()
        return user == USER and said == wanted


def _said(body: str) -> tuple[int, str, bytes]:
    return 200, "", enveloped(body)


def enveloped(body: str) -> bytes:
    """An answer of a device."""
    return (
        '<?xml version="1.0"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
        'xmlns:a="http://www.w3.org/2005/08/addressing" '
        'xmlns:ter="http://www.onvif.org/ver10/error" '
        'xmlns:wsrf-rw="http://docs.oasis-open.org/wsrf/rw-2" '
        'xmlns:tds="http://www.onvif.org/ver10/device/wsdl" '
        'xmlns:tev="http://www.onvif.org/ver10/events/wsdl" '
        'xmlns:tt="http://www.onvif.org/ver10/schema" '
        'xmlns:wsnt="http://docs.oasis-open.org/wsn/b-2" '
        'xmlns:tns1="http://www.onvif.org/ver10/topics">'
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def _fault(code: str, reason: str) -> tuple[int, str, bytes]:
    body = enveloped(
        "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>"
        f'{code}</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang="en">{reason}</s:Text>'
        "</s:Reason></s:Fault>"
    )
    return 500, "", body


def _seconds(call: Element, name: str) -> float:
    found = call.first(name)
    assert found is not None
    matched = re.fullmatch(r"PT(\d+)S", found.text)
    assert matched is not None
    return float(matched[1])
