"""``eyrie privacy requests``, ``holds``, ``search``, ``verify`` and ``key``: values of data
subjects."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from actors.core.errors import BadInput, NotFound
from cluster.cli import console
from cluster.cli.database.machine_user import machine_user
from cluster.cli.hub_options import add_hub_options, http_url, tls_context, token_source
from cluster.cli.options import add_settings_options, loaded, whole
from cluster.rest_client import HubRest
from privacy import receipts
from privacy.processing import ProcessingRecord, page_of
from storage.stores import keyring_folder

REQUESTS, HOLDS = "/v1/privacy/requests", "/v1/privacy/holds"
MAX_VALUES_BYTES = 65_536

EXAMPLES = """examples:
  eyrie privacy search --site north --from 2026-11-30T08:00:00Z --to 2026-11-30T09:00:00Z --values-file - --purpose "request 17"
  eyrie privacy requests ask erasure --camera gate --from … --to … --values-file plate.txt --purpose "request 17"
  eyrie privacy requests approve ID                another person than who asked, by the token's subject
  eyrie privacy requests receipt ID > receipt.json
  eyrie privacy requests bundle ID --purpose "request 17" > access.json     of an access request; everybody else is masked
  eyrie privacy record --html > record.html        the record of processing, for print
  eyrie privacy verify receipt.json --key HEX      anywhere, without a hub; `eyrie privacy key` prints the key
  eyrie privacy holds place --camera gate --from … --to … --reason "case 7" --ends 2027-06-30T00:00:00Z

What is looked for comes from a file (`-`: standard input), one value in a line: an argument would be seen by others on this machine.
Erasures are carried out by workers: `eyrie cluster scale workers 1` where none runs.

exit codes: 0 done, 1 refused or not reached, 2 wrong usage
"""  # noqa: E501


def add_parsers(kinds: Any) -> None:
    """Add the sub-commands of `eyrie privacy`."""
    requests = _group(kinds, "requests", "requests of data subjects")
    listed = requests.add_parser("list", help="the newest first")
    listed.add_argument("--limit", type=whole, default=100, metavar="N")
    for name, help in (
        ("show", "one"),
        ("approve", "have an erasure that another person asked for carried out"),
        ("withdraw", "end one that was not begun"),
        ("receipt", "the signed receipt of an erasure that is done"),
    ):
        requests.add_parser(name, help=help).add_argument("request", metavar="ID")
    bundle = requests.add_parser("bundle", help="what is known of who asked for access; recorded")
    bundle.add_argument("request", metavar="ID")
    bundle.add_argument("--purpose", required=True, help="why it is read; it is kept")
    ask = requests.add_parser("ask", help="ask for access or erasure")
    ask.add_argument("of", choices=("access", "erasure"))
    _add_where(ask)
    _add_values(ask, required=False)
    ask.add_argument("--event", action="append", default=[], metavar="ID", help="only of this one")
    holds = _group(kinds, "holds", "orders that something must stay")
    holds.add_parser("list", help="the newest first")
    place = holds.add_parser("place", help="have nothing deleted there")
    _add_where(place)
    place.add_argument("--reason", required=True)
    place.add_argument("--ends", required=True, metavar="TIME")
    holds.add_parser("release", help="end one").add_argument("hold", metavar="ID")
    search = kinds.add_parser("search", help="where values say something; recorded")
    _add_where(search)
    _add_values(search, required=True)
    for parser in (*requests.choices.values(), *holds.choices.values(), search):
        add_hub_options(parser)
        parser.add_argument("--json", action="store_true", help="print JSON")
    _add_record(kinds)
    verify = kinds.add_parser("verify", help="check a receipt, without a hub")
    verify.add_argument("receipt", metavar="FILE")
    verify.add_argument("--key", default="", help="who must have signed it; default: this keyring")
    for parser in (verify, kinds.add_parser("key", help="the public key of receipts")):
        add_settings_options(parser)
        parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    if arguments.kind == "verify":
        return _verify(arguments)
    if arguments.kind == "key":
        key = receipts.public_key(keyring_folder(loaded(arguments).settings))
        if arguments.json:
            console.emit({"key": key})
        else:
            console.say(key)
        return console.OK
    tokens = token_source(
        arguments, subject=machine_user(), typ="user", roles=["privacy"], scopes=["pii:read"]
    )
    hub = HubRest(http_url(arguments), tokens(), tls_context(arguments))
    verb = f"{arguments.kind} {getattr(arguments, 'verb', '')}".strip()
    acts: dict[str, Callable[[HubRest, argparse.Namespace], int]] = {
        "search": _search,
        "record": _record,
        "requests list": _list,
        "requests show": _show,
        "requests receipt": _receipt,
        "requests ask": _ask,
        "requests bundle": _bundle,
        "requests approve": _change,
        "requests withdraw": _change,
        "holds list": _holds,
        "holds place": _place,
        "holds release": _release,
    }
    return acts[verb](hub, arguments)


def _add_record(kinds: Any) -> None:
    record = kinds.add_parser("record", help="the record of processing, as the deployment knows it")
    record.add_argument("--html", action="store_true", help="a page for print")
    add_hub_options(record)
    record.add_argument("--json", action="store_true", help="print JSON (the default)")


def _record(hub: HubRest, arguments: argparse.Namespace) -> int:
    answer = hub.send("GET", "/v1/privacy/record").body
    found = msgspec.json.decode(answer, type=ProcessingRecord)
    if arguments.html:
        sys.stdout.write(page_of(found))
    else:
        console.emit(found)
    return console.OK


def _group(kinds: Any, name: str, help: str) -> Any:
    parser = kinds.add_parser(
        name, help=help, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    return parser.add_subparsers(dest="verb", required=True, metavar="command")


def _add_where(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--camera", action="append", default=[], metavar="CAMERA")
    where.add_argument("--site", default="", metavar="SITE")
    parser.add_argument("--from", dest="since", required=True, metavar="TIME")
    parser.add_argument("--to", dest="until", required=True, metavar="TIME")


def _add_values(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "--values-file",
        default="",
        required=required,
        metavar="FILE",
        help="what values say, one in a line; -: standard input",
    )
    parser.add_argument("--purpose", required=True, help="why; it is kept, and repeats no value")


def _where(arguments: argparse.Namespace) -> dict[str, Any]:
    place = {"site": arguments.site} if arguments.site else {"cameras": arguments.camera}
    return {**place, "from": arguments.since, "to": arguments.until}


def _values(arguments: argparse.Namespace) -> list[str]:
    if not arguments.values_file:
        return []
    try:
        if arguments.values_file == "-":
            text = sys.stdin.read(MAX_VALUES_BYTES)
        else:
            text = Path(arguments.values_file).read_text("utf-8")[:MAX_VALUES_BYTES]
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{arguments.values_file} cannot be read: {error}") from error
    found = [line.strip() for line in text.splitlines() if line.strip()]
    if not found:
        raise BadInput(f"{arguments.values_file} holds no value")
    return found


def _sent(hub: HubRest, method: str, path: str, body: Any = None) -> dict[str, Any]:
    return msgspec.json.decode(hub.send(method, path, body).body, type=dict[str, Any])


def _search(hub: HubRest, arguments: argparse.Namespace) -> int:
    body = {
        **_where(arguments),
        "values": _values(arguments),
        "purpose": arguments.purpose,
    }
    found = _sent(hub, "POST", "/v1/privacy/search", body)
    if arguments.json:
        console.emit(found)
        return console.OK
    rows = [(one["event"], one["received"], one["class"], one["path"]) for one in found["places"]]
    title = f"{console.counted(len(rows), 'place')}, {found['looked']} values looked through"
    console.table(title, ("event", "received", "class", "path"), rows)
    if found["unreadable"]:
        console.note(f"{found['unreadable']} could not be read: their keys are not there")
    return console.OK


def _list(hub: HubRest, arguments: argparse.Namespace) -> int:
    page = _sent(hub, "GET", f"{REQUESTS}?limit={arguments.limit}")
    if arguments.json:
        console.emit(page)
        return console.OK
    columns = ("request", "kind", "state", "values", "asked by", "approved by", "due")
    rows = [
        (
            one["request"],
            one["kind"],
            one["state"],
            "all" if one["whole"] else str(one["places"]),
            one["asked_by"],
            one["approved_by"],
            one["due"][:10],
        )
        for one in page["requests"]
    ]
    console.table(console.counted(len(rows), "request"), columns, rows)
    return console.OK


def _show(hub: HubRest, arguments: argparse.Namespace) -> int:
    return _told(arguments, _one(hub, arguments), "request")


def _receipt(hub: HubRest, arguments: argparse.Namespace) -> int:
    receipt = _one(hub, arguments)["receipt"]
    if receipt is None:
        raise NotFound("there is no receipt yet", hint="`eyrie privacy requests show` says why.")
    console.emit(receipt)
    return console.OK


def _one(hub: HubRest, arguments: argparse.Namespace) -> dict[str, Any]:
    return _sent(hub, "GET", f"{REQUESTS}/{arguments.request}")


def _ask(hub: HubRest, arguments: argparse.Namespace) -> int:
    body = {
        **_where(arguments),
        "kind": arguments.of,
        "values": _values(arguments),
        "events": arguments.event,
        "purpose": arguments.purpose,
    }
    return _told(arguments, _sent(hub, "POST", REQUESTS, body), "request")


def _bundle(hub: HubRest, arguments: argparse.Namespace) -> int:
    """All pages as one document, for who asked: JSON either way."""
    path, after = f"{REQUESTS}/{arguments.request}/bundle", 0
    events, missing = list[Any](), list[str]()
    while True:
        body = {"purpose": arguments.purpose, "after": after}
        page = _sent(hub, "POST", path, body)
        events += page["events"]
        missing += page["missing"]
        if page.get("next") is None:
            break
        after = page["next"]
    console.emit({"request": arguments.request, "events": events, "missing": missing})
    return console.OK


def _change(hub: HubRest, arguments: argparse.Namespace) -> int:
    path = f"{REQUESTS}/{arguments.request}/{arguments.verb}"
    return _told(arguments, _sent(hub, "POST", path), "request")


def _holds(hub: HubRest, arguments: argparse.Namespace) -> int:
    found = _sent(hub, "GET", HOLDS)
    if arguments.json:
        console.emit(found)
        return console.OK
    rows = [
        (one["hold"], one["owner"], one["reason"], one["ends"], one["released"] or "in force")
        for one in found["holds"]
    ]
    title = console.counted(len(rows), "hold")
    console.table(title, ("hold", "owner", "reason", "ends", "released"), rows)
    return console.OK


def _place(hub: HubRest, arguments: argparse.Namespace) -> int:
    body = {**_where(arguments), "reason": arguments.reason, "ends": arguments.ends}
    return _told(arguments, _sent(hub, "POST", HOLDS, body), "hold")


def _release(hub: HubRest, arguments: argparse.Namespace) -> int:
    hub.send("DELETE", f"{HOLDS}/{arguments.hold}")
    if arguments.json:
        console.emit({"hold": arguments.hold, "released": True})
    else:
        console.say(f"hold {arguments.hold} holds no more")
    return console.OK


def _told(arguments: argparse.Namespace, found: dict[str, Any], name: str) -> int:
    if arguments.json:
        console.emit(found)
    else:
        rows = [(key, str(value)) for key, value in found.items() if value not in ("", None)]
        console.table(f"{name} {found[name]}", ("field", "value"), rows)
    return console.OK


def _verify(arguments: argparse.Namespace) -> int:
    try:
        text = Path(arguments.receipt).read_bytes()
    except OSError as error:
        raise BadInput(f"{arguments.receipt} cannot be read: {error.strerror}") from error
    key = arguments.key
    if not key:
        folder = keyring_folder(loaded(arguments).settings)
        if not (folder / receipts.KEY_FILE).exists():
            raise BadInput(
                "this machine has no keyring that says which key to trust",
                hint="Give --key: `eyrie privacy key` prints it where the receipt was made.",
            )
        key = receipts.public_key(folder)
    receipt = receipts.verify(text, key)
    if arguments.json:
        console.emit({"receipt": receipt, "key": key})
    else:
        said = [(name, str(value)) for name, value in receipt.items()]
        console.table(f"genuine, signed by {key}", ("field", "value"), said)
    return console.OK
