"""``eyrie cameras``: the cameras there are, how each is, and which of them nobody registered by
hand."""

import argparse
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from actors.core.times import parse_rfc3339, to_us
from cluster.cli import console
from cluster.cli.hub_options import add_hub_options, rest, rows
from cluster.cli.options import duration
from cluster.rest_client import HubRest

STATUSES = ("online", "stale", "offline")
UNKNOWN = "unknown"  # registered so lately that no wall has it yet

EXAMPLES = """examples:
  eyrie cameras                             all of them
  eyrie cameras --site garage --status offline
  eyrie cameras --tag outdoor --json
  eyrie cameras --idle 7d                   nothing was seen of them for a week, or never
  eyrie cameras --auto-registered           those that a device brought about by itself
  eyrie registry delete $(eyrie cameras --auto-registered --idle 7d --ids)

exit codes: 0 done, 1 refused, 2 wrong usage
"""


class Listed(msgspec.Struct, frozen=True):
    """One camera. `seen`: when its last observation was received; null: never."""

    camera: str
    site: str
    name: str
    tags: list[str]
    auto_registered: bool
    status: str
    reason: str | None
    seen: str | None
    fps: float


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "cameras",
        help="list cameras, with filters",
        description="The cameras there are, and how each is.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--site", default="", metavar="SITE", help="only of this site")
    parser.add_argument(
        "--status",
        choices=STATUSES,
        action="append",
        default=[],
        help="only with this status (may repeat)",
    )
    parser.add_argument(
        "--tag",
        action="append",
        default=[],
        metavar="TAG",
        help="only with this tag (may repeat: with all of them)",
    )
    parser.add_argument(
        "--idle",
        type=duration,
        metavar="TIME",
        help="only where nothing was seen for so long, such as 10m, 2h, 7d",
    )
    parser.add_argument(
        "--auto-registered",
        action="store_true",
        help="only those that a device brought about by itself",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--ids", action="store_true", help="print ids alone, one a line")
    add_hub_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """List them."""
    hub = rest(arguments, subject="cameras")
    found = [
        camera
        for camera in cameras(hub, arguments.site)
        if chosen(camera, arguments, to_us(datetime.now(UTC)))
    ]
    if arguments.json:
        console.emit({"cameras": found})
    elif arguments.ids:
        for camera in found:
            console.say(camera.camera)
    else:
        told = [
            (
                c.camera,
                c.site,
                c.name,
                ", ".join(c.tags),
                c.status + (f" ({c.reason})" if c.reason else ""),
                "never" if c.seen is None else c.seen[:19].replace("T", " "),
                f"{c.fps:.1f}",
                "by a device" if c.auto_registered else "",
            )
            for c in found
        ]
        columns = (
            "camera",
            "site",
            "name",
            "tags",
            "status",
            "last seen (UTC)",
            "fps",
            "registered",
        )
        console.table(console.counted(len(found), "camera"), columns, told)
    return console.OK


def chosen(camera: Listed, arguments: argparse.Namespace, now_us: int) -> bool:
    """Whether every filter takes it."""
    if arguments.status and camera.status not in arguments.status:
        return False
    if arguments.auto_registered and not camera.auto_registered:
        return False
    if not set(arguments.tag) <= set(camera.tags):
        return False
    return (
        arguments.idle is None
        or camera.seen is None
        or now_us - parse_rfc3339(camera.seen) >= arguments.idle * 1_000_000
    )


def cameras(hub: HubRest, site: str = "") -> list[Listed]:
    """The registered cameras that the token may read, by site and id, each as its wall shows it."""
    registered = rows(hub, f"/v1/cameras?site={quote(site)}" if site else "/v1/cameras", "cameras")
    wall = hub.get(f"/v1/sites/{quote(site)}/state" if site else "/v1/fleet/state")
    shown: dict[str, dict[str, Any]] = {}
    if wall is not None:
        shown = {
            one["camera"]: one
            for one in msgspec.json.decode(wall.body, type=dict[str, Any]).get("cameras", [])
        }
    return sorted(
        (_listed(row, shown.get(row["camera"], {})) for row in registered),
        key=lambda one: (one.site, one.camera),
    )


def _listed(row: dict[str, Any], summary: dict[str, Any]) -> Listed:
    return Listed(
        row["camera"],
        row["site"],
        row["name"],
        row["tags"],
        row.get("auto_registered", False),
        summary.get("status", UNKNOWN),
        summary.get("reason"),
        summary.get("received"),
        summary.get("fps", 0.0),
    )
