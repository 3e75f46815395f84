"""Which cameras a recording names, and what becomes of those that nobody registered: they are
registered in a named site, or it is refused.

A typing error in a name, or a recording of somebody else's cameras, would else leave tiles on every
wall.
"""

import argparse
import asyncio
import sys
from collections.abc import Collection

from actors.core.errors import BadInput
from actors.core.identifiers import require_id
from actors.core.messages.registry import NewCamera, NewSite
from cluster.cli import console
from cluster.cli.hub_options import rest, rows
from cluster.registry_file import AddCamera, AddSite, RegistryChange
from cluster.registry_target import HubTarget
from cluster.rest_client import HubRest
from edge.replay import ReplayOptions
from edge.replay_cameras import MOST_READINGS, named_cameras

SHOWN = 5  # names in a message


def settle(options: ReplayOptions, arguments: argparse.Namespace) -> frozenset[str]:
    """The cameras of the recording that may be sent: the registered ones, and those that are
    registered now in `--site`.

    Raises BadInput where some are not registered and no site is named, and what the registry says
    against it.
    """
    hub = rest(arguments, subject="replay")
    with console.spinner("looking which cameras it names"):
        named = named_cameras(options)
    known = {row["camera"] for row in rows(hub, "/v1/cameras", "cameras")}
    missing = sorted(named.cameras - known)
    if not missing:
        return frozenset(named.cameras if named.all else known)
    site = arguments.site or _asked(missing)
    if not site:
        raise BadInput(
            f"{told(missing)} of {options.path.name} not registered",
            hint="Name their site with --site SITE, which registers them there; or register them "
            "first: `eyrie registry apply`.",
        )
    asyncio.run(_register(hub, require_id(site, "site"), missing))
    console.note(f"registered {console.counted(len(missing), 'camera')} in site {site}")
    if not named.all:
        console.note(
            f"only the first {MOST_READINGS:,} messages were looked at: cameras that come later "
            "are left out",
            style="yellow",
        )
    return frozenset(known | named.cameras)


def told(missing: Collection[str]) -> str:
    """Some names, and how many there are."""
    names = sorted(missing)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (
        f"{console.counted(len(names), 'camera')} ({', '.join(names[:SHOWN])}{more}) "
        f"{'is' if len(names) == 1 else 'are'}"
    )


def _asked(missing: list[str]) -> str:
    """The site that somebody at the terminal names; empty where nobody is there or says none."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return ""
    console.note(f"{told(missing)} not registered.", style="yellow")
    return console.asked("Register in which site? (empty: not at all) ")


async def _register(hub: HubRest, site: str, cameras: list[str]) -> None:
    target = HubTarget(hub)
    if await target.site(site) is None:
        await target.carry_out(RegistryChange(f"site {site}", [], AddSite(NewSite(site=site))))
    for camera in cameras:
        await target.carry_out(
            RegistryChange(f"camera {camera}", [], AddCamera(NewCamera(camera=camera, site=site)))
        )
