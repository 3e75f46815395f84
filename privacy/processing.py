"""The record of processing activities (GDPR, article 30), as far as the deployment itself knows it;
as a value, and as a page for print (pure)."""

import html
from collections.abc import Iterable, Sequence

import msgspec

from actors.core.attribute_classes import CLASSES
from actors.core.settings import Settings
from actors.core.times import rfc3339
from storage.ports.background.sinks import SinkRow
from storage.ports.privacy import Hold, RequestRow

WHAT = {
    "faces": "faces, and what identifies them",
    "names": "names and other marks of identity",
    "plates": "licence plates",
    "text": "free text of alarms",
    "unknown": "attributes on no list, treated as personal",
}
SAFEGUARDS = (
    "values are stored apart from events, encrypted (AES-256-GCM) under keys outside the database",
    "one key for each day, site, camera and class; destroying it erases its values everywhere",
    "access is denied unless policy allows it, and classes are hidden unless it shows them",
    "an erasure is asked for by one person and approved by another; its receipt is signed",
    "searches, disclosures and changes stand in a sealed audit log",
)
TO_FILL_IN = (
    "name and contact of the controller, of its representative and of the data protection officer",
    "purposes and legal basis of each site",
    "transfers to other countries by the recipients",
)
ENDED = ("done", "withdrawn")


class RecordedClass(msgspec.Struct, frozen=True):
    """One class of values. `keep`: the rules that name it; they stay `events_days` at the longest
    (0: for ever)."""

    class_: str = msgspec.field(name="class")
    what: str
    keep: list[str]


class Recipient(msgspec.Struct, frozen=True):
    """A sink: where committed events go."""

    sink: str
    kind: str
    state: str


class ProcessingRecord(msgspec.Struct, frozen=True):
    """What is processed, for how long, and who gets it. Of requests the newest are counted."""

    made: str
    classes: list[RecordedClass]
    events_days: int
    dead_letters_days: int
    sites: list[str]
    recipients: list[Recipient]
    requests_open: int
    requests_overdue: int
    holds: int
    safeguards: list[str]
    to_fill_in: list[str]


def record_of(
    settings: Settings,
    sites: Iterable[str],
    sinks: Iterable[SinkRow],
    requests: Sequence[RequestRow],
    holds: Iterable[Hold],
    now_us: int,
) -> ProcessingRecord:
    """As it is at `now_us`."""
    rules = settings.personal.keep
    waiting = [row for row in requests if row.state not in ENDED]
    return ProcessingRecord(
        rfc3339(now_us),
        [
            RecordedClass(
                name, WHAT[name], [rule for rule in rules if rule.startswith((name, "*"))]
            )
            for name in CLASSES
        ],
        settings.events.keep_days,
        settings.dead_letters.keep_days,
        sorted(sites),
        [Recipient(row.name, row.kind, row.state) for row in sinks],
        len(waiting),
        sum(row.due_us < now_us for row in waiting),
        sum(not hold.released_us and hold.ends_us > now_us for hold in holds),
        list(SAFEGUARDS),
        list(TO_FILL_IN),
    )


def page_of(record: ProcessingRecord) -> str:
    """A page for print, without scripts and without anything from elsewhere."""
    kept = [
        f"{one.class_}: {one.what}; {', '.join(one.keep) or 'as long as its event'}"
        for one in record.classes
    ]
    recipients = [f"{one.sink} ({one.kind}, {one.state})" for one in record.recipients]
    parts = [
        ("Categories of personal data, and rules of how many days they stay", kept),
        (
            "Erasure",
            [f"events: {_days(record.events_days)}", f"refused: {_days(record.dead_letters_days)}"],
        ),
        ("Sites", record.sites),
        ("Recipients", recipients),
        (
            "Requests of data subjects and holds",
            [
                f"{record.requests_open} open, {record.requests_overdue} of them overdue",
                f"{record.holds} holds in force",
            ],
        ),
        ("Technical and organisational measures", record.safeguards),
        ("To be added by hand", record.to_fill_in),
    ]
    body = "".join(
        f"<h2>{html.escape(title)}</h2><ul>{_items(lines)}</ul>" for title, lines in parts
    )
    head = '<meta charset="utf-8"><title>Record of processing</title>'
    made = html.escape(record.made)
    return (
        f'<!doctype html><html lang="en"><head>{head}</head><body><h1>Record of processing</h1>'
        f"<p>Made {made}</p>{body}</body></html>\n"
    )


def _days(days: int) -> str:
    return f"{days} days" if days else "for ever"


def _items(lines: Sequence[str]) -> str:
    return "".join(f"<li>{html.escape(line)}</li>" for line in lines) or "<li>none</li>"
