"""``eyrie audit``: prove that what is stored is complete and in order, and compare two runs."""

import argparse
import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from actors.core.errors import BadInput
from actors.core.settings import PostgresSettings
from cluster.cli import console
from cluster.cli.database import audit_log
from cluster.cli.options import add_settings_options, loaded
from cluster.event_archive import records
from cluster.event_proofs import ChainVerifier, Derived, Record, Verdict, compare

SHOWN = 20  # findings printed; --json has more

EXAMPLES = """examples:
  eyrie audit verify                              the chains of the default data directory
  eyrie audit export before.ndjson                everything stored, one JSON object a line
  eyrie audit log                                 who changed what
  eyrie audit log checkpoint > kept.json          the sealed end of that log, to be kept elsewhere
  eyrie audit log verify                          was an entry edited, deleted, moved or cut off?
  eyrie audit log verify --checkpoint kept.json
  eyrie audit diff before.ndjson /var/lib/eyrie   did two runs derive the same?

SOURCE is a data directory (running or not), an export file, or a postgresql:// address.
exit codes: 0 sound or equal, 1 not
"""


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "audit",
        help="prove what is stored",
        description="Prove that stored events are complete, in order and unaltered.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_settings_options(parser)
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="command")
    one = kinds.add_parser("verify", help="check every camera's hash chain and offsets")
    one.add_argument(
        "source", nargs="?", default="", metavar="SOURCE", help="default: where the settings say"
    )
    one.add_argument("--json", action="store_true", help="print JSON")
    two = kinds.add_parser("diff", help="compare what two runs derived from the same observations")
    two.add_argument("a", metavar="A")
    two.add_argument("b", metavar="B")
    two.add_argument("--json", action="store_true", help="print JSON")
    audit_log.add_parser(kinds)
    out = kinds.add_parser("export", help="write everything stored to a file")
    out.add_argument("file", metavar="FILE")
    out.add_argument(
        "--source", default="", metavar="SOURCE", help="default: where the settings say"
    )


def run(arguments: argparse.Namespace) -> int:
    """Do it; 0 when green."""
    if arguments.kind == "log":
        return audit_log.run(arguments)
    here = audit_log.stored_at(loaded(arguments).settings)
    if arguments.kind == "export":
        return asyncio.run(_export(arguments.source or here, Path(arguments.file)))
    if arguments.kind == "verify":
        verifier = ChainVerifier()
        asyncio.run(_each(arguments.source or here, verifier.add))
        return _tell(verifier.verdict, "sound", as_json=arguments.json)
    first, second = Derived(), Derived()
    asyncio.run(_each(arguments.a, first.add))
    asyncio.run(_each(arguments.b, second.add))
    return _tell(
        compare(first, second),
        "equal in everything derived from observations",
        as_json=arguments.json,
    )


async def _each(source: str | PostgresSettings, take: Callable[[Record], None]) -> None:
    try:
        async for record in records(source):
            take(record)
    except msgspec.DecodeError as error:
        raise BadInput(f"{source} is no export file: {error}") from error


async def _export(source: str | PostgresSettings, path: Path) -> int:
    fresh = path.with_name(path.name + ".new")
    count = 0
    with fresh.open("wb") as file:
        async for record in records(source):
            file.write(msgspec.json.encode(record) + b"\n")
            count += 1
    fresh.replace(path)
    console.note(f"{console.counted(count, 'record')} written to {path}")
    return console.OK


def _tell(verdict: Verdict, praise: str, *, as_json: bool) -> int:
    looked = (
        f"{console.counted(verdict.cameras, 'camera')}, {console.counted(verdict.events, 'event')}"
    )
    if as_json:
        console.emit({"green": verdict.green, **msgspec.to_builtins(verdict)})
    elif verdict.green:
        console.say(f"{looked}: {praise}", style="green")
    else:
        console.table(
            f"{console.counted(verdict.found, 'finding')} in {looked}",
            ("camera", "what", "detail"),
            [
                (finding.camera, finding.what, finding.detail)
                for finding in verdict.findings[:SHOWN]
            ],
        )
    return console.OK if verdict.green else console.FAILED
