"""``eyrie sign-in``: a link that signs one browser in, once. It is shown on a terminal, or written
to a file: never to a pipe or a log."""

import argparse
import asyncio
import secrets
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from actors.core.errors import BadInput
from actors.core.settings import Settings
from cluster.cli import console
from cluster.cli.commands.people.token import require_known
from cluster.cli.hub_options import add_link_options, http_url
from cluster.cli.options import decimal, running
from policy.engine.modules import read_sources
from policy.engine.roles import granted
from policy.identity import sign_in
from policy.identity.atomic_files import write_whole
from policy.identity.tokens import issue
from storage.embedded.data_dir import DataDir, default_dir
from storage.redis.sign_ins import RedisSignIns

ADMIN = {"subject": "operator", "role": ["admin"], "site": ["*"], "scope": ["pii:read"]}
MINUTES = sign_in.LIFE_S // 60

EXAMPLES = """examples:
  eyrie sign-in                                      an administrator's link, on a terminal
  eyrie sign-in --role viewer --site demo            somebody else's
  eyrie sign-in --file link.txt                      where there is no terminal: a file that only you can read
  eyrie sign-in --url https://eyrie.example          behind a proxy
"""  # noqa: E501


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "sign-in",
        help="make a link that signs a browser in, once",
        description=f"Make a link to the console that works once, within {MINUTES} minutes.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_link_options(parser)
    parser.add_argument(
        "--file",
        type=Path,
        metavar="FILE",
        help="write the link to this file (0600) instead of the terminal",
    )
    parser.add_argument(
        "--subject", default=ADMIN["subject"], help="who signs in (default operator)"
    )
    parser.add_argument("--role", action="append", help="a role (default admin; may repeat)")
    parser.add_argument(
        "--any-role",
        action="store_true",
        help="take roles that the policy on this machine does not list",
    )
    parser.add_argument(
        "--site", action="append", help="a site, '*' for all, the default (may repeat)"
    )
    parser.add_argument(
        "--scope",
        action="append",
        help="a scope (default, with no role named: pii:read; may repeat)",
    )
    parser.add_argument(
        "--lifetime-s",
        type=decimal,
        default=None,
        metavar="S",
        help="seconds the token lives (default: as long as it may)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Make it. Refused where the link would go into a pipe."""
    if arguments.file is None and not on_terminal():
        raise BadInput(
            "this is no terminal, and a link that signs in belongs in no log",
            hint="Run it on a terminal, or name a file that only you can read: --file FILE.",
        )
    settings = running(arguments)
    if not arguments.any_role:
        require_known(arguments.role or [], granted(read_sources(settings.policy.rego_dir)))
    token = issue(
        settings.auth,
        sub=arguments.subject,
        typ="user",
        jti=secrets.token_hex(12),
        now_s=time.time(),
        roles=arguments.role or ADMIN["role"],
        sites=arguments.site or ADMIN["site"],
        scopes=arguments.scope or ([] if arguments.role else ADMIN["scope"]),
        lifetime=arguments.lifetime_s,
    )
    link = link_of(settings, f"{http_url(arguments)}/", token)
    if arguments.file is not None:
        write_whole(arguments.file, f"{link}\n".encode())
        console.note(
            f"{arguments.file} holds a link that signs one browser in, once, within {MINUTES} "
            "minutes"
        )
    else:
        console.say(link, style="bold green")
        console.note(f"signs one browser in, once, within {MINUTES} minutes")
    return console.OK


def link_of(settings: Settings, url: str, token: str) -> str:
    """The console's address `url` with a new code for `token` in its fragment. Raises
    Unavailable."""
    offered = sign_in.offer(token)

    async def keep() -> None:
        store = RedisSignIns(settings.redis, name="sign-in")
        try:
            await store.keep(offered.name, offered.sealed, sign_in.LIFE_S)
        finally:
            await store.close()

    asyncio.run(keep())
    return f"{url}#code={offered.code}"


def on_terminal() -> bool:
    """Whether standard output is one. Settings of colours do not count."""
    return sys.stdout.isatty()


def command(data: DataDir) -> str:
    """What to run for another link of the instance on `data`."""
    program = sys.argv[0] if Path(sys.argv[0]).name == "eyrie" else "eyrie"
    where = [] if data.path == default_dir() else ["--data-dir", str(data.path)]
    return shlex.join([program, "sign-in", *where])
