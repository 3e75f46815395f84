"""JSON Schema (2020-12) and AsyncAPI 3 of everything that crosses the hub's border, generated from
the structs (pure).

The structs are the contract; this only writes them down, so a document cannot say anything else
than the code. One document per message, event type and shape, whole in itself (`$defs`), at
``/schemas/v1/<name>.json``. Unknown fields are allowed everywhere: within a version fields are only
added (tests hold every past version's golden files against today's structs).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from actors.core.attribute_classes import CLASSES
from actors.core.messages import edge_protocol
from actors.core.messages.edge_protocol import (
    Ack,
    Bye,
    Gap,
    Hello,
    Observe,
    Ping,
    Pong,
    Post,
    Reject,
    Resync,
    Welcome,
)
from actors.core.messages.event_data import ALARM, TYPES, AlarmData, EventData
from actors.core.messages.events import Event
from actors.core.messages.observations import Observation
from actors.core.messages.states import State, Summary, Wall
from actors.core.scene.scene import Scene

VERSION = 1
DIALECT = "https://json-schema.org/draft/2020-12/schema"
FORMAT = "application/schema+json;version=draft-2020-12"
FOLDER = f"/schemas/v{VERSION}/"

FROM_EDGE: tuple[type[msgspec.Struct], ...] = (Hello, Observe, Gap, Ping, Pong, Bye)
TO_EDGE: tuple[type[msgspec.Struct], ...] = (Welcome, Ack, Resync, Reject, Ping, Pong, Bye)
SHAPES: dict[str, type[msgspec.Struct]] = {
    "observation": Observation,
    "scene": Scene,
    "state": State,
    "summary": Summary,
    "wall": Wall,
}
_REDACTED = {
    "type": "object",
    "description": "Stands in the place of a value that this principal's view hides; the class "
    "says why.",
    "properties": {"redacted": {"enum": ["faces", "names", "plates", "unknown"]}},
    "required": ["redacted"],
}

_GONE = [
    {
        "type": "object",
        "description": f"Stands in the place of a personal value that {why}.",
        "properties": {mark: {"enum": list(CLASSES)}},
        "required": [mark],
    }
    for mark, why in (("erased", "was erased"), ("unavailable", "cannot be read now"))
]

# Views that hide something hide the hash: with the rest of the chain it would tell whether a
# guessed plate is the right one.
_HASH = {"anyOf": [{"type": "string", "pattern": "^[0-9a-f]{64}$"}, _REDACTED]}

Document = dict[str, Any]


def documents() -> dict[str, Document]:
    """Name (``state``, ``edge/hello``, ``events/zone.entered``) → schema."""
    found = {name: of(struct, name) for name, struct in SHAPES.items()}
    found["post"] = _post()
    for message in dict.fromkeys((*FROM_EDGE, *TO_EDGE)):
        name = f"edge/{message.__struct_config__.tag}"
        found[name] = of(message, name)
    for kind, data in TYPES.items():
        found[f"events/{kind}"] = _event(f"events/{kind}", {"const": kind}, data)
    found["events/alarm"] = _event(
        "events/alarm", {"type": "string", "pattern": r"^alarm\.[a-z][a-z0-9_.]{0,63}$"}, AlarmData
    )
    found["event"] = _any_event()
    return dict(sorted(found.items()))


def url(name: str) -> str:
    """Where a document is published."""
    return f"{FOLDER}{name}.json"


def of(struct: type[msgspec.Struct], name: str) -> Document:
    """The document of one struct."""
    (body,), defs = _components([struct])
    return _document(name, body, defs)


def index() -> Document:
    """What there is, for people and programs that look around."""
    shown = [
        {"name": name, "url": url(name), "title": document["title"]}
        for name, document in documents().items()
    ]
    return {"version": VERSION, "dialect": DIALECT, "asyncapi": "/asyncapi.json", "schemas": shown}


def _components(types: Iterable[Any]) -> tuple[tuple[Document, ...], dict[str, Document]]:
    bodies, defs = msgspec.json.schema_components(types, ref_template="#/$defs/{name}")
    made = redactable(
        {name: portable(body) for name, body in sorted(defs.items())}, "#/$defs/Redacted"
    )
    return tuple(portable(body) for body in bodies), made


def redactable(defs: dict[str, Document], reference: str) -> dict[str, Document]:
    """`defs` with what a view may show instead of a value; `reference` is where that lies."""
    track = defs.get("TrackView")
    if track is None:
        return defs
    sub_label = track["properties"]["sub_label"]
    sub_label["anyOf"] = [*sub_label["anyOf"], {"$ref": reference}]
    return {**defs, "Redacted": _REDACTED}


def _document(name: str, body: Document, defs: Mapping[str, Document]) -> Document:
    # The struct itself comes as a reference into `$defs`: lifted to the top, so that readers see it
    # at once.
    top = body.get("$ref", "").removeprefix("#/$defs/")
    shape = defs.get(top, body)
    rest = {
        key: value
        for key, value in defs.items()
        if key != top or f'"#/$defs/{top}"' in msgspec.json.encode([*defs.values()]).decode()
    }
    document = {
        "$schema": DIALECT,
        "$id": url(name),
        "title": name,
        **{key: value for key, value in shape.items() if key != "title"},
    }
    return {**document, "$defs": rest} if rest else document


def portable(value: Any) -> Any:
    """`\\A` and `\\Z` are Python's; in JSON Schema (ECMA 262) they are `^` and `$`. OpenAPI's
    discriminator says nothing there. Descriptions are docstrings, without their line breaks."""
    if isinstance(value, dict):
        return {
            key: _TEXTS[key](part) if key in _TEXTS and isinstance(part, str) else portable(part)
            for key, part in value.items()
            if key != "discriminator"
        }
    return [portable(part) for part in value] if isinstance(value, list) else value


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


_TEXTS: Mapping[str, Callable[[str], str]] = {
    "pattern": lambda text: text.replace(r"\A", "^").replace(r"\Z", "$"),
    "description": _paragraphs,
}


def _event(name: str, kind: Document, data: type[EventData]) -> Document:
    (_, shape), defs = _components([Event, data])
    envelope = defs.pop("Event")
    holds = defs.pop(data.__name__) if "$ref" in shape else shape
    holds = {key: value for key, value in holds.items() if key != "title"}
    if data is AlarmData:  # free text may say again what a view hides
        text = holds["properties"]["text"]
        text["anyOf"] = [*text["anyOf"], _REDACTED, *_GONE]
    properties = {**envelope["properties"], "type": kind, "data": holds, "hash": _HASH}
    properties = {key: _present(value) for key, value in properties.items()}
    required = [*dict.fromkeys([*envelope["required"], "v", "data", "hash"])]
    if data is EventData:
        holds = {"type": "object", "description": "Empty: the envelope says everything."}
    body = {
        "type": "object",
        "description": holds.get("description", ""),
        "properties": properties,
        "required": required,
    }
    return _document(name, body, defs)


def _present(schema: Document) -> Document:
    """An event leaves out what it does not have: there is no null in it."""
    kinds = schema.get("anyOf")
    if not kinds or {"type": "null"} not in kinds:
        return schema
    left = [kind for kind in kinds if kind != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    return {**rest, **(left[0] if len(left) == 1 else {"anyOf": left})}


def _any_event() -> Document:
    """An event of any type, also of one that is younger than its reader: the envelope is then all
    that is known."""
    document = _event("event", {"type": "string"}, EventData)
    names = [*TYPES, ALARM]
    known = {name: TYPES.get(name, AlarmData) for name in names}
    shapes, defs = _components(known.values())
    document["properties"]["data"] = {"type": "object"}
    document["description"] = (
        "A durable fact. Its `data` is told by its type; ignore types that you do not know."
    )
    document["$defs"] = {**document.get("$defs", {}), **defs}
    document["allOf"] = [
        {"if": {"properties": {"type": _named(name)}}, "then": {"properties": {"data": shape}}}
        for name, shape in zip(names, shapes, strict=True)
    ]
    return document


def _named(name: str) -> Document:
    return {"pattern": r"^alarm\."} if name == ALARM else {"const": name}


def _post() -> Document:
    """The body of HTTP ingest. The hub leaves each observation raw, so that one bad item harms no
    neighbour; here they are spelt out."""
    observations = of(Observe, "edge/observe")
    document = of(Post, "post")
    document["properties"]["observations"] = observations["properties"]["observations"]
    document["$defs"] = {**document.get("$defs", {}), **observations["$defs"]}
    return document


def asyncapi(release: str) -> Document:
    """The AsyncAPI 3.1 document of both sockets, whole: the published schemas that its messages
    refer to are in it."""
    messages = {
        f"edge.{_tag(m)}": _message(f"edge/{_tag(m)}", m)
        for m in dict.fromkeys((*FROM_EDGE, *TO_EDGE))
    }
    messages |= {name: _message(name, SHAPES[name]) for name in ("state", "wall")}
    messages["event"] = {
        "name": "event",
        "summary": "A durable fact, each once and in order.",
        "payload": _payload("event"),
    }
    channels: Document = {
        "edge": {
            "address": "/v1/edge",
            "title": "Edge socket",
            "description": (
                f"A websocket with the subprotocol {edge_protocol.SUBPROTOCOL_MSGPACK} or "
                f"{edge_protocol.SUBPROTOCOL_JSON}; one message a "
                "frame, the same shapes in both. The token comes as `Authorization: Bearer`. One "
                "socket may carry many cameras."
            ),
            "bindings": {"ws": {"method": "GET"}},
            "messages": {
                _tag(m): {"$ref": f"#/components/messages/edge.{_tag(m)}"}
                for m in dict.fromkeys((*FROM_EDGE, *TO_EDGE))
            },
        }
    }
    operations: Document = {
        "fromEdge": _operation(
            "receive", "edge", "What an edge sends.", [_tag(m) for m in FROM_EDGE]
        ),
        "toEdge": _operation("send", "edge", "What the hub answers.", [_tag(m) for m in TO_EDGE]),
    }
    for key, (address, message, summary) in _DASHBOARDS.items():
        channels[key] = {
            "address": address,
            "description": "A channel of the Centrifuge client protocol at "
            "/connection/websocket: what a publication's `data` holds.",
            "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        }
        if "{" in address:
            channels[key]["parameters"] = {"id": {"description": "id of the camera or site"}}
        operations[key] = _operation("send", key, summary, [message])
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Eyrie",
            "version": release,
            "description": "Cameras in, dashboards out.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": _bundled(messages)},
    }


def _bundled(messages: Document) -> Document:
    """The schemas that payloads refer to, and what those refer to, each in a place of its own: a
    reference inside a schema has the whole document as its root."""
    wanted = {
        payload["$ref"].rpartition("/")[2]
        for message in messages.values()
        if (payload := message["payload"])
    }
    found: Document = {}
    for name, published in documents().items():
        if (key := _key(name)) in wanted:
            plain = {
                field: value
                for field, value in published.items()
                if field not in ("$id", "$schema", "$defs")
            }
            for inner, schema in {"": plain, **published.get("$defs", {})}.items():
                place = f"{key}.{inner}" if inner else key
                found[place] = {"schemaFormat": FORMAT, "schema": _placed(schema, key)}
    return found


def _placed(schema: Any, key: str) -> Any:
    if isinstance(schema, list):
        return [_placed(one, key) for one in schema]
    if not isinstance(schema, dict):
        return schema
    placed = {name: _placed(value, key) for name, value in schema.items()}
    if isinstance(reference := placed.get("$ref"), str) and reference.startswith("#/$defs/"):
        placed["$ref"] = f"#/components/schemas/{key}.{reference.removeprefix('#/$defs/')}/schema"
    return placed


def _key(name: str) -> str:
    """The place of a published schema among the components, which take no slash."""
    return name.replace("/", ".")


_DASHBOARDS = {
    "camera": (
        "camera:{id}",
        "state",
        "The camera now, whole; the highest (generation, version) wins.",
    ),
    "site": (
        "site:{id}",
        "wall",
        "What changed in a site since the last tick; the first message holds all.",
    ),
    "fleet": ("fleet", "wall", "The same over all sites."),
    "cameraEvents": (
        "events:camera:{id}",
        "event",
        "A camera's events, recoverable by (epoch, offset).",
    ),
    "siteEvents": ("events:site:{id}", "event", "A site's events."),
    "fleetEvents": ("events:fleet", "event", "All events as they come."),
}


def _tag(message: type[msgspec.Struct]) -> str:
    return str(message.__struct_config__.tag)


def _payload(name: str) -> Document:
    return {"$ref": f"#/components/schemas/{_key(name)}"}


def _message(name: str, struct: type[msgspec.Struct]) -> Document:
    return {
        "name": name.rpartition("/")[2],
        "summary": _paragraphs(struct.__doc__ or "").partition("\n\n")[0],
        "payload": _payload(name),
    }


def _operation(action: str, channel: str, summary: str, messages: list[str]) -> Document:
    shown = [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages]
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": shown,
    }
