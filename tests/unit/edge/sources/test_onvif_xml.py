"""ONVIF metadata: coordinates, classes, properties; and XML that nobody should read."""

import contextlib
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.boxes import Box
from actors.core.messages.observations import Object
from edge.adapters.readings import ReadMessage, RefusedInput, Rejection
from edge.sources.bounded_xml import MAX_BYTES, MAX_DEPTH, parse
from edge.sources.onvif.metadata import OnvifMetadata
from edge.sources.receipts import Memory, Receipt

HEAD = '<tt:MetadataStream xmlns:tt="http://www.onvif.org/ver10/schema">'
TAIL = "</tt:MetadataStream>"
TIME = "2026-11-30T12:00:00Z"


def read(inside: str, metadata: OnvifMetadata | None = None) -> list[ReadMessage]:
    metadata = metadata or OnvifMetadata(Memory(), camera="front")
    found = metadata.read(Receipt("", f"{HEAD}{inside}{TAIL}".encode(), 1))
    assert not any(isinstance(one, Rejection) for one in found)
    return [one for one in found if isinstance(one, ReadMessage)]


def frame(inside: str, extra: str = "") -> str:
    """A frame with one object."""
    return (
        f'<tt:VideoAnalytics><tt:Frame UtcTime="{TIME}">{extra}<tt:Object ObjectId="12">'
        f"<tt:Appearance>{inside}</tt:Appearance></tt:Object></tt:Frame></tt:VideoAnalytics>"
    )


def shape(sides: str) -> str:
    return f"<tt:Shape><tt:BoundingBox {sides}/></tt:Shape>"


def only(found: list[ReadMessage]) -> Object:
    (one,) = found[0].observation.objects or []
    return one


TRANSFORM = (
    '<tt:Transformation><tt:Translate x="-1" y="1"/><tt:Scale x="0.003125" y="-0.00416666667"/>'
    "</tt:Transformation>"
)
PIXELS = shape('left="160" top="120" right="320" bottom="360"')


@pytest.mark.parametrize(
    ("inside", "extra", "wanted"),
    [
        (shape('left="-0.5" top="0.5" right="0" bottom="-0.5"'), "", (0.25, 0.25, 0.5, 0.75)),
        (
            shape('left="160" top="120" right="320" bottom="360"'),
            TRANSFORM,
            (0.25, 0.25, 0.5, 0.75),
        ),
        (
            TRANSFORM + shape('left="160" top="120" right="320" bottom="360"'),
            "",
            (0.25, 0.25, 0.5, 0.75),
        ),
        (shape('left="656" top="64" right="2704" bottom="8144"'), "", (0.08, 0.008, 0.33, 0.994)),
    ],
    ids=["schema", "frame-transformed", "object-transformed", "0-8191"],
)
def test_boxes_in_the_coordinates_of_the_field(inside: str, extra: str, wanted: Box) -> None:
    found = only(read(frame(inside, extra)))
    assert found.box == pytest.approx(wanted, abs=0.001)
    assert found.id == "12"


BOX = shape('left="0" top="0.5" right="0.5" bottom="0"')


@pytest.mark.parametrize(
    ("classes", "wanted"),
    [
        ("", ("object", None)),
        ("<tt:Class><tt:Type>Human</tt:Type></tt:Class>", ("human", 1.0)),
        (
            '<tt:Class><tt:Type Likelihood="0.2">Animal</tt:Type>'
            '<tt:Type Likelihood="0.7">Vehical</tt:Type></tt:Class>',
            ("vehicle", 0.7),
        ),
        (
            "<tt:Class><tt:ClassCandidate><tt:Type>Face</tt:Type><tt:Likelihood>0.4"
            "</tt:Likelihood></tt:ClassCandidate></tt:Class>",
            ("face", 0.4),
        ),
    ],
)
def test_the_likeliest_class(classes: str, wanted: tuple[str, float | None]) -> None:
    found = only(read(frame(BOX + classes)))
    assert (found.label, found.score) == wanted


def test_a_plate_and_an_object_without_a_place() -> None:
    plate = "<tt:LicensePlateInfo><tt:PlateNumber>AB 1</tt:PlateNumber></tt:LicensePlateInfo>"
    assert only(read(frame(BOX + plate))).attributes == {"license_plate": "AB 1"}
    assert read(frame(""))[0].observation.objects == []


def notice(operation: str, value: str) -> str:
    return (
        '<tt:Event><wsnt:NotificationMessage xmlns:wsnt="http://docs.oasis-open.org/wsn/b-2">'
        "<wsnt:Topic>tns1:RuleEngine/LineDetector/tnsvendor:Crossed</wsnt:Topic><wsnt:Message>"
        f'<tt:Message UtcTime="{TIME}" PropertyOperation="{operation}"><tt:Source><tt:SimpleItem '
        'Name="Rule" Value="door"/></tt:Source><tt:Data><tt:SimpleItem Name="State" '
        f'Value="{value}"/></tt:Data></tt:Message></wsnt:Message></wsnt:NotificationMessage>'
        "</tt:Event>"
    )


def test_an_event_that_is_no_property_is_told_each_time() -> None:
    metadata = OnvifMetadata(Memory(), camera="front")
    happened = notice("", "7").replace(' PropertyOperation=""', "")
    for _ in range(2):
        (found,) = read(happened, metadata)
        assert found.observation.alarm is not None


def test_properties_initialized_changed_and_deleted() -> None:
    metadata = OnvifMetadata(Memory(), camera="front")

    def said(operation: str, value: str) -> list[tuple[str, str]]:
        found: list[ReadMessage] = []
        with contextlib.suppress(RefusedInput):  # nothing new
            found = read(notice(operation, value), metadata)
        alarms = [one.observation.alarm for one in found]
        return [(alarm.type, alarm.severity) for alarm in alarms if alarm is not None]

    assert said("Initialized", "false") == []
    assert said("Changed", "true") == [("onvif.line_detector.crossed", "notice")]
    assert said("Initialized", "true") == []  # asked for again after a reconnect
    assert said("Changed", "false") == [("onvif.line_detector.crossed", "info")]
    assert said("Deleted", "") == []


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + level)} "{f"&{chr(97 + level)};" * 10}">' for level in range(9))
    + "]><x>&j;</x>"
)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (BOMB.encode(), "doctype"),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>', "doctype"),
        (b"<x>" * 10_000, "too_large"),
        (b"<x>" + b"<y/>" * 50_000 + b"</x>", "too_large"),
        (b"<x>" + b"a" * 100_000_000, "too_large"),
        (b"", "malformed"),
        (b"<x>", "malformed"),
        (b"<x></y>", "malformed"),
        (b'<?xml version="1.0" encoding="klingon"?><x/>', "malformed"),
        (b"\xff\xfe\x00", "malformed"),
    ],
    ids=[
        "bomb",
        "external",
        "deep",
        "many",
        "100-MB",
        "empty",
        "open",
        "crossed",
        "coding",
        "bytes",
    ],
)
def test_xml_that_nobody_should_read_is_refused_within_bounds(data: bytes, code: str) -> None:
    tracemalloc.start()
    with pytest.raises(RefusedInput) as refused:
        parse(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert refused.value.code == code
    assert peak < 16 * MAX_BYTES


def test_the_deepest_that_is_read() -> None:
    assert parse(b"<x>" * MAX_DEPTH + b"</x>" * MAX_DEPTH).name == "x"


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found = OnvifMetadata(Memory(), camera="front").read(Receipt("", data, 1))
    except RefusedInput:
        return
    assert found
