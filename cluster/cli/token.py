"""``eyrie token``: a development token, signed with the secret of the embedded default."""

import argparse
import secrets
import time
from typing import Any

from cluster.cli import console
from cluster.cli.options import add_settings_options, running
from policy.tokens import issue

EXAMPLES = """examples:
  eyrie token --role viewer --site demo              for a dashboard of one site
  eyrie token --role admin --site '*' --scope pii:read
  eyrie token --type edge --subject gate-box --camera gate-1 --camera gate-2
"""


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "token", help="make a development token", description="Make a development token for the running Eyrie.", epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add_settings_options(parser)
    parser.add_argument("--type", choices=("user", "edge", "service"), default="user", help="what it is for (default user)")
    parser.add_argument("--subject", default="developer", help="who it is for (default developer)")
    parser.add_argument("--role", action="append", default=[], help="a role: viewer, operator, admin, … (may repeat)")
    parser.add_argument("--site", action="append", default=[], help="a site it is good for, '*' for all (may repeat)")
    parser.add_argument("--camera", action="append", default=None, help="limit it to this camera (may repeat)")
    parser.add_argument("--scope", action="append", default=[], help="a scope, for example pii:read (may repeat)")
    parser.add_argument("--lifetime-s", type=float, default=None, metavar="S", help="seconds it lives (default: as long as its type may)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the token."""
    now = time.time()
    token = issue(
        running(arguments).auth, sub=arguments.subject, typ=arguments.type, jti=secrets.token_hex(12), now_s=now, roles=arguments.role,
        sites=arguments.site, cameras=arguments.camera, scopes=arguments.scope, lifetime=arguments.lifetime_s,
    )  # fmt: skip
    if arguments.json:
        console.emit({"token": token})
    else:
        console.say(token)
    return console.OK
