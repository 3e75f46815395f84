"""``eyrie config``: what is in force, and where each value comes from."""

import argparse
from typing import Any

import msgspec

from cluster.cli import console
from cluster.cli.options import add_settings_options, loaded
from storage.settings_files import shown

EXAMPLES = """examples:
  eyrie config                     every setting with its origin
  eyrie config --changed           only what is not the default
  EYRIE_HUB_PORT=9000 eyrie config --json
"""


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "config", help="print the settings in force", description="Print the settings in force, secrets hidden.", epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add_settings_options(parser)
    parser.add_argument("--changed", action="store_true", help="only values that are no defaults")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print; 0, or 2 for settings that cannot be used."""
    found = loaded(arguments)
    tree: dict[str, dict[str, Any]] = msgspec.to_builtins(found.settings)
    rows = [
        (f"{section}.{key}", shown(value), found.origins.get(f"{section}.{key}", "default"))
        for section, values in tree.items()
        for key, value in values.items()
    ]
    if arguments.changed:
        rows = [row for row in rows if row[2] != "default"]
    if arguments.json:
        console.emit({name: {"value": value, "origin": origin} for name, value, origin in rows})
    else:
        console.table("", ("setting", "value", "from"), [(name, _text(value), origin) for name, value, origin in rows])
    return console.OK


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode() if not isinstance(value, str) else value
