"""``eyrie status``: what runs on this data directory, and whether it can serve."""

import argparse
import asyncio
from typing import Any

import msgspec

from actors.core.errors import EyrieError
from cluster.cli import console
from cluster.cli.options import add_settings_options, data_dir
from storage.embedded.data_dir import DataDir
from storage.ports.processes import living
from storage.process import disk_room
from storage.process.settings_files import read_resolved
from storage.stores import open_stores

SUPERVISED_S = 8.0  # seconds since the supervisor said that it works; it does every two
NOT_RUNNING = 3  # exit code: no instance holds the data directory

EXAMPLES = """examples:
  eyrie status
  eyrie status --json

exit codes: 0 running, 1 something is missing, 3 not running
"""


class Running(msgspec.Struct):
    """What was found."""

    data_dir: str
    processes: list[str]
    hubs: list[dict[str, Any]] = msgspec.field(default_factory=list)
    api: str = ""
    cameras: list[dict[str, Any]] = msgspec.field(default_factory=list)
    problem: str = ""


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "status",
        help="what runs",
        description="What runs on this data directory.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_settings_options(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print what runs."""
    data = data_dir(arguments)
    if not data.settings_file.exists() or not data.noted():
        console.note(f"Eyrie does not run on {data.path}; start it with `eyrie up`.")
        return NOT_RUNNING
    found = asyncio.run(_look(data))
    found.problem = "; ".join(filter(None, [found.problem, disk_room.make_room(data.path)]))
    if arguments.json:
        console.emit(found)
    else:
        _show(found)
    return console.FAILED if found.problem else console.OK


async def _look(data: DataDir) -> Running:
    found = Running(
        str(data.path), sorted({record.name.partition("-")[0] for record in data.noted()})
    )
    try:
        settings = read_resolved(data.settings_file)
        scheme = "https" if settings.hub.tls_cert_file else "http"
        stores = await open_stores(settings, name="status", redis_needed=True)
    except EyrieError as error:
        found.problem = error.detail
        return found
    try:
        hubs = sorted(living(await stores.hubs.all()), key=lambda hub: hub.name)
        found.hubs = [
            {"name": h.name, "url": f"{scheme}://{h.host}:{h.port}/", "age_s": round(h.age_s, 1)}
            for h in hubs
        ]
        api = await stores.api.find()
        supervised = api is not None and abs(api.age_s) < SUPERVISED_S
        if api is not None and supervised and api.port:
            found.api = f"{api.host}:{api.port}"
        if not supervised:
            heard = "never" if api is None else f"{api.age_s:.0f} s ago"
            found.problem = (
                f"the supervisor does not work (heard {heard}): nothing that fails is replaced"
            )
        owners = await stores.cameras.owners()
        rows = await stores.cameras.ownership(list(owners))
        found.cameras = [
            {
                "camera": c,
                "owner": row.owner or "",
                "generation": row.generation or None,
                "session": row.position.session,
                "last_seq": row.position.last_seq,
                "last_offset": row.position.last_offset,
            }
            for c, row in sorted(rows.items())
        ]
    except EyrieError as error:
        found.problem = error.detail
    finally:
        await stores.close()
    if not found.hubs:
        found.problem = "; ".join(filter(None, ["no hub is running", found.problem]))
    return found


def _show(found: Running) -> None:
    console.say(f"data directory  {found.data_dir}")
    console.say(f"processes       {', '.join(found.processes)}")
    for hub in found.hubs:
        console.say(f"hub             {hub['name']} at {hub['url']} (heard {hub['age_s']} s ago)")
    if found.api:
        console.say(f"cluster API     {found.api} (`eyrie cluster status`)")
    if found.cameras:
        columns = ("camera", "owner", "generation", "session", "last_seq", "last_offset")
        console.table(
            "",
            columns,
            [
                [
                    console.generation(row[name]) if name == "generation" else str(row[name])
                    for name in columns
                ]
                for row in found.cameras
            ],
        )
    if found.problem:
        console.note(f"problem: {found.problem}", style="bold red")
