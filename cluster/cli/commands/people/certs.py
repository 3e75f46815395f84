"""``eyrie certs``: a development authority, and the certificates of hubs and devices that it
signs."""

import argparse
from pathlib import Path
from typing import Any

import msgspec

from actors.core.errors import NotFound
from cluster.cli import console
from cluster.cli.hub_options import add_hub_options, http_url, tls_context, token_source
from cluster.cli.options import add_settings_options, data_dir, whole
from cluster.rest_client import HubRest
from policy.identity import certificate_authority
from policy.identity.keys import read_secret

REVOCATIONS = "/v1/revocations"
YEAR = 365

EXAMPLES = """examples:
  eyrie certs init --passphrase-file ca.pass          the authority; its key goes beside the data directory, which hubs do not read
  eyrie certs server --host hub.example --host 10.0.0.5
  eyrie certs device gate-box --site north            may send every camera of a site, where policy lets it
  eyrie certs device gate-box --camera gate-1         only this one
  eyrie certs list
  eyrie certs revoke gate-box --reason "the box was stolen"
"""  # noqa: E501


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "certs",
        help="make certificates for TLS and devices",
        description="Make and revoke certificates of a development authority.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="command")
    for name, text in (
        ("init", "make the authority"),
        ("server", "make the certificate of the hubs"),
        ("device", "make the certificate of a device"),
        ("list", "list what was made"),
        ("revoke", "cut a device off within seconds"),
    ):
        action = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        if name == "revoke":
            add_hub_options(action)
            action.add_argument("device", help="the device, or the SHA-256 of a certificate in hex")
            action.add_argument("--reason", default="", help="why, for the audit log")
        else:
            add_settings_options(action)
        action.add_argument(
            "--folder",
            default="",
            metavar="DIR",
            help="where they are (default: certs/ in the data directory)",
        )
        action.add_argument("--json", action="store_true", help="print JSON")
        if name in ("init", "server", "device"):
            action.add_argument(
                "--authority",
                default="",
                metavar="DIR",
                help="where the authority's own key is (default: beside the data directory)",
            )
            action.add_argument(
                "--passphrase-file",
                default="",
                metavar="FILE",
                help="a secret (0600, 32 bytes) that encrypts that key",
            )
            days = 10 * YEAR if name == "init" else YEAR
            action.add_argument(
                "--days", type=whole, default=days, help=f"days it is good for (default {days})"
            )
        if name == "server":
            action.add_argument(
                "--host",
                action="append",
                default=[],
                help="a name or address of the hubs (default: loopback; may repeat)",
            )
        elif name == "device":
            action.add_argument("device", help="its name: the subject of its tokens")
            action.add_argument(
                "--site",
                action="append",
                default=[],
                help="a site it is good for without a token (may repeat)",
            )
            action.add_argument(
                "--camera", action="append", default=[], help="limit it to this camera (may repeat)"
            )


def run(arguments: argparse.Namespace) -> int:
    """Do it, and tell what was made."""
    folder = Path(arguments.folder) if arguments.folder else data_dir(arguments).path / "certs"
    if arguments.action == "revoke":
        return _revoke(folder, arguments)
    if arguments.action == "list":
        return _list(certificate_authority.all_of(folder), as_json=arguments.json)
    own = _authority(folder, arguments)
    if arguments.action == "init":
        made = certificate_authority.init(folder, own, days=arguments.days)
    elif arguments.action == "server":
        made = certificate_authority.server(
            folder, arguments.host or ["127.0.0.1", "::1", "localhost"], own, days=arguments.days
        )
    else:
        made = certificate_authority.device(
            folder,
            arguments.device,
            own,
            sites=arguments.site,
            cameras=arguments.camera,
            days=arguments.days,
        )
    if arguments.json:
        console.emit(msgspec.to_builtins(made))
        return console.OK
    console.say(
        f"{made.file} (key {own.file if arguments.action == 'init' else 'beside it'}) is good "
        f"until {made.until}",
        style="green",
    )
    if arguments.action == "init" and not own.passphrase:
        console.note(
            f"{own.file} is not encrypted: keep it off the hubs' machines, or make the authority "
            "with --passphrase-file"
        )
    for name in made.names:
        console.say(f"  {name}")
    if arguments.action == "server":
        names = {
            "tls_cert_file": "server.pem",
            "tls_key_file": "server.key",
            "tls_client_ca_file": "ca.pem",
        }
        console.say(
            "\n".join(
                ["", "[hub]", *(f'{key} = "{folder / value}"' for key, value in names.items())]
            )
        )
    return console.OK


def _authority(folder: Path, arguments: argparse.Namespace) -> certificate_authority.AuthorityKey:
    """Where the key is, and what encrypts it. Raises ConfigError."""
    found = certificate_authority.beside(folder if arguments.folder else data_dir(arguments).path)
    where = Path(arguments.authority) if arguments.authority else found.folder
    if not arguments.passphrase_file:
        return certificate_authority.AuthorityKey(where)
    return certificate_authority.AuthorityKey(where, read_secret(Path(arguments.passphrase_file)))


def _list(made: list[certificate_authority.Made], *, as_json: bool) -> int:
    if as_json:
        console.emit({"certificates": msgspec.to_builtins(made)})
    else:
        rows = [
            (
                found.kind,
                found.name,
                found.until[:10],
                found.fingerprint[:16],
                " ".join(found.names),
            )
            for found in made
        ]
        console.table(
            console.counted(len(rows), "certificate"),
            ("kind", "name", "good until", "SHA-256", "names"),
            rows,
        )
    return console.OK


def _revoke(folder: Path, arguments: argparse.Namespace) -> int:
    """The certificate that the folder holds of the device, or the one that was named by its
    fingerprint."""
    named = arguments.device.lower()
    if len(named) == 64 and set(named) <= set("0123456789abcdef"):
        fingerprint = named
    else:
        found = [
            made
            for made in certificate_authority.all_of(folder)
            if made.kind == "device" and made.name == arguments.device
        ]
        if not found:
            raise NotFound(
                f"there is no certificate of {arguments.device} in {folder}",
                hint="Name its SHA-256, or the right --folder.",
            )
        fingerprint = found[0].fingerprint
    token = token_source(arguments, subject="policy", typ="user", roles=["privacy"])
    hub = HubRest(http_url(arguments), token(), tls_context(arguments))
    hub.send("POST", REVOCATIONS, {"certificate": fingerprint, "reason": arguments.reason})
    if arguments.json:
        console.emit({"certificate": fingerprint, "revoked": True})
    else:
        console.say(
            f"certificate {fingerprint[:16]}… is revoked; hubs close its sockets within five "
            "seconds",
            style="green",
        )
    return console.OK
