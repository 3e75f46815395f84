"""The generated documents say what the structs do: they take the golden files, refuse what the hub
refuses, and refer to what exists."""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from starlette.applications import Starlette
from starlette.requests import Request

from actors.core.messages.edge_protocol import EdgeSends
from actors.core.messages.event_data import TYPES
from hub import routes
from hub.special_table import SPECIALS
from hub.web import schemas
from hub.web.documents import Published, handlers
from tests.support.cluster.product import ROOT
from tests.support.golden import read
from tools import golden

TODAY = f"v{golden.VERSION}"
DOCUMENTS = schemas.documents()


def check(name: str, *, strict: bool = False) -> Draft202012Validator:
    """A validator; `strict` refuses every field that the document does not name."""
    return Draft202012Validator(closed(DOCUMENTS[name]) if strict else DOCUMENTS[name])


def closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        found["additionalProperties"] = False
    return found


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_each_is_a_schema_that_refers_to_itself_alone(name: str) -> None:
    document = DOCUMENTS[name]
    Draft202012Validator.check_schema(document)
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert document["$id"] == f"/schemas/v1/{name}.json"
    text = json.dumps(document)
    assert set(re.findall(r'"\$ref": "#/\$defs/([^"]+)"', text)) <= document.get("$defs", {}).keys()
    assert text.count('"$ref"') == text.count('"$ref": "#/$defs/')
    assert r"\\A" not in text
    assert r"\\Z" not in text


def test_every_golden_message_passes() -> None:
    for message in read(TODAY, "messages"):
        check(message["schema"], strict=True).validate(message["json"])


def test_every_golden_event_passes_by_its_own_schema_and_by_the_general_one() -> None:
    for event in read(TODAY, "events"):
        kind = "alarm" if event["type"].startswith("alarm.") else event["type"]
        check(f"events/{kind}", strict=True).validate(event)
        check("event").validate(event)


def test_states_summaries_walls_and_scenes_pass() -> None:
    for kind, bodies in read(TODAY, "states").items():
        for body in bodies:
            check(kind, strict=True).validate(body)


def test_a_redacted_sub_label_passes() -> None:
    state = json.loads(json.dumps(read(TODAY, "states")["state"][0]))
    track = next(track for track in state["tracks"] if track.get("sub_label"))
    track["sub_label"] = {"redacted": "plates"}
    check("state").validate(state)
    track["sub_label"] = {"other": 1}
    assert not check("state").is_valid(state)


WRONG: dict[str, Any] = {
    "camera": "No Capitals",
    "session": "",
    "next_seq": 0,
    "frame_size": [0, 1],
    "first_seq": 2**53 + 1,
    "observations": [],
    "last_seq": "1",
    "reason": "x" * 121,
    "code": "1",
    "backlog": {"items": -1, "bytes": 0},
}


def spoiled() -> Iterator[tuple[str, dict[str, Any]]]:
    """Golden messages of edges, each with one field that no hub takes."""
    for message in read(TODAY, "messages"):
        if message["schema"].rpartition("/")[2] in ("hello", "observe", "gap", "bye"):
            for field in message["json"].keys() & WRONG.keys():
                yield message["schema"], {**message["json"], field: WRONG[field]}
            for field in message["json"].keys() - {"type"}:
                yield (
                    message["schema"],
                    {key: value for key, value in message["json"].items() if key != field},
                )


def test_schema_and_struct_agree_on_what_is_wrong() -> None:
    seen = set()
    for name, message in spoiled():
        try:
            msgspec.convert(message, EdgeSends, str_keys=True)
            taken = True
        except msgspec.ValidationError:
            taken = False
        assert check(name).is_valid(message) == taken, message
        seen.add(taken)
    assert seen == {True, False}


@pytest.mark.parametrize("box", [[0.1, 0.1, 0.2], [0.1, 0.1, 0.2, "x"]])
def test_boxes_that_are_no_four_numbers_are_refused(box: list[Any]) -> None:
    seen = {
        "time": "2026-03-01T12:00:00Z",
        "objects": [{"label": "car", "box": [0.1, 0.1, 0.2, 0.2]}],
    }
    check("observation").validate(seen)
    assert not check("observation").is_valid({**seen, "objects": [{"label": "car", "box": box}]})
    assert not check("post").is_valid(
        {
            "session": "s",
            "first_seq": 1,
            "observations": [{**seen, "objects": [{"label": "car", "box": box}]}],
        }
    )


def test_an_unknown_type_of_event_passes_with_any_data() -> None:
    event = {**read(TODAY, "events")[0], "type": "future.thing", "data": {"new": True}}
    check("event").validate(event)
    crossed = next(event for event in read(TODAY, "events") if event["type"] == "line.crossed")
    assert not check("event").is_valid({**crossed, "data": {"direction": "up"}})


def test_a_reader_of_today_takes_fields_of_tomorrow() -> None:
    for kind, bodies in read(TODAY, "states").items():
        if kind != "scene":
            check(kind).validate({**bodies[0], "tomorrow": 1})
    check("edge/ack").validate(
        {"type": "ack", "camera": "c", "seq": 1, "credits": 2, "tomorrow": 1}
    )


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, part in value.items():
            if key == "$ref":
                yield part
            else:
                yield from references(part)
    elif isinstance(value, list):
        for part in value:
            yield from references(part)


def test_asyncapi_refers_to_what_exists() -> None:
    document = schemas.asyncapi("1.2.3")
    assert document["asyncapi"] == "3.1.0"
    assert document["info"]["version"] == "1.2.3"
    published = {schemas.url(name) for name in DOCUMENTS}
    for reference in references(document):
        if reference.startswith("/"):
            assert reference in published
            continue
        here: Any = document
        for step in reference.removeprefix("#/").split("/"):
            here = here[step]


def test_asyncapi_names_every_message_and_channel() -> None:
    document = schemas.asyncapi("1")
    told = {name for name in document["components"]["messages"] if name.startswith("edge.")}
    assert told == {
        f"edge.{message['schema'].rpartition('/')[2]}" for message in read(TODAY, "messages")
    }
    addresses = {channel["address"] for channel in document["channels"].values()}
    page = (ROOT / "docs" / "protocols.md").read_text(encoding="utf-8")
    assert {
        address for address in addresses if f"`{address.replace('{id}', '<id>')}`" in page
    } == addresses


def test_no_summary_of_a_message_is_cut_off() -> None:
    messages = schemas.asyncapi("1")["components"]["messages"]
    cut = [name for name, message in messages.items() if not message["summary"].endswith(".")]
    assert cut == []


def test_the_index_lists_all() -> None:
    assert {shown["name"] for shown in schemas.index()["schemas"]} == DOCUMENTS.keys()
    assert {f"events/{kind}" for kind in TYPES} <= DOCUMENTS.keys()


async def ask(path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """One GET to an app of these routes alone."""
    shown = handlers("1.0")
    app = Starlette(routes=routes.special([row for row in SPECIALS if row.id in shown], shown))
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
        ],
        "scheme": "http",
        "server": ("hub", 80),
        "http_version": "1.1",
    }
    await app(scope, receive, send)
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], told, sent[1].get("body", b"")


async def test_every_document_is_published_and_cacheable() -> None:
    status, headers, body = await ask("/schemas/")
    assert (status, headers["cache-control"]) == (200, "public, max-age=3600")
    for shown in json.loads(body)["schemas"]:
        status, headers, body = await ask(shown["url"])
        assert (status, headers["content-type"]) == (200, "application/schema+json")
        assert json.loads(body) == DOCUMENTS[shown["name"]]
        assert (await ask(shown["url"], if_none_match=f'"other", W/{headers["etag"]}'))[0] == 304


async def test_asyncapi_is_published_and_what_is_not_there_is_not_found() -> None:
    status, _, body = await ask("/asyncapi.json")
    assert (status, json.loads(body)["info"]["version"]) == (200, "1.0")
    status, headers, _ = await ask("/schemas/v1/none.json")
    assert (status, headers["content-type"]) == (404, "application/problem+json")


def test_an_etag_changes_with_the_document() -> None:
    request = Request(
        {"type": "http", "headers": [], "method": "GET", "path": "/", "query_string": b""}
    )
    one, two = Published({"a": 1}, "application/json"), Published({"a": 2}, "application/json")
    assert one.answer(request).headers["etag"] != two.answer(request).headers["etag"]
