"""``eyrie tail``: what a channel publishes, one line each, through a hub's dashboard socket."""

import argparse
import asyncio
import contextlib
import math
from typing import Any

from actors.core.errors import BadInput
from actors.core.identifiers import is_id
from actors.core.log_format import one_line
from cluster.cli import console
from cluster.cli.hub_options import (
    DASHBOARD_PATH,
    add_hub_options,
    tls_context,
    token_source,
    websocket_url,
)
from cluster.cli.options import decimal, whole
from cluster.dashboard_client import ReceivedPublication, publications

EXAMPLES = """examples:
  eyrie tail camera:demo-1                a camera's state as it comes
  eyrie tail site:demo --json             a wall, as JSON
  eyrie tail events:camera:demo-1 events:site:demo --count 20
  eyrie tail fleet

exit codes: 0 enough seen, 1 no connection or refused, 2 wrong usage, 130 interrupted
"""


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "tail",
        help="watch a channel",
        description="Watch channels, one line per publication.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "channels",
        nargs="+",
        metavar="CHANNEL",
        help="camera:<id>, site:<id>, fleet, events:camera:<id>, events:site:<id>, …",
    )
    parser.add_argument("--count", type=whole, metavar="N", help="stop after so many publications")
    parser.add_argument(
        "--timeout-s",
        type=decimal,
        metavar="S",
        help="stop with exit code 1 when they did not come within so long",
    )
    add_hub_options(parser)
    parser.add_argument("--json", action="store_true", help="print every publication as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Watch; 0 after `--count` publications."""
    for channel in arguments.channels:
        require_channel(channel)
    if len(set(arguments.channels)) != len(arguments.channels):
        raise BadInput("a channel is named twice", hint="Name each once.")
    if arguments.count is not None and arguments.count < 1:
        raise BadInput(
            f"--count {arguments.count} sees nothing",
            hint="Name a number from 1 on, or leave it out.",
        )
    if arguments.timeout_s is not None and not 0 < arguments.timeout_s < math.inf:
        raise BadInput(
            f"--timeout-s {arguments.timeout_s:g} is no time to wait",
            hint="Name seconds above 0, or leave it out.",
        )
    tokens = token_source(
        arguments,
        subject="tail",
        typ="user",
        roles=["operator"],
        scopes=["plates:read", "names:read", "faces:read"],
    )
    return asyncio.run(_tail(arguments, websocket_url(arguments, DASHBOARD_PATH), tokens()))


def require_channel(channel: str) -> None:
    """Raises :class:`BadInput` for what is no channel of design section 7."""
    kind, _, name = channel.removeprefix("events:").partition(":")
    if (
        channel.startswith("#")
        or channel in ("fleet", "events:fleet")
        or (kind in ("camera", "site") and is_id(name))
    ):
        return
    raise BadInput(
        f"{channel!r} is no channel",
        hint="Channels: camera:<id>, site:<id>, fleet, each also after events:, and #<user>.",
    )


async def _tail(arguments: argparse.Namespace, url: str, token: str) -> int:
    seen = 0
    try:
        found = publications(url, token, arguments.channels, tls_context(arguments))
        async with asyncio.timeout(arguments.timeout_s), contextlib.aclosing(found) as stream:  # type: ignore[type-var]
            async for publication in stream:
                if arguments.json:
                    console.emit(
                        {
                            "channel": publication.channel,
                            "offset": publication.offset,
                            "data": publication.data,
                        }
                    )
                else:
                    console.say(one_line(line(publication)))
                seen += 1
                if arguments.count is not None and seen >= arguments.count:
                    return console.OK
    except TimeoutError:
        console.note(f"{seen} publications within {arguments.timeout_s:g} s", style="red")
        return console.FAILED
    console.note("the hub closed the connection")
    return console.FAILED


def line(publication: ReceivedPublication) -> str:
    """A publication for a person."""
    data = publication.data if isinstance(publication.data, dict) else {}
    if publication.channel.startswith("events:"):
        named = [
            f"{key}={data[key]}"
            for key in ("track", "label", "zone", "line", "severity")
            if data.get(key)
        ]
        return " ".join(
            [
                str(data.get("time", "")),
                str(data.get("camera", "")),
                str(data.get("type", "")),
                *named,
            ]
        )
    if "cameras" in data:
        shown = ", ".join(
            f"{entry.get('camera')} {_status(entry)} {_count(entry)}" for entry in data["cameras"]
        )
        return f"tick {data.get('tick')}: {shown or 'no change'}"
    counts = " ".join(
        f"{name}={count.get('in', 0)}/{count.get('out', 0)}"
        for name, count in (data.get("counts") or {}).items()
    )
    return " ".join(
        [
            str(data.get("time", "")),
            str(data.get("camera", publication.channel)),
            _status(data),
            _count(data),
            counts,
        ]
    )


def _status(state: dict[str, Any]) -> str:
    """With the reason, where there is one: ``stale (edge_silent)``."""
    reason = state.get("reason")
    return f"{state.get('status', '')} ({reason})" if reason else str(state.get("status", ""))


def _count(state: dict[str, Any]) -> str:
    return (
        " ".join(f"{number} {label}" for label, number in (state.get("objects") or {}).items())
        or "empty"
    )
