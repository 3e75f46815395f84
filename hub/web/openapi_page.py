"""An OpenAPI document as a page for people (pure): plain HTML made here, no script, nothing from
elsewhere; one stylesheet beside it."""

import json
from collections.abc import Iterator
from html import escape
from typing import Any

Document = dict[str, Any]

MAX_DEPTH = 3  # structs in structs that an outline spells out; deeper ones are named


def page(document: Document, *, stylesheet: str, address: str) -> str:
    """The whole page. `address` is where the document itself is."""
    info = document["info"]
    by_tag: dict[str, list[tuple[str, str, Document]]] = {
        tag["name"]: [] for tag in document["tags"]
    }
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            by_tag[operation["tags"][0]].append((method.upper(), path, operation))
    links = "".join(f'<li><a href="#tag-{_slug(name)}">{escape(name)}</a></li>' for name in by_tag)
    body = "".join(_tag(tag, by_tag[tag["name"]], document) for tag in document["tags"])
    shapes = "".join(
        _shape(name, schema) for name, schema in document["components"]["schemas"].items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        'content="width=device-width, initial-scale=1">'
        f'<title>{escape(info["title"])}</title><link rel="icon" href="data:,">'
        f'<link rel="stylesheet" href="{escape(stylesheet)}"></head><body>'
        f"<header><h1>{escape(info['title'])}</h1><p>{escape(info['description'])}</p>"
        f'<p class="small">Release {escape(info["version"])} · <a '
        f'href="{escape(address)}">{escape(address)}</a> (OpenAPI 3.1)</p></header>'
        f'<nav aria-label="Parts"><ul>{links}<li><a href="#shapes">Shapes</a></li></ul></nav>'
        f'<main>{body}<section id="shapes"><h2>Shapes</h2>{shapes}</section></main></body></html>'
    )


def _tag(tag: Document, operations: list[tuple[str, str, Document]], document: Document) -> str:
    shown = "".join(
        _operation(method, path, operation, document) for method, path, operation in operations
    )
    return (
        "<section "
        f'id="tag-{_slug(tag["name"])}"><h2>{escape(tag["name"])}</h2><p>{escape(tag["description"])}</p>{shown}</section>'
    )


def _operation(method: str, path: str, operation: Document, document: Document) -> str:
    parts = []
    if text := operation.get("description", ""):
        parts.append(f"<p>{_prose(text)}</p>")
    if parameters := operation.get("parameters"):
        rows = "".join(
            f"<tr><td><code>{escape(p['name'])}</code>{' *' if p['required'] else ''}</td><td>{escape(p['in'])}</td>"  # noqa: E501
            f"<td>{_kind(p['schema'])}</td><td>{_prose(p['description'])}</td></tr>"
            for p in parameters
        )
        parts.append(f"<h4>Parameters</h4><table><tbody>{rows}</tbody></table>")
    if request := operation.get("requestBody"):
        media, content = next(iter(request["content"].items()))
        parts.append(
            f"<h4>Body <small>{escape(media)}</small></h4>{_outline(content['schema'], document)}"
        )
    parts.append(
        "<h4>Answers</h4>"
        + "".join(
            _answer(status, answer, document) for status, answer in operation["responses"].items()
        )
    )
    parts.append(f"<h4>Try it</h4><pre>{escape(_curl(method, path, operation))}</pre>")
    return (
        f'<details id="{escape(operation["operationId"])}"><summary><span class="method '
        f'{method.lower()}">{method}</span> '
        f"<code>{escape(path)}</code> "
        f"<span>{escape(operation['summary'])}</span></summary>{''.join(parts)}</details>"
    )


def _answer(status: str, answer: Document, document: Document) -> str:
    good = status < "400"
    headers = "".join(f" <code>{escape(name)}</code>" for name in answer.get("headers", {}))
    line = (
        f'<p><b class="{"good" if good else "bad"}">{status}</b> '
        f"{_prose(answer['description'])}{headers}</p>"
    )
    content = answer.get("content")
    return line + (
        _outline(next(iter(content.values()))["schema"], document) if good and content else ""
    )


def _shape(name: str, schema: Document) -> str:
    about = f"<p>{_prose(schema['description'])}</p>" if "description" in schema else ""
    required = schema.get("required", [])
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code>{' *' if field in required else ''}</td><td>{_kind(kind)}</td>"  # noqa: E501
        f"<td>{escape(kind.get('description', ''))}</td></tr>"
        for field, kind in schema.get("properties", {}).items()
    )
    table = f"<table><tbody>{rows}</tbody></table>"
    return (
        "<details "
        f'id="shape-{escape(name)}"><summary><code>{escape(name)}</code></summary>{about}{table}</details>'
    )


def _kind(schema: Document) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#shape-{escape(name)}">{escape(name)}</a>'
    if "enum" in schema:
        return " | ".join(f"<code>{escape(json.dumps(value))}</code>" for value in schema["enum"])
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " | ".join(_kind(part) for part in schema[word])
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_kind(_items(schema))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"name → {_kind(schema['additionalProperties'])}"
    bounds = [
        f"{sign} {schema[key]:g}"
        for key, sign in (("minimum", "≥"), ("maximum", "≤"))
        if key in schema
    ]
    bounds += [f"at most {schema['maxLength']} characters"] if "maxLength" in schema else []
    bounds += [f"<code>{escape(schema['pattern'])}</code>"] if "pattern" in schema else []
    return escape(str(kind)) + (f" <small>{', '.join(bounds)}</small>" if bounds else "")


def _outline(schema: Document, document: Document) -> str:
    return f"<pre>{escape(chr(10).join(_lines(schema, document, 0)))}</pre>"


def _lines(schema: Document, document: Document, depth: int) -> Iterator[str]:
    """A schema as an outline, the way a JSON document is indented."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if depth > MAX_DEPTH:
            yield f"<{name}>"
            return
        schema = document["components"]["schemas"][name]
    if schema.get("type") == "array":
        inner = list(_lines(_items(schema), document, depth + 1))
        if len(inner) == 1:
            yield f"[ {inner[0]} ]"
            return
        yield f"[ {inner[0]}"
        yield from (f"  {line}" for line in inner[1:-1])
        yield f"  {inner[-1]} ]"
        return
    if properties := schema.get("properties"):
        yield "{"
        for field, kind in properties.items():
            inner = list(_lines(kind, document, depth + 1))
            yield f"  {field}: {inner[0]}"
            yield from (f"  {line}" for line in inner[1:])
        yield "}"
        return
    yield _word(schema)


def _items(schema: Document) -> Document:
    """What a list holds; of a tuple, its first part."""
    found = [*schema.get("prefixItems", ()), schema.get("items")]
    return next((part for part in found if isinstance(part, dict)), {})


def _word(schema: Document) -> str:
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " | ".join(_word(part) for part in schema[word])
    if "$ref" in schema:
        return f"<{schema['$ref'].rpartition('/')[2]}>"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"{{ name: {_word(schema['additionalProperties'])} }}"
    return str(schema.get("type", "anything"))


def _curl(method: str, path: str, operation: Document) -> str:
    lines = [f"curl -X {method} {path}"]
    if "security" in operation:
        lines.append('-H "Authorization: Bearer $TOKEN"')
    lines += [
        f"-H '{p['name']}: {p.get('example', '…')}'"
        for p in operation.get("parameters", ())
        if p["in"] == "header" and p["required"]
    ]
    if "requestBody" in operation:
        lines.append("-H 'Content-Type: application/json' -d @body.json")
    return " \\\n  ".join(lines)


def _prose(text: str) -> str:
    """Text with its back-quoted words as code."""
    parts = escape(text.replace("``", "`")).split("`")
    return "".join(
        f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts)
    )


def _slug(name: str) -> str:
    return escape(name.lower().replace(" ", "-"))


STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --quiet: #5c6675; --paper: #fbfbf9; --line: #d9dde3; --field: #eef0f3;
  --good: #176d3b; --bad: #a3271f; --get: #1f5fa8; --post: #176d3b; --put: #8a5a00; --delete: #a3271f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7ec; --quiet: #9aa4b2; --paper: #14171c; --line: #2c323b; --field: #1e232a;
  --good: #63c78b; --bad: #f0867d; --get: #79b0ef; --post: #63c78b; --put: #e2b45c; --delete: #f0867d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.2rem; margin: 2rem 0 .25rem; } h4 { margin: 1rem 0 .25rem; font-size: .9rem; }
p { margin: .25rem 0; } small, .small { color: var(--quiet); font-size: .85rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; list-style: none; padding: .5rem 0; margin: .5rem 0;
  border-block: 1px solid var(--line); }
a { color: var(--get); }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .4rem 0; padding: 0 .75rem; }
details[open] { padding-bottom: .75rem; }
summary { cursor: pointer; padding: .45rem 0; }
summary > span:last-child { color: var(--quiet); }
.method { display: inline-block; min-width: 4.2rem; font-weight: 650; font-size: .85rem; }
.get { color: var(--get); } .post { color: var(--post); } .put { color: var(--put); } .delete { color: var(--delete); }
.good { color: var(--good); } .bad { color: var(--bad); }
code, pre { font: .87rem/1.45 ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
pre { background: var(--field); padding: .6rem .75rem; border-radius: .3rem; overflow-x: auto; margin: .25rem 0; }
table { border-collapse: collapse; width: 100%; }
td { border-top: 1px solid var(--line); padding: .25rem .75rem .25rem 0; vertical-align: top; }
""".lstrip()  # noqa: E501
