"""``eyrie registry``: sites, cameras and scenes from a file, what is registered, and what a file
never does."""

import argparse
import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from actors.core.errors import BadInput
from actors.core.messages.registry import SiteFields
from cluster.cli import console
from cluster.cli.hub_options import add_hub_options, rest, rows
from cluster.cli.registry import changes as registry_changes
from cluster.registry_file import KnownCamera, RegistryChange, parse, to_toml
from cluster.registry_target import HubTarget, carry_out, compare
from cluster.rest_client import HubRest

EXAMPLES = """examples:
  eyrie registry show                          the registered cameras
  eyrie registry show --toml > cameras.toml    as a file that `apply` takes
  eyrie registry apply cameras.toml --dry-run  what it would change
  eyrie registry apply cameras.toml
  eyrie registry delete gate-1 gate-2
  eyrie registry delete --site garage --yes    the site and every camera in it
  eyrie registry rename gate-1 --name "North gate"
  eyrie registry move gate-1 --site south --as south-gate

A camera that moves, or gets another id, goes on under that id: its past stays with its old id and site. `eyrie cameras` lists with filters.
A file brings about what it names and leaves the rest alone; applying it twice changes nothing the second time.
exit codes: 0 done, 1 refused or changed by somebody else meanwhile, 2 wrong file or usage
"""  # noqa: E501

COLOURS = {"+": "green", "-": "red", "~": "yellow"}


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "registry",
        help="sites, cameras and zones",
        description="Sites, cameras and their scenes.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="command")
    apply = kinds.add_parser("apply", help="bring about what a TOML file names")
    apply.add_argument("file", metavar="FILE")
    apply.add_argument("--dry-run", action="store_true", help="only tell what would change")
    show = kinds.add_parser("show", help="what is registered")
    show.add_argument("--site", default="", metavar="SITE", help="only this site")
    show.add_argument("--toml", action="store_true", help="print a registry file")
    for kind in (apply, show, *registry_changes.add_parsers(kinds)):
        add_hub_options(kind)
        kind.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Do it; 0 when done."""
    if arguments.kind in ("delete", "move", "rename"):
        return registry_changes.run(rest(arguments, subject="registry"), arguments)
    if arguments.kind == "show":
        return asyncio.run(_show(arguments, rest(arguments, subject="registry")))
    try:
        text = Path(arguments.file).read_bytes()
    except OSError as error:
        raise BadInput(
            f"{arguments.file} cannot be read: {error.strerror}", hint="Name a registry file."
        ) from error
    file = parse(text)
    target = HubTarget(rest(arguments, subject="registry"))
    steps = asyncio.run(compare(file, target))
    if not arguments.dry_run:
        asyncio.run(carry_out(steps, target))
    _tell(steps, arguments)
    return console.OK


def _tell(steps: list[RegistryChange], arguments: argparse.Namespace) -> None:
    if arguments.json:
        changes = [{"what": step.what, "differences": step.lines} for step in steps]
        console.emit({"changes": changes, "applied": not arguments.dry_run})
        return
    for step in steps:
        console.say(step.what)
        for line in step.lines:
            console.say(f"  {line}", style=COLOURS.get(line[:1], ""))
    if not steps:
        console.note("nothing differs")
    else:
        console.note(
            f"{console.counted(len(steps), 'change')} "
            + ("would be made" if arguments.dry_run else "made")
        )


async def _show(arguments: argparse.Namespace, hub: HubRest) -> int:
    target = HubTarget(hub)
    sites: dict[str, SiteFields] = {}
    for name in [
        row["site"]
        for row in rows(hub, "/v1/sites", "sites")
        if arguments.site in ("", row["site"])
    ]:
        if (site := await target.site(name)) is not None:
            sites[name] = site.fields
    query = f"?site={quote(arguments.site)}" if arguments.site else ""
    listed = list(rows(hub, f"/v1/cameras{query}", "cameras"))
    cameras: dict[str, KnownCamera] = {}
    for row in listed if arguments.toml or arguments.json else ():
        if (camera := await target.camera(row["camera"])) is not None:
            cameras[row["camera"]] = camera
    if arguments.toml:
        console.say(to_toml(sites, cameras))
    elif arguments.json:
        console.emit(
            {
                "sites": sites,
                "cameras": {
                    name: {
                        "site": camera.site,
                        **msgspec.to_builtins(camera.fields),
                        "scene": camera.scene,
                    }
                    for name, camera in cameras.items()
                },
            }
        )
    else:
        shown = [
            (
                row["site"],
                row["camera"],
                row["name"],
                ", ".join(row["tags"]),
                str(row["scene_version"]),
            )
            for row in listed
        ]
        console.table(
            f"{console.counted(len(shown), 'camera')} in {console.counted(len(sites), 'site')}",
            ("site", "camera", "name", "tags", "scene"),
            sorted(shown),
        )
    return console.OK
