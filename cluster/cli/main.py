"""``eyrie``: the one command of the product."""

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from actors.core.errors import BadInput, ConfigError, EyrieError
from cluster.cli import console

# Sub-commands in the order of the help; each is a module of `cluster.cli.commands`, with an
# underscore for its hyphen, or in `ELSEWHERE`.
COMMANDS = (
    "up",
    "doctor",
    "status",
    "cluster",
    "config",
    "sign-in",
    "users",
    "token",
    "keys",
    "certs",
    "cameras",
    "registry",
    "replay",
    "simulate",
    "tail",
    "counts",
    "alerts",
    "dead-letters",
    "jobs",
    "backup",
    "restore",
    "upgrade",
    "sinks",
    "audit",
    "epoch",
    "policy",
    "privacy",
    "completion",
)

ELSEWHERE = {
    "cluster": "cluster.cli.cluster.command",
    "cameras": "cluster.cli.registry.cameras",
    "registry": "cluster.cli.registry.command",
    "audit": "cluster.cli.database.audit",
    "epoch": "cluster.cli.database.epoch",
    "jobs": "cluster.cli.database.jobs",
    "backup": "cluster.cli.database.backup",
    "restore": "cluster.cli.database.restore",
    "upgrade": "cluster.cli.database.upgrade",
    "sinks": "cluster.cli.database.sinks",
    "users": "cluster.cli.database.users",
    "certs": "cluster.cli.commands.people.certs",
    "keys": "cluster.cli.commands.people.keys",
    "policy": "cluster.cli.commands.people.policy",
    "privacy": "cluster.cli.commands.people.privacy",
    "sign-in": "cluster.cli.commands.people.sign_in",
    "token": "cluster.cli.commands.people.token",
    "alerts": "cluster.cli.commands.streams.alerts",
    "counts": "cluster.cli.commands.streams.counts",
    "dead-letters": "cluster.cli.commands.streams.dead_letters",
    "replay": "cluster.cli.commands.streams.replay",
    "simulate": "cluster.cli.commands.streams.simulate",
    "tail": "cluster.cli.commands.streams.tail",
}

EXAMPLES = """examples:
  eyrie up                                    start everything with a simulated site, until Ctrl-C
  eyrie doctor                                whether it can run here, and what to do where it cannot
  eyrie status                                what runs
  eyrie cluster status                        nodes, hubs and actors, and how to change them
  eyrie tail camera:demo-1                    one camera's state as it comes
  eyrie replay garage.jsonl --format deepstream --speed max --site garage
  eyrie sign-in                               a link that opens the console, once
  eyrie users add ada --role viewer --site garage   somebody who signs in with a password
  eyrie token --role viewer --site demo       a development token
  eyrie keys make                             a key pair for tokens, instead of the shared secret
  eyrie certs init                            an authority for TLS and for devices' certificates
  eyrie cameras --status offline              cameras, with filters
  eyrie registry apply cameras.toml           sites, cameras and their zones from a file
  eyrie alerts list                           what needs somebody
  eyrie dead-letters list                     what was refused, and why
  eyrie jobs list --state dead                background work that failed, and why
  eyrie backup take --to /backups             a backup, while everything runs
  eyrie sinks make ops --webhook URL --sites "*"   have events posted to another system
  eyrie policy list                           revisions of the policy, and which one is in force
  eyrie privacy attributes                    attributes that redaction hides because no list knows them
  eyrie audit verify                          prove that stored events are complete and in order

exit codes: 0 done, 1 failed, 2 wrong usage or settings, 130 interrupted
"""  # noqa: E501


def make_parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    parser = argparse.ArgumentParser(
        prog="eyrie",
        description="A realtime hub for camera fleets.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"eyrie {_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name in COMMANDS:
        _module(name).add_parser(commands)
    parser.set_defaults(parser=parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run `eyrie` with `argv`; the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # a terminal or pipe that is not UTF-8 must not end a command
    arguments = make_parser().parse_args(argv)
    try:
        return int(_module(arguments.command).run(arguments))
    except (ConfigError, BadInput) as error:
        console.fail(error)
        return console.USAGE
    except EyrieError as error:
        console.fail(error)
        return console.FAILED
    except KeyboardInterrupt:
        return console.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone (`eyrie … | head`): nothing is left to say, not even at
        # interpreter exit.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        return console.OK


def _version() -> str:
    try:
        return version("eyrie")
    except PackageNotFoundError:
        return "development"


def _module(command: str) -> Any:
    return importlib.import_module(
        ELSEWHERE.get(command) or f"cluster.cli.commands.{command.replace('-', '_')}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
