"""``eyrie alerts``: what needs somebody, and what people do about it."""

import argparse
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from actors.core.identifiers import require_id
from actors.core.log_format import one_line
from cluster.cli import console
from cluster.cli.database.machine_user import machine_user
from cluster.cli.hub_options import add_hub_options, rest
from cluster.cli.options import duration, whole
from cluster.rest_client import HubRest

VERDICTS = ("true", "false", "test", "nuisance")
COLUMNS = ("alert", "state", "severity", "since", "times", "who")

EXAMPLES = """examples:
  eyrie alerts list                                  of the fleet: what needs somebody, the worst first
  eyrie alerts list --site north --all --json        what is over and acknowledged too
  eyrie alerts show gate-1/forced                    one (camera/rule, or camera/rule/zone), and what was done
  eyrie alerts ack gate-1/forced                     the occurrence that is shown now
  eyrie alerts confirm gate-1/forced                 somebody acted on it
  eyrie alerts assign gate-1/forced ann
  eyrie alerts verdict gate-1/forced nuisance
  eyrie alerts note gate-1/forced "a fox"
  eyrie alerts shelve gate-1/forced --for 1h --reason "works at the door"
  eyrie alerts unshelve gate-1/forced
  eyrie alerts clear gate-1/forced

exit codes: 0 done, 1 refused (somebody was first, or it arose again) or no connection, 2 wrong usage
"""  # noqa: E501


ONE = {
    "show": "one, and what was done about it",
    "ack": "say that you have seen it",
    "confirm": "say that somebody acted on it",
    "assign": "give it to a person",
    "verdict": "say what it was",
    "note": "write something to it",
    "shelve": "set it aside for a time",
    "unshelve": "take it back",
    "clear": "say that it is over, where nothing else ends it",
}


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "alerts",
        help="what needs somebody",
        description="Alerts of cameras: list, show, acknowledge, assign, judge, shelve.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="command")
    found = kinds.add_parser("list", help="the worst first, then the oldest")
    of = found.add_mutually_exclusive_group()
    of.add_argument("--site", default="", metavar="SITE")
    of.add_argument("--camera", default="", metavar="CAMERA")
    found.add_argument("--all", action="store_true", help="what is over and acknowledged too")
    made = {name: kinds.add_parser(name, help=text) for name, text in ONE.items()}
    for one in made.values():
        one.add_argument("alert", help="camera/rule, or camera/rule/place")
    for name in ("ack", "confirm"):
        made[name].add_argument(
            "--occurrence", type=whole, metavar="N", help="the one that you saw; default: as shown"
        )
    made["assign"].add_argument("to", nargs="?", help="whom; nobody where it is missing")
    made["verdict"].add_argument("verdict", choices=VERDICTS)
    made["note"].add_argument("note")
    made["shelve"].add_argument(
        "--for", dest="for_s", type=duration, required=True, metavar="TIME", help="like 30m, 2h"
    )
    made["shelve"].add_argument("--reason", dest="note", required=True)
    for one in (found, *made.values()):
        add_hub_options(one)
        one.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """List, show or act."""
    hub = rest(arguments, subject=machine_user())
    if arguments.kind == "list":
        return _list(hub, arguments)
    path, place = _path(arguments.alert)
    if arguments.kind == "show":
        return _show(hub, path, place, as_json=arguments.json)
    act = "acknowledge" if arguments.kind == "ack" else arguments.kind
    body: dict[str, Any] = {"place": place}
    for name in ("note", "to", "verdict", "for_s"):
        if (value := getattr(arguments, name, None)) is not None:
            body[name] = value
    if act in ("acknowledge", "confirm"):
        body["occurrence"] = arguments.occurrence or _read(hub, path, place)["alert"]["occurrence"]
    found = _decoded(hub.send("POST", f"{path}/{act}", body).body)
    if arguments.json:
        console.emit(found)
    else:
        console.table("", COLUMNS, [_row(found)])
    return console.OK


def _path(text: str) -> tuple[str, str]:
    camera, _, rest_of = text.partition("/")
    rule, _, place = rest_of.partition("/")
    names = require_id(camera, "camera"), require_id(rule, "rule")
    return f"/v1/cameras/{names[0]}/alerts/{names[1]}", require_id(place, "place") if place else ""


def _read(hub: HubRest, path: str, place: str) -> dict[str, Any]:
    query = f"?{urlencode({'place': place})}" if place else ""
    return _decoded(hub.send("GET", path + query).body)


def _decoded(body: bytes) -> dict[str, Any]:
    return msgspec.json.decode(body, type=dict[str, Any])


def _list(hub: HubRest, arguments: argparse.Namespace) -> int:
    of = f"/sites/{quote(arguments.site)}" if arguments.site else ""
    of = f"/cameras/{quote(arguments.camera)}" if arguments.camera else of
    found = _decoded(hub.send("GET", f"/v1{of}/alerts{'?state=all' if arguments.all else ''}").body)
    if arguments.json:
        console.emit(found)
        return console.OK
    console.table("alerts", COLUMNS, [_row(one) for one in found["alerts"]])
    if found["more"]:
        console.note("there are more: ask for a site or a camera")
    return console.OK


def _show(hub: HubRest, path: str, place: str, *, as_json: bool) -> int:
    found = _read(hub, path, place)
    if as_json:
        console.emit(found)
        return console.OK
    console.table("", COLUMNS, [_row(found["alert"])])
    acts = []
    for one in found["acts"]:
        note = one_line(one.get("note", ""))
        acts.append((_time(one["at"]), one["act"], one["who"], str(one["occurrence"]), note))
    console.table("what was done", ("when", "act", "who", "occurrence", "note"), acts)
    return console.OK


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    name = "/".join(filter(None, (one["camera"], one["rule"], one.get("place", ""))))
    who = one.get("assignee") or one.get("acknowledged_by", "")
    if one["state"] == "shelved":
        who = f"{one['shelved_by']} until {_time(one['shelved_until'])}"
    since = _time(one["since"]) if one["active"] else "over"
    return name, one["state"], one["severity"], since, str(one["occurrence"]), who


def _time(text: str) -> str:
    return text[:19].replace("T", " ")
