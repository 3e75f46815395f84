"""``eyrie counts``: how often lines were crossed, and zones entered and left."""

import argparse
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from actors.core.identifiers import require_id
from cluster.cli import console
from cluster.cli.hub_options import add_hub_options, rest
from storage.ports.background.counts import STEPS

EXAMPLES = """examples:
  eyrie counts camera gate-1                            the last 60 hours
  eyrie counts camera gate-1 --step day --line entry
  eyrie counts site north --step minute --from 2026-12-01T08:00:00Z --to 2026-12-01T09:00:00Z --json

Workers add the events up every minute (`cluster.workers`); what is not in yet is told.
exit codes: 0 done, 1 refused or no connection, 2 wrong usage
"""


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "counts",
        help="how often lines were crossed, and zones entered and left",
        description="Stored counts of a camera, or of the cameras of a site.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("of", choices=("camera", "site"))
    parser.add_argument("id", help="which one")
    parser.add_argument("--step", choices=tuple(STEPS), default="hour", help="default: hour")
    parser.add_argument("--from", default="", metavar="TIME", help="buckets that begin from it on")
    parser.add_argument("--to", default="", metavar="TIME", help="buckets that begin before it")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--line", default="", help="only this line")
    place.add_argument("--zone", default="", help="only this zone")
    parser.add_argument("--label", default="", help="only this label")
    add_hub_options(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Show them."""
    name = require_id(arguments.id, arguments.of)
    names = ("step", "from", "to", "line", "zone", "label")
    query = urlencode({n: value for n in names if (value := getattr(arguments, n))})
    hub = rest(arguments, subject="counts")
    path = f"/v1/{arguments.of}s/{quote(name)}/counts?{query}"
    found = msgspec.json.decode(hub.send("GET", path).body, type=dict[str, Any])
    if arguments.json:
        console.emit(found)
        return console.OK
    rows = [
        (
            one["time"][:16].replace("T", " "),
            one["camera"],
            f"line {one['line']}" if one.get("line") else f"zone {one['zone']}",
            one["label"],
            str(one["in"]),
            str(one["out"]),
        )
        for one in found["counts"]
    ]
    title = f"by {found['step']}, UTC"
    console.table(title, ("begins", "camera", "of", "label", "in", "out"), rows)
    if found["behind"]:
        events = console.counted(found["behind"], "event")
        console.note(f"{events} not counted yet: workers do that (`cluster.workers`)")
    if "next" in found:
        console.note(f"there are more: --from {found['next']}")
    return console.OK
