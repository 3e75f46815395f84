"""``eyrie policy``: revisions of the policy, and which one is in force."""

import argparse
from pathlib import Path
from typing import Any

import msgspec

from actors.core.errors import BadInput, NotFound
from cluster.cli import console
from cluster.cli.database import policy_offline
from cluster.cli.database.policy_offline import PREVIOUS
from cluster.cli.hub_options import add_hub_options, http_url, tls_context, token_source
from cluster.rest_client import HubRest
from policy.engine.modules import read_sources

EXAMPLES = """examples:
  eyrie policy show                             what is in force
  eyrie policy list
  eyrie policy upload policy/rego --note "guests see no plates"
  eyrie policy shadow 94250c9c90ab --start      compare it with the one in force
  eyrie policy shadow                           what it decides otherwise
  eyrie policy shadow --stop
  eyrie policy activate 94250c9c90ab            a revision by the beginning of its name
  eyrie policy activate previous                the one before, by that word
  eyrie policy rollback                         to the one before
  eyrie policy rollback --offline --data-dir /var/lib/eyrie
                                                when nobody gets in or nothing runs: by the database alone

A change tells which state it changes; when somebody else was faster it is refused.
exit codes: 0 done, 1 refused, 2 wrong policy or usage
"""  # noqa: E501

MIN_PREFIX = 6


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "policy",
        help="who may do what",
        description="Policy revisions: upload, look at, activate, roll back.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="command")
    upload = kinds.add_parser(
        "upload", help="keep the *.rego files of a folder as a revision; it is not in force by that"
    )
    upload.add_argument("folder", metavar="FOLDER")
    upload.add_argument("--note", default="", help="what it is for")
    found = kinds.add_parser("list", help="revisions, newest first")
    show = kinds.add_parser("show", help="what is in force, or one revision with its modules")
    show.add_argument("revision", nargs="?", default="")
    shadow = kinds.add_parser(
        "shadow", help="compare a revision with the one in force, and what it decides otherwise"
    )
    shadow.add_argument(
        "revision", nargs="?", default="", help="without: the one that is compared now"
    )
    turn = shadow.add_mutually_exclusive_group()
    turn.add_argument("--start", action="store_true", help="begin to compare")
    turn.add_argument("--stop", action="store_true", help="end it; the report stays")
    activate = kinds.add_parser("activate", help="put a revision in force")
    activate.add_argument("revision")
    rollback = kinds.add_parser("rollback", help="put the one before in force")
    rollback.add_argument(
        "revision", nargs="?", default="", help="another one, or `previous` (the default)"
    )
    rollback.add_argument(
        "--offline",
        action="store_true",
        help="by the database alone (--config, --data-dir), whatever runs or not",
    )
    rollback.add_argument(
        "--key-file",
        type=Path,
        metavar="FILE",
        help="with --offline: policy.key_file; default: the data directory's",
    )
    for kind in (activate, rollback):
        kind.add_argument(
            "--lock-out",
            action="store_true",
            help="even when nobody like you may change the policy after it",
        )
    for kind in (upload, found, show, shadow, activate, rollback):
        add_hub_options(kind)
        kind.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Do it; 0 when done."""
    if arguments.kind == "rollback" and arguments.offline:
        return policy_offline.rollback(arguments)
    token = token_source(arguments, subject="policy", typ="user", roles=["privacy"])
    hub = HubRest(http_url(arguments), token(), tls_context(arguments))
    if arguments.kind == "list":
        return _list(hub, arguments)
    if arguments.kind == "shadow":
        return _shadow(hub, arguments)
    if arguments.kind == "upload":
        done = _send(
            hub,
            "POST",
            "/v1/policy/revisions",
            {"modules": read_sources(arguments.folder), "note": arguments.note},
        )
    elif arguments.kind == "show":
        path = (
            f"/v1/policy/revisions/{_name(hub, arguments.revision)}"
            if arguments.revision
            else "/v1/policy"
        )
        done = _send(hub, "GET", path)
    else:
        back = arguments.kind == "rollback" and arguments.revision in ("", PREVIOUS)
        name = "rollback" if back else f"revisions/{_name(hub, arguments.revision)}/activate"
        etag = hub.send("GET", "/v1/policy").etag
        done = _send(hub, "POST", f"/v1/policy/{name}", {"lock_out": arguments.lock_out}, etag=etag)
    if arguments.json:
        console.emit(done)
        return console.OK
    for key, value in done.items():
        if key != "modules":
            console.say(f"{key}: {value}")
    for name, text in done.get("modules", {}).items():
        console.say(f"\n# {name}\n{text}")
    return console.OK


def _list(hub: HubRest, arguments: argparse.Namespace) -> int:
    found = _revisions(hub)
    if arguments.json:
        console.emit({"revisions": found})
        return console.OK
    rows = [
        (
            str(row["number"]),
            row["revision"][:12],
            "in force" if row["active"] else "",
            row["created"],
            row["author"],
            row["note"],
        )
        for row in found
    ]
    console.table(
        console.counted(len(rows), "revision"),
        ("number", "revision", "state", "created", "by", "note"),
        rows,
    )
    return console.OK


def _shadow(hub: HubRest, arguments: argparse.Namespace) -> int:
    path = "/v1/policy/shadow"
    name = _name(hub, arguments.revision) if arguments.revision else ""
    if arguments.start:
        if not name:
            raise BadInput("which revision?", hint="eyrie policy shadow REVISION --start")
        report = _send(hub, "PUT", path, {"revision": name})
    elif arguments.stop:
        report = _send(hub, "DELETE", path)
    else:
        report = _send(hub, "GET", path + (f"?revision={name}" if name else ""))
    if arguments.json:
        console.emit(report)
        return console.OK
    rows = [
        tuple(str(flip[key]) for key in ("kind", "action", "role", "site", "count"))
        for flip in report["flips"]
    ]
    state = "it runs" if report["ended"] is None else f"ended {report['ended']}"
    title = f"revision {report['revision'][:12]}: {report['evaluated']} decisions compared, {state}"
    console.table(title, ("kind", "action", "role", "site", "count"), rows)
    if report["error"]:
        console.note(f"it ended by itself: {report['error']}")
    return console.OK


def _revisions(hub: HubRest) -> list[dict[str, Any]]:
    """All of them, page by page."""
    found: list[dict[str, Any]] = []
    before = ""
    while True:
        page = _send(hub, "GET", f"/v1/policy/revisions?limit=500{before}")
        found += page["revisions"]
        if "next" not in page:
            return found
        before = f"&before={page['next']}"


def _name(hub: HubRest, prefix: str) -> str:
    if prefix == PREVIOUS:
        found = _send(hub, "GET", "/v1/policy").get("previous")
        if found is None:
            raise NotFound(
                "there is no revision before the one in force",
                hint="`eyrie policy list` shows all.",
            )
        return str(found)
    if len(prefix) < MIN_PREFIX:
        raise BadInput(
            f"{prefix} is too short for the name of a revision",
            hint=f"Give at least {MIN_PREFIX} digits of it.",
        )
    names = [row["revision"] for row in _revisions(hub) if row["revision"].startswith(prefix)]
    if len(names) != 1:
        raise NotFound(
            f"{console.counted(len(names), 'revision')} called {prefix}",
            hint="`eyrie policy list` shows them.",
        )
    return str(names[0])


def _send(
    hub: HubRest, method: str, path: str, body: object = None, *, etag: str = ""
) -> dict[str, Any]:
    return msgspec.json.decode(hub.send(method, path, body, etag=etag).body, type=dict[str, Any])
