"""SOAP of ONVIF: the fixed envelopes, and what is read of their answers (pure)."""

import base64
import hashlib
from datetime import UTC, datetime
from xml.sax.saxutils import escape

import msgspec

from actors.core.times import from_us
from edge.sources.bounded_xml import Element

DEVICE = "http://www.onvif.org/ver10/device/wsdl"
EVENTS = "http://www.onvif.org/ver10/events/wsdl"
NOTIFICATION = "http://docs.oasis-open.org/wsn"
SECURITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
ANONYMOUS = "http://www.w3.org/2005/08/addressing/anonymous"
MAX_PARAMETERS = 8  # of the reference to a subscription
MESSAGES = 100  # asked for at once
SPACES = (
    'xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:a="http://www.w3.org/2005/08/addressing" '
    f'xmlns:tds="{DEVICE}" xmlns:tev="{EVENTS}" xmlns:wsnt="{NOTIFICATION}/b-2"'
)


class Call(msgspec.Struct, frozen=True):
    """One operation: its action and the body of its envelope."""

    action: str
    body: str


class Subscription(msgspec.Struct, frozen=True):
    """Where a subscription is, as the device says; `parameters` come back in every header."""

    address: str
    parameters: str = ""


TIME = Call(f"{DEVICE}/GetSystemDateAndTime", "<tds:GetSystemDateAndTime/>")
CAPABILITIES = Call(
    f"{DEVICE}/GetCapabilities",
    "<tds:GetCapabilities><tds:Category>Events</tds:Category></tds:GetCapabilities>",
)
SYNCHRONIZE = Call(
    f"{EVENTS}/PullPointSubscription/SetSynchronizationPointRequest",
    "<tev:SetSynchronizationPoint/>",
)
UNSUBSCRIBE = Call(
    f"{NOTIFICATION}/bw-2/SubscriptionManager/UnsubscribeRequest", "<wsnt:Unsubscribe/>"
)


def subscribe(lifetime_s: int) -> Call:
    """A subscription to all events, for so long unless it is renewed."""
    return Call(
        f"{EVENTS}/EventPortType/CreatePullPointSubscriptionRequest",
        "<tev:CreatePullPointSubscription><tev:InitialTerminationTime>"
        f"PT{lifetime_s}S</tev:InitialTerminationTime></tev:CreatePullPointSubscription>",
    )


def pull(wait_s: int) -> Call:
    """The next messages; the device answers when it has some, or after so long."""
    return Call(
        f"{EVENTS}/PullPointSubscription/PullMessagesRequest",
        f"<tev:PullMessages><tev:Timeout>PT{wait_s}S</tev:Timeout>"
        f"<tev:MessageLimit>{MESSAGES}</tev:MessageLimit></tev:PullMessages>",
    )


def renew(lifetime_s: int) -> Call:
    """For so long from now."""
    return Call(
        f"{NOTIFICATION}/bw-2/SubscriptionManager/RenewRequest",
        f"<wsnt:Renew><wsnt:TerminationTime>PT{lifetime_s}S</wsnt:TerminationTime></wsnt:Renew>",
    )


def envelope(call: Call, address: str, security: str = "", parameters: str = "") -> bytes:
    """The request to `address`."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope {SPACES}><s:Header>'
        f'<a:Action s:mustUnderstand="1">{call.action}</a:Action><a:To>{escape(address)}</a:To>'
        f"<a:ReplyTo><a:Address>{ANONYMOUS}</a:Address></a:ReplyTo>{parameters}{security}"
        f"</s:Header><s:Body>{call.body}</s:Body></s:Envelope>"
    ).encode()


def user_token(user: str, password: str, nonce: bytes, device_us: int) -> str:
    """The header of WS-Security with the password's digest. `device_us`: now, as the device's clock
    has it, since a device refuses what is old by its own clock."""
    created = from_us(device_us // 1_000_000 * 1_000_000).strftime("%Y-%m-%dT%H:%M:%SZ")
    digest = hashlib.sha1(
        nonce + created.encode() + password.encode(), usedforsecurity=False
    ).digest()
    said, once = (base64.b64encode(part).decode() for part in (digest, nonce))
    return (
        f'<w:Security s:mustUnderstand="1" xmlns:w="{SECURITY}wssecurity-secext-1.0.xsd" '
        f'xmlns:u="{SECURITY}wssecurity-utility-1.0.xsd"><w:UsernameToken>'
        f"<w:Username>{escape(user)}</w:Username><w:Password Type="
        f'"{SECURITY}username-token-profile-1.0#PasswordDigest">{said}</w:Password>'
        f'<w:Nonce EncodingType="{SECURITY}soap-message-security-1.0#Base64Binary">{once}'
        f"</w:Nonce><u:Created>{created}</u:Created></w:UsernameToken></w:Security>"
    )


def fault(root: Element) -> str | None:
    """What a fault says: its innermost code and its reason. None for an answer that is none."""
    found = next(iter(root.under("Fault")), None)
    if found is None:
        return None
    codes = [one.text.strip() for one in _deep(found, "Value")] or [
        one.text.strip() for one in found.all("faultcode")
    ]
    reasons = [*found.all("Reason", "Text"), *found.all("faultstring")]
    code = codes[-1].rpartition(":")[2] if codes else "Fault"
    return f"{code}: {reasons[0].text.strip() if reasons else 'no reason'}"[:200]


def is_refusal(said: str) -> bool:
    """Whether a fault is about who asks."""
    code = said.partition(":")[0]
    return code in ("NotAuthorized", "FailedAuthentication", "InvalidSecurity", "Sender.Auth")


def device_time(root: Element) -> datetime | None:
    """The device's clock, or None where it does not say it."""
    now = next(iter(root.under("UTCDateTime")), None)
    if now is None:
        return None
    parts = [
        now.first(*path)
        for path in (
            ("Date", "Year"),
            ("Date", "Month"),
            ("Date", "Day"),
            ("Time", "Hour"),
            ("Time", "Minute"),
            ("Time", "Second"),
        )
    ]
    try:
        year, month, day, hour, minute, second = (
            int(part.text) if part is not None else -1 for part in parts
        )
        return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return None


def events_address(root: Element) -> str | None:
    """Where the event service is."""
    found = next(iter(root.under("Events")), None)
    address = found.first("XAddr") if found is not None else None
    return address.text.strip() or None if address is not None else None


def subscription(root: Element) -> Subscription | None:
    """The subscription that was made."""
    found = next(iter(root.under("SubscriptionReference")), None)
    address = found.first("Address") if found is not None else None
    if found is None or address is None or not address.text.strip():
        return None
    parameters = found.all("ReferenceParameters")
    leaves = [leaf for one in parameters for leaf in one.children if not leaf.children]
    written = "".join(
        f'<p:{leaf.name} xmlns:p="{escape(leaf.space, {chr(34): "&quot;"})}" '
        f'a:IsReferenceParameter="true">{escape(leaf.text.strip())}</p:{leaf.name}>'
        for leaf in leaves[:MAX_PARAMETERS]
        if leaf.space
    )
    return Subscription(address.text.strip(), written)


def _deep(root: Element, name: str) -> list[Element]:
    """All of that name below, the outer ones first."""
    found: list[Element] = []
    waiting = [root]
    while waiting:
        one = waiting.pop(0)
        found += one.all(name)
        waiting += one.children
    return found
