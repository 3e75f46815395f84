"""``eyrie doctor``: whether Eyrie can run here, before it is started."""

import argparse
from typing import Any

from cluster.cli import console
from cluster.cli.options import add_settings_options, loaded
from cluster.launcher import machine_checks
from cluster.launcher.machine import measure
from storage.embedded.data_dir import of

EXAMPLES = """examples:
  eyrie doctor                      what `eyrie up` checks first, here and with these settings
  eyrie doctor --data-dir /srv/eyrie
  eyrie doctor --node               of a machine that is to join a cluster (`eyrie up --address`)
  eyrie doctor --json

exit codes: 0 Eyrie can start (there may be warnings), 1 it cannot: the table says what to do, 2 wrong usage or settings
"""  # noqa: E501


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "doctor",
        help="whether Eyrie can run here",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Check Python, descriptors, memory, the data directory, disks, ports and the "
        "clock. Nothing is changed or started.",
    )
    add_settings_options(parser)
    parser.add_argument(
        "--node", action="store_true", help="check what a further node of a cluster needs"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the findings."""
    settings = loaded(arguments).settings
    found = machine_checks.findings(measure(settings, of(settings), node=arguments.node))
    failed = machine_checks.failed(found)
    if arguments.json:
        console.emit({"ok": not failed, "findings": found})
    else:
        console.table(
            "",
            ("check", "", "found", "what to do"),
            [(one.check, one.verdict, one.found, one.next_step) for one in found],
        )
        console.note(
            "Eyrie cannot start here." if failed else "Eyrie can start here.",
            style="bold red" if failed else "bold green",
        )
    return console.FAILED if failed else console.OK
