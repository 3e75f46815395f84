"""The options of ``eyrie sinks``."""

import argparse
from typing import Any

from actors.core.errors import BadInput
from cluster.cli.options import add_database_options, whole
from storage.ports.background.jobs import Values

EXAMPLES = """examples:
  eyrie sinks make ops --webhook https://ops.example/eyrie --sites "*" --types "alarm.*"
  eyrie sinks test ops                          one message now, signed as all are
  eyrie sinks show ops                          lag, cameras, holes, the last attempts
  eyrie sinks skip ops cam-1 --reason "broken"  pass over what the receiver refuses
  eyrie sinks replay ops cam-1 --from 10 --to 20
  eyrie sinks rotate ops                        a new secret; both sign for a day
  eyrie sinks pause ops                         and `resume`, `delete`
  eyrie sinks make stream --jetstream --sites "*"
  eyrie sinks where                             the NATS server whose streams hold events

exit codes: 0 done, 1 it was not, 2 wrong usage
"""
CHANGES = ("make", "pause", "resume", "retry", "skip", "replay", "rotate", "delete")
OTHERS = (
    ("show", "one, with cameras, holes and attempts"),
    ("test", "send one message now"),
    ("pause", "send nothing; nothing is lost as long as events are kept"),
    ("resume", "go on where it stopped"),
    ("retry", "try a parked or waiting camera now"),
    ("skip", "pass over the event that a parked camera stands before"),
    ("replay", "send events of a camera once more"),
    ("rotate", "a new secret beside the old one"),
    ("delete", "with all that is known of it"),
)


def add_commands(commands: Any) -> None:
    """Add the sub-command and its own."""
    parser = commands.add_parser(
        "sinks",
        help="where events go",
        description="Sinks: make, test, show, pause, skip, replay, delete (docs/sinks.md).",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="command")
    _add_make(kinds.add_parser("make", help="a new one"))
    kinds.add_parser("list", help="all, with how far they are behind")
    kinds.add_parser("where", help="the NATS server, and the file of the token it asks for")
    _add_others(kinds)
    for name, kind in kinds.choices.items():
        add_database_options(kind, changes=name in CHANGES)


def _add_others(kinds: Any) -> None:
    for name, help in OTHERS:
        one = kinds.add_parser(name, help=help)
        one.add_argument("name")
        if name in ("retry", "skip", "replay"):
            one.add_argument("camera")
        if name == "show":
            one.add_argument("--camera", default=None, help="attempts of this one alone")
        if name in ("pause", "skip"):
            one.add_argument(
                "--reason", required=name == "skip", default="", help="why; it is kept"
            )
        if name == "replay":
            one.add_argument("--from", dest="first", type=whole, required=True, metavar="OFFSET")
            one.add_argument("--to", dest="last", type=whole, default=0, metavar="OFFSET")
            one.add_argument("--epoch", default="", help="default: the present one")
        if name == "rotate":
            _add_secret(one)


def _add_make(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--webhook", metavar="URL", help="POST events there")
    where.add_argument(
        "--jetstream",
        nargs="?",
        const="EYRIE_EVENTS",
        metavar="STREAM",
        help="publish into a stream of NATS (default EYRIE_EVENTS)",
    )
    parser.add_argument("--nats", default="", metavar="URL", help="default: EYRIE_NATS_URL")
    parser.add_argument("--binary", action="store_true", help="CloudEvents in binary mode")
    for name, help in (
        ("sites", 'whose events it may have; "*": all'),
        ("cameras", "these alone"),
        ("roles", "what policy takes it for (default viewer)"),
        ("scopes", "scopes that policy asks for"),
        ("types", "only these types; a.* takes all that begin so"),
        ("severities", "only these"),
    ):
        parser.add_argument(f"--{name}", nargs="+", default=None, metavar="NAME", help=help)
    parser.add_argument("--purpose", default="", help="that policy asks for")
    parser.add_argument("--from-start", action="store_true", help="the kept past, too")
    parser.add_argument("--paused", action="store_true", help="begin with `resume`")
    _add_secret(parser)


def _add_secret(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--secret-file", default="", metavar="FILE", help="default: a new one")
    parser.add_argument("--scheme", choices=("hmac", "ed25519"), default="hmac")


def spec_of(given: argparse.Namespace) -> Values:
    """What `make` was told, for `connectors.sinks.spec.parse`. Raises BadInput."""
    if not given.sites and not given.cameras:
        raise BadInput("say whose events: --sites or --cameras", hint='All of them: --sites "*".')
    if given.webhook:
        to = {"type": "webhook", "url": given.webhook}
        to |= {"mode": "binary"} if given.binary else {}
    else:
        to = {"type": "jetstream", "stream": given.jetstream, "url": given.nats}
    view: dict[str, Any] = {"sites": given.sites or []}
    view |= {k: v for k in ("cameras", "roles", "scopes", "purpose") if (v := getattr(given, k))}
    kept = {k: v for k in ("types", "severities") if (v := getattr(given, k))}
    return {"to": to, "view": view, **({"filter": kept} if kept else {})}
