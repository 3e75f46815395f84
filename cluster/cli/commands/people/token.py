"""``eyrie token``: a development token, signed with the secret of the embedded default; and tokens
taken back."""

import argparse
import base64
import secrets
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import msgspec

from actors.core.errors import BadInput
from cluster.cli import console
from cluster.cli.hub_options import add_hub_options, http_url, tls_context, token_source
from cluster.cli.options import add_settings_options, decimal, running
from cluster.rest_client import HubRest
from policy.engine.modules import read_sources
from policy.engine.roles import granted
from policy.identity.atomic_files import write_whole
from policy.identity.tokens import issue

PATH = "/v1/revocations"

EXAMPLES = """examples:
  eyrie token                                        a viewer's of every site: it opens the console
  eyrie token --role viewer --site demo              for a dashboard of one site
  eyrie token --role admin --site '*' --scope pii:read
  eyrie token --type edge --subject gate-box --camera gate-1 --camera gate-2
  eyrie token --role admin --file admin.token        for `--token-file`; it is printed nowhere
  eyrie token revoke --jti 4f1d0c52a7                one token; its sockets are closed within seconds
  eyrie token revoke --subject gate-box --reason "the box was stolen"
  eyrie token revocations                            what is revoked
"""  # noqa: E501


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "token",
        help="make a development token",
        description="Make a development token for the running Eyrie.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_settings_options(parser)
    parser.add_argument(
        "--type",
        choices=("user", "edge", "service"),
        default="user",
        help="what it is for (default user)",
    )
    parser.add_argument("--subject", default="developer", help="who it is for (default developer)")
    parser.add_argument(
        "--role",
        action="append",
        default=[],
        help="a role: viewer (the default), operator, admin, … (may repeat; docs/policy.md lists "
        "them)",
    )
    parser.add_argument(
        "--any-role",
        action="store_true",
        help="take a role that the policy of the settings does not name",
    )
    parser.add_argument(
        "--site",
        action="append",
        default=[],
        help="a site it is good for, '*' for all, the default of a token without options (may "
        "repeat)",
    )
    parser.add_argument(
        "--camera", action="append", default=None, help="limit it to this camera (may repeat)"
    )
    parser.add_argument(
        "--scope", action="append", default=[], help="a scope, for example pii:read (may repeat)"
    )
    parser.add_argument(
        "--lifetime-s",
        type=decimal,
        default=None,
        metavar="S",
        help="seconds it lives (default: as long as its type may)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--file",
        type=Path,
        metavar="FILE",
        help="write it to this file (0600), for --token-file, instead of printing it",
    )
    kinds = parser.add_subparsers(dest="kind", metavar="command")
    revoke = kinds.add_parser(
        "revoke", help="take back one token, or all of a subject that were issued until now"
    )
    which = revoke.add_mutually_exclusive_group(required=True)
    which.add_argument("--jti", help="the id of the token (its claim jti)")
    which.add_argument(
        "--subject", dest="revoked", metavar="SUBJECT", help="a user or device: every token of it"
    )
    revoke.add_argument("--reason", default="", help="why, for the audit log")
    listed = kinds.add_parser("revocations", help="what is revoked")
    for kind in (revoke, listed):
        add_hub_options(kind)
        kind.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the token, or do what was asked."""
    if arguments.kind is not None:
        return _revocations(arguments)
    settings = running(arguments)
    if arguments.type == "user" and not arguments.role:
        arguments.role = ["viewer"]
        if not arguments.site and arguments.camera is None:
            arguments.site = ["*"]
    if not arguments.any_role:
        require_known(arguments.role, granted(read_sources(settings.policy.rego_dir)))
    now = time.time()
    token = issue(
        settings.auth,
        sub=arguments.subject,
        typ=arguments.type,
        jti=secrets.token_hex(12),
        now_s=now,
        roles=arguments.role,
        sites=arguments.site,
        cameras=arguments.camera,
        scopes=arguments.scope,
        lifetime=arguments.lifetime_s,
    )
    if arguments.file is not None:
        write_whole(arguments.file, f"{token}\n".encode())
        console.note(f"{arguments.file} holds the token")
    if arguments.json:
        console.emit(({} if arguments.file is not None else {"token": token}) | _claims(token))
    elif arguments.file is None:
        console.say(token)
    return console.OK


def _claims(token: str) -> dict[str, Any]:
    """What names a token (`jti`, for `eyrie token revoke`), whose it is, and when it is over
    (`exp`, seconds since 1970)."""
    payload = token.split(".")[1]
    claims = msgspec.json.decode(
        base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=dict[str, Any]
    )
    return {name: claims[name] for name in ("jti", "exp", "sub", "typ")}


def require_known(roles: Sequence[str], known: Collection[str]) -> None:
    """Raises BadInput for a role that grants nothing. A policy that lists no roles knows any."""
    for role in roles:
        if known and role not in known:
            raise BadInput(
                f"no role is called {role!r}",
                hint=f"There are {', '.join(sorted(known))}; --any-role takes it all the same.",
            )


def _revocations(arguments: argparse.Namespace) -> int:
    token = token_source(arguments, subject="policy", typ="user", roles=["privacy"])
    hub = HubRest(http_url(arguments), token(), tls_context(arguments))
    if arguments.kind == "revoke":
        asked = {"jti": arguments.jti} if arguments.jti else {"subject": arguments.revoked}
        found = [
            msgspec.json.decode(
                hub.send("POST", PATH, asked | {"reason": arguments.reason}).body,
                type=dict[str, str | None],
            )
        ]
    else:
        found = msgspec.json.decode(
            hub.send("GET", PATH).body, type=dict[str, list[dict[str, str | None]]]
        )["revocations"]
    if arguments.json:
        console.emit(found[0] if arguments.kind == "revoke" else {"revocations": found})
    elif arguments.kind == "revoke":
        (row,) = found
        what = (
            f"token {row['value']}"
            if arguments.jti
            else f"every token of {row['value']} issued until {row['issued_before']}"
        )
        console.say(f"{what} is revoked; hubs close its sockets within five seconds", style="green")
    else:
        rows = [
            (
                str(row["kind"]),
                str(row["value"]),
                str(row["issued_before"]) if row["kind"] == "subject" else "",
                row["until"] or "for ever",
            )
            for row in found
        ]
        console.table(
            console.counted(len(rows), "revocation"),
            ("kind", "value", "issued until", "holds until"),
            rows,
        )
    return console.OK
