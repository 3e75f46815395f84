"""``eyrie replay``: stream a recording through the edge socket, and account for every message."""

import argparse
import asyncio
import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from actors.core.boxes import BOX_OUTSIDE
from actors.core.errors import EyrieError
from actors.core.identifiers import LABEL_PATTERN, require_id
from cluster.cli import console
from cluster.cli.commands.streams import replay_sites
from cluster.cli.hub_options import (
    EDGE_PATH,
    add_hub_options,
    tls_context,
    token_source,
    websocket_url,
)
from cluster.cli.options import decimal
from edge.adapters.coco_classes import CLASSES
from edge.adapters.formats import FORMATS
from edge.adapters.looks import SAMPLE_BYTES, looks_like
from edge.adapters.readings import Rejection
from edge.replay import Replay, ReplayOptions
from edge.replay_account import ReplayAccount, ReplayProgress
from edge.sorting import WATERMARK_S

EXAMPLES = """examples:
  eyrie replay garage.jsonl --format deepstream --speed max --site garage   registers its cameras there
  eyrie replay rawdetections.ndjson --format opendatacam --fps 30 --frame-size 1920x1080 --camera crossroads
  eyrie replay gt.txt --format mot --fps 25 --frame-size 1920x1080 --camera mall
  eyrie replay results.txt --format mot --label 0=person --label 2=car --camera mall

Replaying the same file again goes on where the hub stopped: what it has already is counted as duplicate.
The account must add up: every message committed, duplicate, or rejected with a reason.

exit codes: 0 everything is accounted for; 2 wrong usage;
1 it is not, nothing could be used, there are fields that nothing reads, or the hub refused a camera
"""  # noqa: E501


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "replay",
        help="stream a recording",
        description="Stream a recording through the edge socket, one device per camera.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument(
        "--format", required=True, choices=sorted(FORMATS), help="what the file holds"
    )
    parser.add_argument(
        "--fps",
        type=_positive,
        metavar="N",
        help="frames a second of a recording without times (default 30)",
    )
    parser.add_argument(
        "--frame-size",
        type=_size,
        metavar="WxH",
        help="pixels of the frames (default: 960x752 deepstream, 1920x1080 else)",
    )
    parser.add_argument(
        "--camera",
        metavar="ID",
        help="the camera's id; in a recording of many cameras, replay only this one",
    )
    parser.add_argument(
        "--speed",
        type=_speed,
        default=1.0,
        metavar="N|max",
        help="times capture time, or as fast as it goes (default 1)",
    )
    parser.add_argument(
        "--lateness-s",
        type=_positive,
        default=WATERMARK_S,
        metavar="S",
        help=f"how late a message may be (default {WATERMARK_S})",
    )
    parser.add_argument(
        "--again",
        default="",
        metavar="NAME",
        help="replay as new sessions of this name instead of going on",
    )
    parser.add_argument(
        "--label",
        action="append",
        default=[],
        type=_label,
        metavar="NAME | CLASS=NAME",
        help="what objects are called (mot, coco): all of them, or those of a class number; may "
        "be repeated",
    )
    parser.add_argument(
        "--classes",
        choices=["coco"],
        help="name class numbers (mot) as detectors trained on COCO count them, from 0",
    )
    parser.add_argument(
        "--pass-unknown-fields",
        action="store_true",
        help="send lines with fields that nothing reads (ndjson), and count them",
    )
    parser.add_argument(
        "--site",
        default="",
        metavar="SITE",
        help="register cameras that nobody registered yet in this site (default: asked on a "
        "terminal)",
    )
    parser.add_argument(
        "--rejects",
        type=Path,
        metavar="FILE",
        help="write rejected messages there, one JSON a line with its reason",
    )
    parser.add_argument(
        "--stall-s",
        type=_positive,
        default=60.0,
        metavar="S",
        help="give up when nothing moves for so long (default 60)",
    )
    add_hub_options(parser)
    parser.add_argument("--json", action="store_true", help="print the account as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Replay; 0 when the account adds up."""
    if arguments.camera is not None and arguments.format != "deepstream":
        require_id(arguments.camera, "camera")
    tokens = token_source(arguments, subject="replay", typ="edge")
    options = ReplayOptions(
        arguments.file,
        arguments.format,
        websocket_url(arguments, EDGE_PATH),
        tokens,
        arguments.fps,
        arguments.frame_size,
        arguments.camera,
        arguments.speed,
        arguments.lateness_s,
        arguments.again,
        arguments.stall_s,
        labels=_labels(arguments),
        pass_unknown_fields=arguments.pass_unknown_fields,
    )
    if not arguments.token_file:  # a token of somebody's own says itself what it may bring about
        options = msgspec.structs.replace(options, only=replay_sites.settle(options, arguments))
    with ExitStack() as stack:
        stack.enter_context(_quiet())
        rejects = stack.enter_context(open(arguments.rejects, "wb")) if arguments.rejects else None

        def keep(rejection: Rejection) -> None:
            if rejects is not None:
                row = {
                    "code": rejection.code,
                    "detail": rejection.detail,
                    "raw": rejection.raw.decode("utf-8", "replace"),
                }
                rejects.write(msgspec.json.encode(row) + b"\n")

        replay = Replay(options, on_reject=keep, tls=tls_context(arguments))
        error: EyrieError | None = None
        with console.progress() as bar:
            task = bar.add_task("replaying", total=None)

            def report(progress: ReplayProgress) -> None:
                share = progress.read_bytes / progress.total_bytes if progress.total_bytes else 0.0
                expected = (
                    progress.messages
                    if share >= 1.0 or not share
                    else round(progress.messages / share)
                )
                bar.update(task, completed=progress.settled, total=max(expected, progress.settled))

            try:
                asyncio.run(replay.run(report))
            except EyrieError as failed:
                error = failed
    if error is None or replay.account.messages:
        _print(replay.account, arguments.file, arguments.format, as_json=arguments.json)
    if error is not None:
        console.fail(error)
        return console.USAGE if error.status == 400 else console.FAILED
    if not replay.account.adds_up:
        console.note("The account does not add up.", style="bold red")
        return console.FAILED
    bad = replay.account.refused_cameras or replay.account.useless or replay.account.unknown_fields
    return console.FAILED if bad else console.OK


@contextmanager
def _quiet() -> Iterator[None]:
    """No log lines between the progress: the account and the errors say it all."""
    log = logging.getLogger("eyrie.edge")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


def _print(account: ReplayAccount, path: Path, form: str, *, as_json: bool) -> None:
    resembles = _resembles(path) if account.useless else None
    if as_json:
        told = {
            **msgspec.to_builtins(account),
            "adds_up": account.adds_up,
            "useless": account.useless,
        }
        console.emit({**told, "looks_like": resembles} if account.useless else told)
        return
    rows = [
        ("messages", account.messages),
        ("committed", account.committed),
        ("duplicate", account.duplicate),
    ]
    rows += [(f"rejected: {code}", count) for code, count in account.rejected.items()]
    if account.other_cameras:
        rows.append(("of other cameras, left out", account.other_cameras))
    if account.clocks_stepped:
        rows.append(("steps of clocks", account.clocks_stepped))
    if account.unsettled:
        rows.append(("not settled", account.unsettled))
    rows.append(("cameras", account.cameras))
    rows += [("frames sent", account.frames), ("objects sent", account.objects)]
    rows += [
        (f"objects left out: {code}", count) for code, count in account.dropped_objects.items()
    ]
    rows += [(f"objects mended: {code}", count) for code, count in account.mended_objects.items()]
    rows += [(f"unknown field {name}", count) for name, count in account.unknown_fields.items()]
    console.table("", ("replay", "count"), [(name, f"{count:,}") for name, count in rows])
    if account.useless:
        shape = f"It looks like {resembles}." if resembles not in (None, form) else f"Is it {form}?"
        console.note(f"Nothing of it could be used. {shape}", style="bold red")
    if account.unknown_fields:
        console.note(
            "Fields that nothing reads: mend them, or send the lines with --pass-unknown-fields.",
            style="bold red",
        )
    for remark, count in account.remarks.items():
        console.note(f"{count:,} times: {remark}", style="yellow")
    if account.dropped_objects.get(BOX_OUTSIDE, 0) > account.messages // 10:
        console.note("Many boxes lie outside their picture. Is --frame-size right?", style="yellow")
    for camera, reason in account.refused_cameras.items():
        console.note(f"camera {camera} was refused: {reason}", style="red")
    if any(code.startswith("conflict") for code in account.rejected):
        console.note(
            "A newer session of these cameras exists; `--again NAME` replays as a new one."
        )


def _resembles(path: Path) -> str | None:
    with open(path, "rb") as file:
        return looks_like(file.read(SAMPLE_BYTES))


def _label(text: str) -> tuple[str, str]:
    number, is_class, name = text.rpartition("=")
    if not re.match(LABEL_PATTERN, name) or (is_class and not number.isdecimal()):
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither NAME nor CLASS=NAME, for example 2=car"
        )
    return number, name


def _labels(arguments: argparse.Namespace) -> dict[str, str]:
    classes = (
        {str(number): name for number, name in enumerate(CLASSES)}
        if arguments.classes == "coco"
        else {}
    )
    return {**classes, **dict(arguments.label)}


def _positive(text: str) -> float:
    value = decimal(text)
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def _speed(text: str) -> float | None:
    return None if text == "max" else _positive(text)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isascii() and width.isdigit() and height.isascii() and height.isdigit()):
        raise argparse.ArgumentTypeError(f"{text} is not WxH, for example 1920x1080")
    size = (int(width), int(height))
    if not all(1 <= side <= 65_536 for side in size):
        raise argparse.ArgumentTypeError(f"{text} is out of range")
    return size
