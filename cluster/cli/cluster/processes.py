"""Log level and profile of a process while it runs, and room for more cameras."""

import argparse
from pathlib import Path
from typing import Any

from actors.core.errors import ConfigError
from cluster.cli import console
from cluster.cli.cluster.client import ApiClient, add_options, part, process_name
from cluster.cli.options import duration, whole

EXAMPLES = """examples:
  eyrie cluster log-level hub-0                        what it is now
  eyrie cluster log-level hub-0 debug --for 10m        then as before
  eyrie cluster log-level hub-0 --reset
  eyrie cluster profile supervisor --for 10            where its time goes
  eyrie cluster profile hub-0 --for 10 --out hub.txt   collapsed stacks, for a flame graph
"""
UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
SHOWN = 15  # functions


def add_parsers(kinds: Any) -> None:
    """Add ``log-level``, ``profile`` and ``room``."""
    level = kinds.add_parser(
        "log-level", help="another log level for a while", epilog=EXAMPLES, formatter_class=_RAW
    )
    level.add_argument("process", help="an actor, hub-0, policy-0 or supervisor")
    level.add_argument(
        "level",
        nargs="?",
        default="",
        choices=("", "debug", "info", "warning", "error"),
        metavar="LEVEL",
    )
    level.add_argument(
        "--for",
        dest="for_s",
        type=duration,
        default=600.0,
        metavar="TIME",
        help="such as 30s, 10m, 2h (10m)",
    )
    level.add_argument("--reset", action="store_true", help="the settings' level again")
    level.set_defaults(act=log_level)
    add_options(level)
    profile = kinds.add_parser(
        "profile", help="where a process spends its time", epilog=EXAMPLES, formatter_class=_RAW
    )
    profile.add_argument("process")
    profile.add_argument(
        "--for", dest="for_s", type=duration, default=5.0, metavar="TIME", help="at most 30s (5s)"
    )
    profile.add_argument("--hz", type=whole, default=50, help="samples a second, at most 200 (50)")
    profile.add_argument(
        "--out", default="", metavar="FILE", help="write the collapsed stacks there"
    )
    profile.set_defaults(act=take_profile)
    add_options(profile)
    room = kinds.add_parser(
        "room", help="ask for room for so many cameras (Ray's autoscaler)", formatter_class=_RAW
    )
    room.add_argument("cameras", type=whole)
    room.set_defaults(act=make_room)
    add_options(room)


def log_level(link: ApiClient, arguments: argparse.Namespace) -> int:
    """Show, set or reset."""
    path = f"/processes/{part(process_name(arguments.process))}/log-level"
    if arguments.reset:
        found = link.delete(path)
    elif arguments.level:
        found = link.put(path, {"level": arguments.level, "for_s": arguments.for_s})
    else:
        found = link.read(path)
    if arguments.json:
        console.emit(found)
        return console.OK
    left = "" if found["left_s"] is None else f" for {found['left_s']:g} s, then {found['base']}"
    console.say(f"{found['process']}: {found['level']}{left}")
    return console.OK


def take_profile(link: ApiClient, arguments: argparse.Namespace) -> int:
    """Sample, then show the functions in which most samples ended."""
    body = {"for_s": arguments.for_s, "hz": arguments.hz}
    with console.spinner(f"{arguments.process} is sampled for {arguments.for_s:g} s"):
        found = link.post(
            f"/processes/{part(process_name(arguments.process))}/profile",
            body,
            timeout_s=arguments.for_s + 20.0,
        )
    if arguments.out:
        try:
            Path(arguments.out).write_text(found["stacks"], encoding="utf-8")
        except OSError as error:
            raise ConfigError(
                f"{arguments.out} cannot be written: {error.strerror}", hint="Name a file that can."
            ) from error
    if arguments.json:
        console.emit(found)
        return console.OK
    rows = [
        (function, str(own), f"{100 * own / max(1, found['samples']):.0f} %")
        for function, own in hottest(found["stacks"])[:SHOWN]
    ]
    console.table(
        f"{console.counted(found['samples'], 'sample')} of "
        f"{console.counted(found['threads'], 'thread')}",
        ("function", "samples", "of all"),
        rows,
    )
    console.note(
        f"collapsed stacks are in {arguments.out}"
        if arguments.out
        else "--out FILE keeps the stacks for a flame graph"
    )
    return console.OK


def hottest(stacks: str) -> list[tuple[str, int]]:
    """(function, samples in which it was innermost), most first."""
    counted: dict[str, int] = {}
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        function = stack.rpartition(";")[2]
        counted[function] = counted.get(function, 0) + int(count)
    return sorted(counted.items(), key=lambda item: (-item[1], item[0]))


def make_room(link: ApiClient, arguments: argparse.Namespace) -> int:
    """Ask for it."""
    found = link.put("/room", {"cameras": arguments.cameras})
    if arguments.json:
        console.emit(found)
    else:
        console.say(
            f"asked for room for {console.counted(found['cameras'], 'camera')}; nodes come where "
            "something can make the cluster grow"
        )
    return console.OK


_RAW = argparse.RawDescriptionHelpFormatter
