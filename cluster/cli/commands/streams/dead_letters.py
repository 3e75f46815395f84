"""``eyrie dead-letters``: what was refused, and what becomes of it."""

import argparse
import base64
from typing import Any
from urllib.parse import quote

import msgspec

from actors.core.errors import EyrieError, NotFound
from actors.core.log_format import one_line
from cluster.cli import console
from cluster.cli.hub_options import add_hub_options, rest
from cluster.cli.options import whole
from cluster.rest_client import HubRest

ITEM = ("raw", "raw_base64")
BASE64_LINE = 76  # characters

EXAMPLES = """examples:
  eyrie dead-letters list --status new
  eyrie dead-letters list --camera gate-1 --json
  eyrie dead-letters show 17                       with the item as the edge sent it
  eyrie dead-letters replay 17 18                  record them as late facts (`stream.replayed`), where today's rules take them
  eyrie dead-letters discard 19 --reason "test device"

exit codes: 0 done, 1 at least one was not, 2 wrong usage
"""  # noqa: E501


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "dead-letters",
        help="what was refused",
        description="Items that were refused: list, show, replay, discard.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="command")
    found = kinds.add_parser("list", help="by id, oldest first")
    found.add_argument("--camera", default="", metavar="CAMERA")
    found.add_argument("--status", default="", choices=["", "new", "replayed", "discarded"])
    found.add_argument(
        "--after", type=whole, default=0, metavar="ID", help="only those with a greater id"
    )
    found.add_argument(
        "--limit",
        type=whole,
        default=100,
        metavar="N",
        help="at most so many (default 100, at most 500)",
    )
    show = kinds.add_parser("show", help="one, with its raw item")
    show.add_argument("id", type=whole)
    replay = kinds.add_parser("replay", help="record them as late facts")
    replay.add_argument("ids", type=whole, nargs="+", metavar="ID")
    discard = kinds.add_parser("discard", help="mark them as not worth keeping")
    discard.add_argument("ids", type=whole, nargs="+", metavar="ID")
    discard.add_argument("--reason", required=True, help="why; it is kept with them")
    for kind in (found, show, replay, discard):
        add_hub_options(kind)
        kind.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Do it; 0 when all of it was done."""
    hub = rest(arguments, subject="dead-letters")
    if arguments.kind == "list":
        return _list(hub, arguments)
    if arguments.kind == "show":
        return _show(hub, arguments)
    body = {"reason": arguments.reason} if arguments.kind == "discard" else None
    failed = 0
    for letter in arguments.ids:
        try:
            done = msgspec.json.decode(
                hub.send("POST", f"/v1/dead-letters/{letter}/{arguments.kind}", body).body,
                type=dict[str, Any],
            )
        except EyrieError as error:
            failed += 1
            console.fail(error)
            continue
        if arguments.json:
            console.emit(done)
        else:
            console.say(
                " ".join([f"{letter} {done['status']}", str(done.get("event", ""))]).rstrip()
            )
    return console.FAILED if failed else console.OK


def _list(hub: HubRest, arguments: argparse.Namespace) -> int:
    asked = {
        "camera": arguments.camera,
        "status": arguments.status,
        "after": arguments.after,
        "limit": arguments.limit,
    }
    query = "&".join(f"{key}={quote(str(value))}" for key, value in asked.items() if value)
    page = msgspec.json.decode(
        hub.send("GET", f"/v1/dead-letters?{query}").body, type=dict[str, Any]
    )
    if arguments.json:
        console.emit(page)
        return console.OK
    rows = [
        (
            str(row["id"]),
            row["camera"],
            row["session"],
            str(row["seq"]),
            row["status"],
            row["code"],
            _detail(row),
            row["received"],
        )
        for row in page["dead_letters"]
    ]
    console.table(
        console.counted(len(rows), "dead letter"),
        ("id", "camera", "session", "seq", "status", "code", "detail", "received"),
        rows,
    )
    if "next" in page:
        console.note(f"there are more: --after {page['next']}")
    return console.OK


def _detail(row: dict[str, Any]) -> str:
    """Why it was refused, where that is not hidden from who asks."""
    return (
        row["detail"][:80]
        if isinstance(row["detail"], str)
        else f"hidden ({row['detail']['redacted']})"
    )


def _show(hub: HubRest, arguments: argparse.Namespace) -> int:
    found = hub.get(f"/v1/dead-letters/{arguments.id}")
    if found is None:
        raise NotFound(
            f"there is no dead letter {arguments.id}", hint="`eyrie dead-letters list` shows them."
        )
    letter = msgspec.json.decode(found.body, type=dict[str, Any])
    if arguments.json:
        console.emit(letter)
        return console.OK
    told = [(key, str(value)) for key, value in letter.items() if key not in ITEM]
    console.table(f"dead letter {arguments.id}", ("field", "value"), told)
    for line in _item(letter):
        console.say(one_line(line))
    return console.OK


def _item(letter: dict[str, Any]) -> list[str]:
    """The item as it came: JSON, MessagePack as JSON, other text as it is, other bytes in base64;
    or that it is hidden."""
    if isinstance(letter.get("raw"), dict):
        return [
            f"the item is hidden from this token: {', '.join(map(str, letter['raw'].values()))}"
        ]
    raw = (
        letter["raw"].encode()
        if "raw" in letter
        else base64.b64decode(letter.get("raw_base64", ""))
    )
    for name, decode in (
        ("JSON", msgspec.json.decode),
        ("MessagePack, as JSON", msgspec.msgpack.decode),
    ):
        try:
            item = msgspec.json.encode(decode(raw))
        except (msgspec.MsgspecError, UnicodeError, TypeError):
            continue
        return [f"the item ({name}):", *msgspec.json.format(item, indent=2).decode().splitlines()]
    if "raw" in letter:
        return ["the item (text):", *letter["raw"].splitlines()]
    text = letter.get("raw_base64", "")
    return [
        "the item (base64):",
        *(text[at : at + BASE64_LINE] for at in range(0, len(text), BASE64_LINE)),
    ]
