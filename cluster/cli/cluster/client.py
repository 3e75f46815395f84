"""Where the cluster API is, and asking it: pages put together, keys so that a repeated request
changes nothing twice."""

import argparse
import asyncio
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from actors.core.errors import ConfigError, EyrieError, NotFound, Unavailable
from actors.core.settings import Settings
from cluster.cli.console import counted
from cluster.cli.hub_options import EVERYWHERE, pinned, settings, token_source
from cluster.cli.options import add_settings_options
from cluster.rest_client import HubRest
from storage.ports.processes import ApiRecord
from storage.postgres.pool import Database
from storage.postgres.processes import PostgresApiStore

ROOT = "/v1/cluster"
PAGE = 500
SERVICES = ("hub", "policy", "worker")
TRIES = 2  # of a request whose answer was lost


def add_options(parser: argparse.ArgumentParser) -> None:
    """``--url``, ``--token-file``, ``--json`` and those that find the running instance."""
    parser.add_argument(
        "--url",
        default="",
        metavar="URL",
        help="the cluster API, for example http://127.0.0.1:8001 (default: found)",
    )
    parser.add_argument(
        "--token-file",
        default="",
        metavar="FILE",
        help="file with the token (default: one is made for the running Eyrie)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_settings_options(parser)
    parser.add_argument("--settings", default="", help=argparse.SUPPRESS)


class ApiClient:
    """One command's way to the API."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        token = token_source(arguments, subject="cluster", typ="user", roles=["admin"])()
        if arguments.url:
            url, tls = arguments.url if "://" in arguments.url else f"http://{arguments.url}", None
        else:
            known = settings(arguments)
            record = asyncio.run(recorded(known))
            secure = bool(known.hub.tls_cert_file) and record.host not in (
                "127.0.0.1",
                "::1",
                "localhost",
            )
            url = f"{'https' if secure else 'http'}://{EVERYWHERE.get(record.host, record.host)}:{record.port}"  # noqa: E501
            tls = pinned(known.hub.tls_cert_file) if secure else None
        self._rest = HubRest(url, token, tls, who="the cluster API")

    def read(self, path: str, **query: object) -> dict[str, Any]:
        """GET."""
        given = {key.rstrip("_"): value for key, value in query.items() if value not in (None, "")}
        return _decoded(
            self._rest.send("GET", ROOT + path + (f"?{urlencode(given)}" if given else "")).body
        )

    def all(
        self, path: str, key: str, *, cursor: str = "after", **query: object
    ) -> list[dict[str, Any]]:
        """Every page of a list."""
        found: list[dict[str, Any]] = []
        after: object = None
        while True:
            page = self.read(path, **query, limit=PAGE, **{cursor: after})
            found += page[key]
            after = page.get("next")
            if after is None:
                return found

    def put(self, path: str, body: object) -> dict[str, Any]:
        """PUT."""
        return _decoded(self._rest.send("PUT", ROOT + path, body).body)

    def delete(self, path: str) -> dict[str, Any]:
        """DELETE."""
        return _decoded(self._rest.send("DELETE", ROOT + path).body)

    def post(self, path: str, body: object = None, *, timeout_s: float = 15.0) -> dict[str, Any]:
        """POST under a fresh key, again when no answer came."""
        key = secrets.token_hex(12)
        for left in range(TRIES - 1, -1, -1):
            try:
                return _decoded(
                    self._rest.send("POST", ROOT + path, body, key=key, timeout_s=timeout_s).body
                )
            except Unavailable:
                if not left:
                    raise
        raise AssertionError

    def change(self, path: str, make: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Read, make the new body, PUT under the ETag that was read."""
        read = self._rest.send("GET", ROOT + path)
        return _decoded(
            self._rest.send("PUT", ROOT + path, make(_decoded(read.body)), etag=read.etag).body
        )

    def node(self, text: str) -> str:
        """A node by its id, the beginning of it, or its address. Raises NotFound."""
        nodes = self.all("/nodes", "nodes")
        found = [node["id"] for node in nodes if node["address"] == text] or [
            node["id"] for node in nodes if node["id"].startswith(text)
        ]
        if len(found) != 1:
            raise NotFound(
                f"{counted(len(found), 'node is', 'nodes are')} called {text}",
                hint="`eyrie cluster nodes` lists them; give the address or more of the id.",
            )
        return str(found[0])


def process_name(text: str) -> str:
    """``hub:0``, as the log of decisions writes it, is the process ``hub-0``; everything else is
    itself."""
    kind, _, index = text.partition(":")
    return f"{kind}-{index}" if kind in SERVICES and index.isdecimal() else text


def subject(text: str) -> str:
    """What decisions are about: ``hub-0`` is ``hub:0`` there, and a name alone is a camera's."""
    kind, _, index = text.partition("-")
    if kind in SERVICES and index.isdecimal():
        return f"{kind}:{index}"
    return text if ":" in text or text in ("", "cluster") else f"camera:{text}"


def part(name: str) -> str:
    """A name as a part of a path."""
    return quote(name, safe="")


async def recorded(known: Settings) -> ApiRecord:
    """Where the API said it listens; what the settings say where nobody can be asked."""
    try:
        database = await Database.open(known.postgres, name="cluster-cli")
    except EyrieError:
        return ApiRecord(known.cluster.api_host, known.cluster.api_port)
    try:
        found = await PostgresApiStore(database).find()
    finally:
        await database.close()
    if found is None or not found.port:
        raise ConfigError(
            "the cluster API does not listen",
            hint="Does Eyrie run? `eyrie status` tells; its log says why not.",
        )
    return found


def _decoded(body: bytes) -> dict[str, Any]:
    return msgspec.json.decode(body, type=dict[str, Any])
