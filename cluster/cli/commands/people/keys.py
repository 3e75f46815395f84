"""``eyrie keys``: key pairs that sign tokens, instead of the shared secret of the embedded default;
keys by which devices sign requests."""

import argparse
import time
from pathlib import Path
from typing import Any

from cluster.cli import console
from cluster.cli.options import add_settings_options, data_dir, decimal
from policy.identity import device_keys, key_pairs
from policy.identity.keys import ALGORITHMS

DEVICES = "devices.json"
# the longest an edge token lives by default: after that no token of the old key is left
DAY_S = 86_400.0

EXAMPLES = """examples:
  eyrie keys make                       the first pair, in the data directory
  eyrie keys rotate --overlap-s 86400   a new pair; the old public key stays a day
  eyrie keys list
  eyrie keys retire 3f0c…               refuse the tokens of an old key now
  eyrie keys device gate-box --camera gate-1   a key by which a device signs its HTTP requests
  eyrie keys devices
  eyrie keys drop 91ab…                 refuse a device's key now
"""


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "keys",
        help="make and rotate the keys of tokens",
        description="Make and rotate the key pair that signs tokens.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="command")
    for name, text in (
        ("make", "make the first pair"),
        ("rotate", "make the next pair"),
        ("list", "list the public keys"),
        ("retire", "take a key away"),
        ("device", "make a key for a device's requests"),
        ("devices", "list the keys of devices"),
        ("drop", "take a device's key away"),
    ):
        action = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        add_settings_options(action)
        action.add_argument(
            "--folder",
            default="",
            metavar="DIR",
            help="where the keys are (default: keys/ in the data directory)",
        )
        action.add_argument("--json", action="store_true", help="print JSON")
        if name == "make":
            action.add_argument(
                "--algorithm", choices=tuple(ALGORITHMS), default="ES256", help="default ES256"
            )
        elif name == "rotate":
            action.add_argument(
                "--overlap-s",
                type=decimal,
                default=DAY_S,
                metavar="S",
                help="seconds the old key stays good (default a day)",
            )
        elif name in ("retire", "drop"):
            action.add_argument("kid", help="the key's id")
        elif name == "device":
            action.add_argument("device", help="its name: what a revocation of its subject names")
            action.add_argument(
                "--camera",
                action="append",
                required=True,
                help="a camera it may send, and no other (may repeat)",
            )
            action.add_argument(
                "--site",
                action="append",
                default=[],
                help="only while the camera is at this site (may repeat)",
            )
            action.add_argument(
                "--algorithm",
                choices=device_keys.ALGORITHMS,
                default="ed25519",
                help="default ed25519",
            )


def run(arguments: argparse.Namespace) -> int:
    """Do it, and tell which key signs."""
    folder = Path(arguments.folder) if arguments.folder else data_dir(arguments).path / "keys"
    if arguments.action in ("device", "devices", "drop"):
        return _devices(folder / DEVICES, arguments)
    if arguments.action == "make":
        key_pairs.make(folder, arguments.algorithm)
    elif arguments.action == "rotate":
        key_pairs.rotate(folder, overlap_s=arguments.overlap_s, now_s=time.time())
    elif arguments.action == "retire":
        key_pairs.retire(folder, arguments.kid)
    _tell(folder, arguments)
    return console.OK


def _devices(path: Path, arguments: argparse.Namespace) -> int:
    """The keys of devices: `path` is for the hubs, the file that is made beside it for the
    device."""
    if arguments.action == "device":
        handed = device_keys.make(
            path,
            arguments.device,
            arguments.camera,
            algorithm=arguments.algorithm,
            sites=arguments.site,
        )
        if arguments.json:
            console.emit({"device_keys_file": str(path), "key_file": str(handed)})
            return console.OK
        console.say(
            f"{handed} is the key of {arguments.device}: give it to the device, then delete it "
            "here",
            style="green",
        )
        console.say(f'\n[auth]\ndevice_keys_file = "{path}"')
        return console.OK
    if arguments.action == "drop":
        device_keys.drop(path, arguments.kid)
    keys = device_keys.read(path)
    if arguments.json:
        shown = [
            (
                key.keyid,
                key.device,
                key.algorithm,
                list(key.cameras),
                list(key.sites),
                key.fingerprint,
            )
            for key in keys
        ]
        console.emit(
            {
                "keys": [
                    dict(
                        zip(
                            ("keyid", "device", "algorithm", "cameras", "sites", "fingerprint"),
                            row,
                            strict=True,
                        )
                    )
                    for row in shown
                ]
            }
        )
    else:
        rows = [
            (
                key.keyid,
                key.device,
                key.algorithm,
                " ".join(key.cameras),
                " ".join(key.sites),
                key.fingerprint[:16],
            )
            for key in keys
        ]
        console.table(
            console.counted(len(rows), "key of a device", "keys of devices"),
            ("keyid", "device", "algorithm", "cameras", "sites", "SHA-256"),
            rows,
        )
    return console.OK


def _tell(folder: Path, arguments: argparse.Namespace) -> None:
    signing = key_pairs.read_signing_key(folder / key_pairs.SIGNING).kid
    keys = [
        {
            "kid": key["kid"],
            "algorithm": key["alg"],
            "signs": key["kid"] == signing,
            "retires": key.get("retires"),
        }
        for key in key_pairs.published(folder)
    ]
    names = {
        "jwks_file": str(folder / key_pairs.PUBLIC),
        "signing_key_file": str(folder / key_pairs.SIGNING),
    }
    if arguments.json:
        console.emit({**names, "keys": keys})
        return
    for key in keys:
        until = (
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(key["retires"]))
            if key["retires"]
            else ""
        )
        console.say(
            f"{key['kid']}  {key['algorithm']}  {'signs' if key['signs'] else f'until {until}'}"
        )
    if arguments.action == "make":
        console.say(
            "\n".join(["", "[auth]", *(f'{name} = "{value}"' for name, value in names.items())])
        )
