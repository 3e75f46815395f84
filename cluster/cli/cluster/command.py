"""``eyrie cluster``: what runs, and how ops changes it, by the cluster's REST API."""

import argparse
from typing import Any

from cluster.cli.cluster import changes, processes, progress, tables
from cluster.cli.cluster.client import ApiClient

EXAMPLES = """examples:
  eyrie cluster status                       nodes, hubs, actors, what is in trouble
  eyrie cluster cameras gate                 one camera: owner, lag, why here, last decisions
  eyrie cluster scale hubs 3
  eyrie cluster density 16 --site north
  eyrie cluster plan drain 10.0.0.2          what it would do, and interrupt
  eyrie cluster drain 10.0.0.2
  eyrie cluster operations --watch ID
  eyrie cluster log-level hub-0 debug --for 10m

`eyrie cluster COMMAND --help` has more. docs/cluster.md says what each of them interrupts.
exit codes: 0 done, 1 failed or something is wrong, 2 wrong usage
"""


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "cluster",
        help="nodes, hubs, actors: look, scale, move, drain",
        description="The cluster: what runs, and how to change it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="command")
    for module in (tables, changes, progress, processes):
        module.add_parsers(kinds)


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    return int(arguments.act(ApiClient(arguments), arguments))
