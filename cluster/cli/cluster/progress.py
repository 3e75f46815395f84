"""Operations: list, follow with a progress bar, cancel."""

import argparse
import time
from typing import Any

from actors.core.errors import Unavailable
from cluster.cli import console
from cluster.cli.cluster.client import ApiClient, add_options, part
from cluster.cli.cluster.tables import show_operations, target

POLL_S = 0.3
# seconds that the API may be away (its process is replaced) while an operation is followed
AWAY_S = 60.0
OVER = ("done", "failed", "cancelled")

EXAMPLES = """examples:
  eyrie cluster operations                    newest first
  eyrie cluster operations 4f1d0c9a7be2d310
  eyrie cluster operations --watch 4f1d0c9a7be2d310
  eyrie cluster operations --cancel 4f1d0c9a7be2d310

exit codes: 0 done, 1 failed or cancelled
"""


def add_parsers(kinds: Any) -> None:
    """Add ``operations``."""
    parser = kinds.add_parser(
        "operations",
        help="what is under way, and what was",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("id", nargs="?", default="", help="show this one")
    parser.add_argument("--watch", default="", metavar="ID", help="follow it until it is over")
    parser.add_argument("--cancel", default="", metavar="ID", help="begin nothing more of it")
    parser.add_argument(
        "--state", default="", help="only waiting, running, done, failed or cancelled"
    )
    parser.set_defaults(act=run)
    add_options(parser)


def run(link: ApiClient, arguments: argparse.Namespace) -> int:
    """Do what the options say."""
    if arguments.watch:
        return follow(link, arguments.watch, json=arguments.json)
    if arguments.cancel or arguments.id:
        path = f"/operations/{part(arguments.cancel or arguments.id)}"
        one = link.post(f"{path}/cancel") if arguments.cancel else link.read(path)
        if arguments.json:
            console.emit(one)
        else:
            _show(one)
        return console.OK
    found = link.read("/operations", limit=50, state=arguments.state)
    if arguments.json:
        console.emit(found)
    else:
        show_operations("Operations, newest first", found["operations"])
    return console.OK


def follow(link: ApiClient, operation: str, *, json: bool) -> int:
    """Until it is over: a bar on a terminal, then its figures. Ctrl-C leaves it running, and says
    so."""
    try:
        one = _until_over(link, operation)
    except KeyboardInterrupt:
        console.note(
            f"operation {operation} goes on: follow it with `eyrie cluster operations --watch "
            f"{operation}`,",
            style="yellow",
        )
        console.note(
            f"or begin nothing more of it with `eyrie cluster operations --cancel {operation}`",
            style="yellow",
        )
        raise
    if json:
        console.emit(one)
    else:
        _show(one)
    return console.OK if one["state"] == "done" else console.FAILED


def _until_over(link: ApiClient, operation: str) -> dict[str, Any]:
    path = f"/operations/{part(operation)}"
    one = link.read(path)
    heard = time.monotonic()
    with console.progress() as bar:
        task = bar.add_task(_title(one), total=one["total"] or None)
        while one["state"] not in OVER:
            time.sleep(POLL_S)
            try:
                one = link.read(path)
                heard = time.monotonic()
            except Unavailable:
                if time.monotonic() - heard > AWAY_S:
                    raise
                continue
            bar.update(
                task, completed=one["done"], total=one["total"] or None, description=_title(one)
            )
    return one


def _title(one: dict[str, Any]) -> str:
    return f"{one['kind']} {target(one['target'])[:40]} {one['detail'][:40]}".strip()


def _show(one: dict[str, Any]) -> None:
    style = {"done": "green", "failed": "bold red", "cancelled": "yellow"}.get(one["state"], "")
    console.say(
        f"{one['kind']} {target(one['target'])}: {one['state']}, {one['done']} of "
        f"{one['total']}{_detail(one)}",
        style=style,
    )
    for name, value in sorted(one["figures"].items()):
        console.say(f"  {name:<24} {value:g}")


def _detail(one: dict[str, Any]) -> str:
    return f"; {one['detail']}" if one["detail"] else ""
