"""Write `docs/routes.md` from the tables that routes are made from. Run by ``make docs``; a test
says when the page is out of date."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from cluster.api import endpoints as table
from hub.rest import table as rest_table
from hub.special_table import SPECIALS, Special
from hub.web.openapi import Endpoint

HEAD = """# Every way in

Made by `make docs` from `hub/rest/table.py`, `hub/special_table.py` and `cluster/api/endpoints.py`, from which the servers make their
routes and OpenAPI documents too; do not edit. *Asked* is the action that policy decides about, *or* names what it may be asked besides; a
test calls every way and compares. Parameters, bodies and answers are in `/openapi.json` and `/docs` of each server.
"""  # noqa: E501
HEADER = "\n| request | does | asked | token |\n|---|---|---|---|\n"


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, endpoints, tags in (
        ("REST of a hub", rest_table.ENDPOINTS, rest_table.TAGS),
        ("The cluster API", table.ENDPOINTS, table.TAGS),
    ):
        parts.append(f"\n## {title}\n")
        for tag in tags:
            parts += [
                f"\n### {tag}\n",
                HEADER,
                *rest_rows(one for one in endpoints if one.tag == tag),
            ]
    parts += [
        "\n## Everything else of a hub\n",
        HEADER.replace("token", "who"),
        *map(special_row, SPECIALS),
    ]
    return "".join(parts)


def rest_rows(endpoints: Iterable[Endpoint]) -> Iterator[str]:
    """The lines of some endpoints."""
    for one in endpoints:
        whose = (
            {"user": "a user's", "edge": "an edge's token, key or certificate"}[one.token]
            if one.action
            else "none"
        )
        yield f"| `{one.method} {one.path}` | {one.summary} | {asked(one.actions)} | {whose} |\n"


def special_row(one: Special) -> str:
    """One line of what is no REST."""
    methods = "socket" if one.kind in ("websocket", "protocol") else ", ".join(one.methods)
    return f"| `{methods} {one.path}` | {one.text} | {asked(one.actions)} | {one.who} |\n"


def asked(actions: Iterable[str]) -> str:
    """Actions in a cell."""
    return " or ".join(f"`{action}`" for action in actions) or "nothing"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
