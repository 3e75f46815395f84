"""OpenAPI 3.1 out of a table of endpoints and the structs that they read and answer (pure).

The table is what routes are made from, and the schemas are msgspec's, so the document cannot say
anything else than the code. Every error of the family is a problem document (RFC 9457); which of
them an endpoint can give follows from what it is.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

import msgspec

from hub.web.schemas import DIALECT, portable, redactable

JSON = "application/json"
PROBLEM = "application/problem+json"
ETAG = "ETag"
LOCATION = "Location"
RETRY_AFTER = "Retry-After"
ACTIONS = "x-eyrie-actions"  # of an operation: what policy is asked, for programs

Method = Literal["GET", "POST", "PUT", "DELETE"]
Where = Literal["path", "query", "header"]
Document = dict[str, Any]


class Problem(msgspec.Struct, frozen=True):
    """What went wrong (RFC 9457): `title` is the error's code, `hint` says what to do next."""

    type: str
    title: str
    status: Annotated[int, msgspec.Meta(ge=400, le=599)]
    detail: str
    hint: str
    expected_seq: int | None = None


class Parameter(msgspec.Struct, frozen=True):
    """Something of the path, the query or the header; `type` is what its text must be."""

    name: str
    where: Where
    type: Any
    text: str
    required: bool = False
    example: Any = None


class Answer(msgspec.Struct, frozen=True):
    """A good answer; `body` is a type, None: there is none. `media` has more than one entry where
    the caller chooses."""

    status: int
    text: str
    body: Any = None
    media: tuple[str, ...] = (JSON,)
    headers: tuple[str, ...] = ()


class Endpoint(msgspec.Struct, frozen=True):
    """One method of one path. `action` is what policy is asked, `also` what it may be asked
    besides; without an action nobody is asked and no token is needed.

    `id` is unique in its document. `errors` come on top of those that `errors_of` knows. `token` is
    of whom the token must be.
    """

    method: Method
    path: str
    id: str
    tag: str
    summary: str
    answers: tuple[Answer, ...]
    text: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: Any = None
    media: tuple[str, ...] = (JSON,)
    errors: tuple[int, ...] = ()
    action: str = ""
    also: tuple[str, ...] = ()
    token: Literal["user", "edge"] = "user"

    @property
    def actions(self) -> tuple[str, ...]:
        """All that policy may be asked."""
        return (self.action, *self.also) if self.action else ()


_ERRORS = {
    400: "The input is malformed or out of range.",
    401: "No token, or one that does not hold.",
    403: "Policy says no.",
    404: "There is no such thing.",
    405: "This method is not there.",
    409: "It is not in the state that this expects.",
    412: "It was changed since its ETag was read.",
    422: "The same idempotency key came with another request.",
    428: "A change needs If-Match.",
    429: "Too much at once; come again after Retry-After.",
    503: "A part is away for now; come again after Retry-After.",
}

CURSOR = Annotated[str, msgspec.Meta(max_length=128)]
LIMIT = Annotated[int, msgspec.Meta(ge=1, le=500)]
IF_MATCH = Parameter(
    "If-Match", "header", str, "the ETag that was read, or *", required=True, example="*"
)
IDEMPOTENCY_KEY = Annotated[
    str, msgspec.Meta(min_length=1, max_length=128, pattern=r"\A[A-Za-z0-9._:-]+\Z")
]
KEY = Parameter(
    "Idempotency-Key",
    "header",
    IDEMPOTENCY_KEY,
    "the same key and request get the same answer for 24 hours",
)


def paged(cursor: Any = CURSOR, *, name: str = "after") -> tuple[Parameter, ...]:
    """The parameters of a list that is read page by page."""
    return (
        Parameter(name, "query", cursor, "the `next` of the page before"),
        Parameter("limit", "query", LIMIT, "how many at most"),
    )


def errors_of(endpoint: Endpoint) -> list[int]:
    """The statuses of the errors that an endpoint can answer, in order."""
    found = {*endpoint.errors}
    if not endpoint.action:
        found.add(405)  # the one error that needs no token
    if endpoint.action:
        found |= {401, 403, 429, 503}
    if endpoint.parameters or endpoint.body is not None:
        found.add(400)
    if IF_MATCH in endpoint.parameters:
        found |= {412, 428}
    if KEY in endpoint.parameters:
        found.add(422)
    if "{" in endpoint.path:
        found |= {400, 404}
    return sorted(found)


def document(
    *, title: str, release: str, text: str, endpoints: Sequence[Endpoint], tags: dict[str, str]
) -> Document:
    """The whole document."""
    schemas = _Schemas(endpoints)
    paths: dict[str, Document] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": release,
            "description": text,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "jsonSchemaDialect": DIALECT,
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": about} for name, about in tags.items()],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A user's token.",
                }
            },
            "headers": _HEADERS,
        },
    }


class _Schemas:
    """The schemas of all types that a table names; those of structs lie in `components`."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        kinds: list[Any] = [Problem]
        for endpoint in endpoints:
            kinds += [parameter.type for parameter in endpoint.parameters]
            kinds += [answer.body for answer in endpoint.answers if answer.body is not None]
            kinds += [endpoint.body] if endpoint.body is not None else []
        found, components = msgspec.json.schema_components(
            kinds, ref_template="#/components/schemas/{name}"
        )
        portables = {
            name: _uniform(portable(schema)) for name, schema in sorted(components.items())
        }
        self.components = redactable(portables, "#/components/schemas/Redacted")
        self._found = [
            (kind, _uniform(portable(schema))) for kind, schema in zip(kinds, found, strict=True)
        ]

    def of(self, kind: Any) -> Document:
        """The schema of one type: a reference where it is a struct."""
        for other, schema in self._found:
            if other is kind or other == kind:
                return dict(schema)
        raise KeyError(kind)


def _uniform(value: Any) -> Any:
    """A tuple of equal parts as a list of that length: the same, and what generators of clients
    understand."""
    if isinstance(value, list):
        return [_uniform(part) for part in value]
    if not isinstance(value, dict):
        return value
    made = {key: _uniform(part) for key, part in value.items()}
    parts = made.get("prefixItems")
    if (
        isinstance(parts, list)
        and parts
        and all(part == parts[0] for part in parts)
        and made.get("items") is False
    ):
        del made["prefixItems"]
        made["items"] = parts[0]
    return made


_HEADERS: dict[str, Document] = {
    ETAG: {
        "description": "The version of what is shown, for If-Match.",
        "schema": {"type": "string"},
    },
    LOCATION: {"description": "Where it is.", "schema": {"type": "string"}},
    RETRY_AFTER: {"description": "Seconds to wait.", "schema": {"type": "string"}},
}


def _operation(endpoint: Endpoint, schemas: _Schemas) -> Document:
    made: Document = {
        "operationId": endpoint.id,
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        "security": [],
    }
    about = [endpoint.text] if endpoint.text else []
    if endpoint.action:
        about.append(
            f"Policy is asked for {' or '.join(f'`{action}`' for action in endpoint.actions)}."
        )
        made["security"] = [{"token": []}]
        made[ACTIONS] = list(endpoint.actions)
    if about:
        made["description"] = " ".join(about)
    if endpoint.parameters:
        made["parameters"] = [_parameter(parameter, schemas) for parameter in endpoint.parameters]
    if endpoint.body is not None:
        made["requestBody"] = {
            "required": True,
            "content": {media: {"schema": schemas.of(endpoint.body)} for media in endpoint.media},
        }
    made["responses"] = {
        str(answer.status): _answer(answer, schemas) for answer in endpoint.answers
    } | {str(status): _problem(status, schemas) for status in errors_of(endpoint)}
    return made


def _parameter(parameter: Parameter, schemas: _Schemas) -> Document:
    made = {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.text,
        "required": parameter.required or parameter.where == "path",
        "schema": schemas.of(parameter.type),
    }
    return made if parameter.example is None else made | {"example": parameter.example}


def _answer(answer: Answer, schemas: _Schemas) -> Document:
    made: Document = {"description": answer.text}
    if answer.headers:
        made["headers"] = {
            name: {"$ref": f"#/components/headers/{name}"} for name in answer.headers
        }
    if answer.body is not None:
        made["content"] = {media: {"schema": schemas.of(answer.body)} for media in answer.media}
    return made


def _problem(status: int, schemas: _Schemas) -> Document:
    made: Document = {
        "description": _ERRORS[status],
        "content": {PROBLEM: {"schema": schemas.of(Problem)}},
    }
    if status in (429, 503):
        made["headers"] = {RETRY_AFTER: {"$ref": f"#/components/headers/{RETRY_AFTER}"}}
    return made
