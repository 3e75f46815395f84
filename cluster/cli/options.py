"""Options that several sub-commands share, and what they lead to."""

import argparse
import re

import msgspec

from actors.core.settings import DataSettings, Settings
from storage.embedded.data_dir import DataDir, of
from storage.process.settings_files import Loaded, load, read_resolved

UNITS_S = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def add_settings_options(parser: argparse.ArgumentParser) -> None:
    """``--config`` and ``--data-dir``."""
    parser.add_argument(
        "--config",
        default="",
        metavar="FILE",
        help="settings file (default: $EYRIE_CONFIG, else ./eyrie.toml if there)",
    )
    parser.add_argument(
        "--data-dir",
        default="",
        metavar="DIR",
        help="data directory of the embedded servers (default: $EYRIE_DATA_DIR)",
    )


def add_database_options(parser: argparse.ArgumentParser, *, changes: bool) -> None:
    """Which database, and how it is told; `changes`: what is done stands in the audit log."""
    add_settings_options(parser)
    parser.add_argument(
        "--source",
        default="",
        metavar="SOURCE",
        help="a data directory or a postgresql:// address; default: the settings'",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    if changes:
        parser.add_argument(
            "--key-file",
            metavar="FILE",
            help="the secret that seals the audit log; default: the data directory's",
        )


def whole(text: str) -> int:
    """A whole number of an option."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None


def decimal(text: str) -> float:
    """A number of an option."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None


def duration(text: str) -> float:
    """A time of an option, such as ``30s``, ``10m``, ``2h`` or ``7d``, in seconds; a number alone
    is seconds."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([smhd]?)", text, re.ASCII)
    if match is None or float(match[1]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no time like 30s, 10m, 2h or 7d")
    return float(match[1]) * UNITS_S[match[2]]


def loaded(arguments: argparse.Namespace) -> Loaded:
    """Settings by file, environment and options. Raises ConfigError."""
    found = load(arguments.config)
    if arguments.data_dir:
        settings = msgspec.structs.replace(
            found.settings, data=DataSettings(dir=arguments.data_dir)
        )
        return Loaded(settings, {**found.origins, "data.dir": "--data-dir"})
    return found


def data_dir(arguments: argparse.Namespace) -> DataDir:
    """The data directory that the options name."""
    return of(loaded(arguments).settings)


def running(arguments: argparse.Namespace) -> Settings:
    """The resolved settings of the instance that runs on that data directory. Raises ConfigError
    when none has run there."""
    return read_resolved(data_dir(arguments).settings_file)
