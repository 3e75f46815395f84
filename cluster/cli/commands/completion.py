"""``eyrie completion``: what a shell needs to complete the commands and their options."""

import argparse
from typing import Any

import shtab

from cluster.cli import console

EXAMPLES = """examples:
  eyrie completion bash > ~/.local/share/bash-completion/completions/eyrie
  eyrie completion zsh > ~/.zfunc/_eyrie           with ~/.zfunc in fpath, before compinit
"""


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "completion",
        help="completion for a shell",
        description="Print the script by which a shell completes commands and options.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=["bash", "zsh"])


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    console.say(shtab.complete(arguments.parser, arguments.shell))
    return console.OK
