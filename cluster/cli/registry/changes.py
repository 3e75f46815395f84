"""``eyrie registry delete|move|rename``: what a file never does.

A camera's id is the name of its past: events, dead letters and decisions stay with the site they
were made in. So a camera that goes to another site, or is to be called otherwise, goes on under
another id, with a stream of its own that begins at 1; its name, tags and scene go with it, its past
stays where it was (docs/registry.md).
"""

import argparse
import asyncio
from typing import Any
from urllib.parse import quote

import msgspec

from actors.core.errors import BadInput, Conflict, EyrieError, NotFound
from actors.core.identifiers import require_id
from actors.core.messages.registry import NewCamera
from cluster.cli import console
from cluster.cli.hub_options import rows
from cluster.registry_file import AddCamera, ChangeCamera, ChangeSite, KnownCamera, RegistryChange
from cluster.registry_target import HubTarget
from cluster.rest_client import HubRest


def add_parsers(kinds: Any) -> list[argparse.ArgumentParser]:
    """Add ``delete``, ``move`` and ``rename``."""
    delete = kinds.add_parser("delete", help="delete cameras, or a site with its cameras")
    delete.add_argument("cameras", nargs="*", metavar="CAMERA")
    delete.add_argument(
        "--site", default="", metavar="SITE", help="this site and every camera in it"
    )
    delete.add_argument("--yes", action="store_true", help="do not ask")
    delete.set_defaults(change=_delete)
    move = kinds.add_parser("move", help="go on in another site, under another id")
    move.add_argument("camera", metavar="CAMERA")
    move.add_argument(
        "--site", required=True, metavar="SITE", help="the other site; it must be registered"
    )
    move.add_argument(
        "--as",
        dest="new",
        required=True,
        metavar="ID",
        help="the id it has there; its device must use it",
    )
    move.set_defaults(change=_move)
    rename = kinds.add_parser("rename", help="another name, or another id")
    rename.add_argument("camera", nargs="?", default="", metavar="CAMERA")
    rename.add_argument(
        "--site", default="", metavar="SITE", help="rename this site instead of a camera"
    )
    to = rename.add_mutually_exclusive_group(required=True)
    to.add_argument(
        "--name", metavar="TEXT", help="what people read; the id and everything else stay"
    )
    to.add_argument(
        "--as",
        dest="new",
        default="",
        metavar="ID",
        help="go on under this id; its device must use it",
    )
    rename.set_defaults(change=_rename)
    return [delete, move, rename]


def run(hub: HubRest, arguments: argparse.Namespace) -> int:
    """Do it; 0 when all of it was done."""
    return int(asyncio.run(arguments.change(hub, HubTarget(hub), arguments)))


async def _delete(hub: HubRest, target: HubTarget, arguments: argparse.Namespace) -> int:
    if bool(arguments.cameras) == bool(arguments.site):
        raise BadInput(
            "delete what?",
            hint="eyrie registry delete CAMERA …, or --site SITE for a site with its cameras",
        )
    site = arguments.site
    names = (
        [row["camera"] for row in rows(hub, f"/v1/cameras?site={quote(site)}", "cameras")]
        if site
        else list(arguments.cameras)
    )
    if site and await target.site(site) is None:
        raise NotFound(f"there is no site {site}", hint="`eyrie registry show` lists them.")
    what = console.counted(len(names), "camera") + (f" and site {site}" if site else "")
    if not arguments.yes and not console.confirmed(f"Delete {what}? What is stored of them stays."):
        raise BadInput(
            f"{what} would be deleted: nothing was done",
            hint="Say --yes where nobody can be asked.",
        )
    failed = 0
    for name in names:
        failed += _tried(hub, f"/v1/cameras/{quote(name)}", f"camera {name}", arguments)
    if site and not failed:
        failed += _tried(hub, f"/v1/sites/{quote(site)}", f"site {site}", arguments)
    return console.FAILED if failed else console.OK


def _tried(hub: HubRest, path: str, what: str, arguments: argparse.Namespace) -> int:
    """Delete it as it is; 1 where that failed, which is told."""
    try:
        hub.send("DELETE", path, etag="*")
    except EyrieError as error:
        console.fail(error)
        return 1
    _tell(arguments, f"{what} is deleted", {"deleted": what})
    return 0


async def _move(hub: HubRest, target: HubTarget, arguments: argparse.Namespace) -> int:
    known = await _known(target, arguments.camera)
    if known.site == arguments.site:
        raise BadInput(
            f"camera {arguments.camera} is in site {known.site}",
            hint="`eyrie registry rename` gives it another id there.",
        )
    if await target.site(arguments.site) is None:
        raise NotFound(
            f"there is no site {arguments.site}", hint="Register it first: `eyrie registry apply`."
        )
    return await _succeed(hub, target, arguments, known, arguments.site)


async def _rename(hub: HubRest, target: HubTarget, arguments: argparse.Namespace) -> int:
    if bool(arguments.camera) == bool(arguments.site):
        raise BadInput(
            "rename what?",
            hint="eyrie registry rename CAMERA --name TEXT, or --site SITE --name TEXT",
        )
    if arguments.site:
        if arguments.new:
            raise BadInput("a site's id never changes", hint="--name changes what people read.")
        site = await target.site(arguments.site)
        if site is None:
            raise NotFound(
                f"there is no site {arguments.site}", hint="`eyrie registry show` lists them."
            )
        fields = _named(site.fields, arguments.name)
        await target.carry_out(
            RegistryChange(
                f"site {arguments.site}", [], ChangeSite(arguments.site, fields, site.tag)
            )
        )
        _tell(
            arguments,
            f"site {arguments.site} is called {arguments.name!r}",
            {"site": arguments.site, "name": arguments.name},
        )
        return console.OK
    known = await _known(target, arguments.camera)
    if arguments.new:
        return await _succeed(hub, target, arguments, known, known.site)
    changed = ChangeCamera(arguments.camera, _named(known.fields, arguments.name), known.tag)
    await target.carry_out(RegistryChange(f"camera {arguments.camera}", [], changed))
    _tell(
        arguments,
        f"camera {arguments.camera} is called {arguments.name!r}",
        {"camera": arguments.camera, "name": arguments.name},
    )
    return console.OK


async def _succeed(
    hub: HubRest, target: HubTarget, arguments: argparse.Namespace, old: KnownCamera, site: str
) -> int:
    """Add the successor, then delete the old one as it was read. What fails between the two is done
    by the same command again."""
    name = require_id(arguments.new, "camera")
    new = NewCamera(
        camera=name, site=site, name=old.fields.name, tags=old.fields.tags, scene=old.scene
    )
    there = await target.camera(name)
    if there is None:
        await target.carry_out(RegistryChange(f"camera {name}", [], AddCamera(new)))
    elif (there.site, there.fields, there.scene) != (site, old.fields, old.scene):
        raise Conflict(f"there is another camera {name}", hint="Choose an id that nobody has.")
    hub.send("DELETE", f"/v1/cameras/{quote(arguments.camera)}", etag=old.tag)
    _tell(
        arguments,
        f"camera {arguments.camera} goes on as {name} in site {site}; its device must say hello "
        f"as {name}",
        {"camera": arguments.camera, "as": name, "site": site},
    )
    console.note(f"What is stored of {arguments.camera} stays with site {old.site}.")
    return console.OK


async def _known(target: HubTarget, camera: str) -> KnownCamera:
    known = await target.camera(camera)
    if known is None:
        raise NotFound(f"there is no camera {camera}", hint="`eyrie cameras` lists them.")
    return known


def _named(fields: Any, name: str) -> Any:
    """`fields` with another name. Raises BadInput for one that is too long or has control
    characters."""
    try:
        return msgspec.convert(
            msgspec.to_builtins(msgspec.structs.replace(fields, name=name)), type(fields)
        )
    except msgspec.ValidationError as error:
        raise BadInput(f"{name[:40]!r} is no name: {error}") from error


def _tell(arguments: argparse.Namespace, text: str, value: dict[str, str]) -> None:
    if arguments.json:
        console.emit(value)
    else:
        console.say(text, style="green")
