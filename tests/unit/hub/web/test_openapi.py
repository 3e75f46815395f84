"""The hub's OpenAPI document: every route is in it, every answer has a schema, every reference
leads somewhere, and its page is plain."""

import json
import re
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from starlette.routing import BaseRoute, Route

from cluster.api import endpoints
from hub.rest import table
from hub.web import openapi, openapi_page
from tests.support.hub.hub import running_hub

DOCUMENT = table.openapi("1.2.3")
# What is no REST: files, documents, and the protocols that have descriptions of their own.
ELSEWHERE = re.compile(
    r"/(metrics(/node)?|asyncapi\.json|openapi\.json|docs(\.css)?|schemas.*|connection/.*|emulation|v1/edge|v1/\{rest:path\})?"
)


def routes_of(routes: list[BaseRoute]) -> set[tuple[str, str]]:
    """(method, path) of all routes that REST is made of."""
    return {
        (method, route.path)
        for route in routes
        if isinstance(route, Route) and ELSEWHERE.fullmatch(route.path) is None
        for method in (route.methods or ())
        if method not in ("HEAD", "OPTIONS")
    }


def told(document: dict[str, Any]) -> set[tuple[str, str]]:
    """(method, path) of a document."""
    return {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }


async def test_every_route_is_in_the_document(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        assert routes_of(hub.hub.app.app.routes) == told(DOCUMENT)


def test_every_answer_has_a_schema_and_every_reference_leads_somewhere() -> None:
    check_document(DOCUMENT)


def test_schemas_are_named_for_what_they_are_and_not_for_where_they_lie() -> None:
    """Two types of one name would get the paths of their modules as names: every move of a file
    would rename the types of generated clients."""
    names = [*DOCUMENT["components"]["schemas"], *endpoints.openapi("1")["components"]["schemas"]]
    assert [name for name in names if not name.isidentifier()] == []


def test_what_may_be_hidden_is_said() -> None:
    track = DOCUMENT["components"]["schemas"]["TrackView"]
    assert {"$ref": "#/components/schemas/Redacted"} in track["properties"]["sub_label"]["anyOf"]


def test_the_page_shows_everything_and_takes_nothing_from_elsewhere() -> None:
    page = openapi_page.page(DOCUMENT, stylesheet="/docs.css", address="/openapi.json")
    for path in DOCUMENT["paths"]:
        assert path in page
    assert (
        re.findall(r"<script|style=|\son\w+=|src=|url\(|@import", page + openapi_page.STYLE) == []
    )
    assert set(re.findall(r'href="(?!#)([^"]*)"', page)) == {"data:,", "/docs.css", "/openapi.json"}
    missing = set(re.findall(r'href="#([^"]*)"', page)) - set(re.findall(r'id="([^"]*)"', page))
    assert missing == set()


def test_text_from_the_document_is_no_markup() -> None:
    endpoint = openapi.Endpoint("GET", "/x", "x", "T", "<b>bold</b>", (openapi.Answer(204, "<i>"),))
    made = openapi.document(
        title="<t>", release="1", text="&", endpoints=[endpoint], tags={"T": "<u>"}
    )
    page = openapi_page.page(made, stylesheet="/s.css", address="/o.json")
    assert not re.search(r"<(b|i|u|t)>", page)


def check_document(document: dict[str, Any]) -> None:
    """What must hold for every document of ours."""
    text = json.dumps(document)
    assert document["openapi"].startswith("3.1")
    references = set(re.findall(r'"\$ref": "#/components/(\w+)/([^"]+)"', text))
    assert {name for kind, name in references if name not in document["components"][kind]} == set()
    assert "\\\\A" not in text
    assert "\\\\Z" not in text
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    ids = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            ids.append(operation["operationId"])
            named = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
            assert named == set(re.findall(r"\{(\w+)\}", path)), path
            for status, answer in operation["responses"].items():
                assert status == "204" or all(
                    "schema" in content for content in answer["content"].values()
                ), (method, path, status)
    assert len(ids) == len(set(ids))
