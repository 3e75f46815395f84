"""``eyrie simulate``: register a simulated site and stream it in real time over the edge socket,
until stopped."""

import argparse
import asyncio
import contextlib
import secrets
import signal
import ssl
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import msgspec

from actors.core.errors import BadInput
from actors.core.identifiers import require_id
from actors.core.log_format import configure
from actors.core.scene.scene import Scene
from actors.core.settings import Settings, SimulateSettings
from cluster.cli import console
from cluster.cli.hub_options import (
    EDGE_PATH,
    add_hub_options,
    settings,
    tls_context,
    token_source,
    websocket_url,
)
from cluster.cli.options import decimal, whole
from edge.client import EdgeClient
from edge.simulate import site as simulated
from storage.ports.registry import Registry
from storage.stores import open_stores

EXAMPLES = """examples:
  eyrie simulate                               the site of the settings ([simulate]), until Ctrl-C
  eyrie simulate --cameras 20 --site north --seed 7
  eyrie simulate --cameras 2 --seconds 30 --json

With --url and no --data-dir the cameras are not registered from here: that hub must know their zones and lines already.

exit codes: 0 stopped, 1 refused or failed, 2 wrong usage
"""  # noqa: E501

DRAIN_S = 5.0  # seconds at the end for what is under way to become durable


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "simulate",
        help="stream a simulated site",
        description="Stream a simulated site of people and vehicles.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--cameras",
        type=whole,
        metavar="N",
        help="number of cameras (default: setting simulate.cameras)",
    )
    parser.add_argument(
        "--site", default="", metavar="ID", help="the site (default: setting simulate.site)"
    )
    parser.add_argument(
        "--fps", type=decimal, metavar="N", help="frames a second (default: setting simulate.fps)"
    )
    parser.add_argument(
        "--seed", type=whole, metavar="N", help="the world (default: setting simulate.seed)"
    )
    parser.add_argument(
        "--seconds", type=decimal, metavar="S", help="stop after so long (default: until Ctrl-C)"
    )
    add_hub_options(parser)
    parser.add_argument(
        "--json", action="store_true", help="print what was streamed as JSON at the end"
    )


def run(arguments: argparse.Namespace) -> int:
    """Simulate until stopped."""
    found = (
        settings(arguments)
        if not arguments.url or arguments.data_dir or arguments.settings
        else None
    )
    given = {
        key: value
        for key in ("cameras", "site", "fps", "seed")
        if (value := getattr(arguments, key)) not in (None, "")
    }
    try:
        chosen = msgspec.convert(
            {**msgspec.to_builtins((found or Settings()).simulate), **given}, SimulateSettings
        )
    except msgspec.ValidationError as error:
        raise BadInput(str(error).replace("`$.", "`--")) from error
    require_id(chosen.site, "site")
    tokens = token_source(arguments, subject="simulate", typ="edge", sites=[chosen.site])
    configure((found or Settings()).log, "simulate")
    url = websocket_url(arguments, EDGE_PATH)
    frames, account = asyncio.run(
        simulate(url, tokens, chosen, found, seconds=arguments.seconds, tls=tls_context(arguments))
    )
    if arguments.json:
        console.emit({"cameras": chosen.cameras, "frames": frames, **account})
    else:
        console.note(
            f"Streamed {frames:,} frames of {console.counted(chosen.cameras, 'camera')}; "
            f"{account['committed']:,} are durable."
        )
    return console.OK


async def simulate(
    url: str,
    token: Callable[[], str],
    plan: SimulateSettings,
    found: Settings | None,
    *,
    seconds: float | None = None,
    tls: ssl.SSLContext | None = None,
) -> tuple[int, dict[str, int]]:
    """Register the site where `found` names its stores, then stream until SIGINT, SIGTERM or
    `seconds`; frames sent and the account.

    Every start is a new session: a simulated world does not go on where it stopped.
    """
    cameras = simulated.cameras(plan.site, plan.cameras)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if found is not None:
        await register(
            found, plan.site, simulated.scenes(plan.seed, cameras), simulated.names(cameras)
        )
    session = f"simulated-{secrets.token_hex(8)}"
    async with EdgeClient(url, token, producer="eyrie-simulate", tls=tls) as client:
        frames = await simulated.stream(
            client,
            cameras,
            seed=plan.seed,
            fps=plan.fps,
            session=session,
            stop=stop,
            seconds=seconds,
        )
        with contextlib.suppress(TimeoutError):
            await client.drain(DRAIN_S)
        account = client.account
    return frames, asdict(account)


async def register(
    found: Settings, site: str, scenes: Mapping[str, Scene], names: Mapping[str, str]
) -> None:
    """Add the cameras with their scenes before anything is streamed."""
    stores = await open_stores(found, name="eyrie-simulate")
    try:
        await register_in(stores.registry, site, scenes, names)
    finally:
        await stores.close()


async def register_in(
    registry: Registry, site: str, scenes: Mapping[str, Scene], names: Mapping[str, str]
) -> None:
    """:func:`register` in a registry. A scene that somebody has drawn stays, and so does a
    deletion.

    Raises BadInput when a camera of that name belongs to another site.
    """
    for camera, scene in scenes.items():
        encoded = msgspec.json.encode(scene)
        if await registry.register(
            camera, site, name=names[camera], scene=encoded, tags=["simulated"]
        ):
            continue
        record = await registry.camera(camera)
        if record is None:
            continue
        if record.site != site:
            raise BadInput(
                f"camera {camera} exists outside of site {site}",
                hint="Give the simulated site another name: --site.",
            )
        if msgspec.json.decode(record.scene, type=Scene) == Scene():
            await registry.set_scene(camera, encoded, expected_version=record.scene_version)
