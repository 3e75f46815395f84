"""``python -m load_tests run`` and ``compare``: the commands around a run."""

import argparse
import sys
from pathlib import Path
from typing import Any

import msgspec

from actors.core.errors import EyrieError, StartError
from load_tests import limit_command, model_command
from load_tests.checker.verdict import green
from load_tests.faults import times
from load_tests.harness import scenarios
from load_tests.harness.histogram import Histogram
from load_tests.harness.terminal import say
from load_tests.runs import page
from load_tests.runs import run as run_scenario
from load_tests.runs.live_view import LiveView
from load_tests.runs.result import RunResult, compare, differences
from load_tests.tables import show_ratios

ONLY_SOME = "faults:A,B+C     only these of its faults; + between those at once"
RUN_EXAMPLES = """examples:
  python -m load_tests run steady --seed 7 --duration 60 --out results
  python -m load_tests run night.toml --set cameras=50 --set fps=5
"""
COMPARE_EXAMPLES = """examples:
  python -m load_tests compare results/steady-7.json results/steady-8.json
  python -m load_tests compare before.json after.json --bound 0.1 --json
"""


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """The two commands."""
    run = commands.add_parser(
        "run",
        help="drive a scenario, check that nothing was lost, write a report; exit status 0 only "
        "when nothing is red",
        epilog="\n".join(
            [
                *(f"{one.name:16} {one.what}" for one in scenarios.READY_MADE.values()),
                ONLY_SOME,
                "",
                RUN_EXAMPLES,
            ]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("name", help="a ready-made scenario, or a .toml file")
    run.add_argument(
        "--seed", type=int, default=1, help="seed of what the devices send (default 1)"
    )
    run.add_argument("--duration", type=float, help="seconds (default: the scenario's)")
    run.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a value of the scenario (TOML)",
    )
    run.add_argument(
        "--out",
        type=Path,
        default=Path("load-results"),
        help="folder of the report (default load-results)",
    )
    told = commands.add_parser(
        "faults-table",
        help="what a run's faults did, as the table of docs/correctness.md (Markdown)",
    )
    told.add_argument(
        "report",
        type=Path,
        nargs="+",
        help="the JSON of a run of `faults`; of several the last counts",
    )
    comparing = commands.add_parser(
        "compare",
        help="ratios of two runs; exit status 1 when the second is worse beyond noise and bound",
        epilog=COMPARE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    comparing.add_argument("old", type=Path)
    comparing.add_argument("new", type=Path)
    comparing.add_argument(
        "--bound",
        type=float,
        default=0.2,
        help="share by which a figure may be worse (default 0.2)",
    )
    comparing.add_argument("--json", action="store_true", help="print one JSON object")
    limit_command.add_to(commands)
    model_command.add_to(commands)


def main(arguments: argparse.Namespace) -> int:
    """0 green or not worse, 1 red or worse or failed, 130 interrupted."""
    try:
        return {
            "run": _run,
            "compare": _compare,
            "faults-table": _table,
            "find-limit": limit_command.main,
            "model": model_command.main,
        }[arguments.command](arguments)
    except EyrieError as error:
        sys.stderr.write(f"{arguments.command}: {error.detail}\n{error.next_step}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _run(arguments: argparse.Namespace) -> int:
    scenario = scenarios.load(arguments.name, arguments.set, arguments.duration)
    say(f"run {scenario.name}: seed {arguments.seed}, {scenario.duration_s:g} s")
    path = arguments.out / f"{scenario.name}-{arguments.seed}"
    histories = path.with_name(f"{path.name}-histories")
    with LiveView(scenario, arguments.seed) as view:
        result = run_scenario.run(scenario, arguments.seed, view.say, view.show, histories)
    path.with_suffix(".json").write_bytes(msgspec.json.format(msgspec.json.encode(result)))
    path.with_suffix(".html").write_text(page.page(result), encoding="utf-8")
    latency = Histogram(result.latency)
    p50_ms, p99_ms = (latency.percentile(share) * 1e3 for share in (0.5, 0.99))
    say(f"sent {result.sent}, acked {result.acked}; ack p50 {p50_ms:.1f} ms, p99 {p99_ms:.1f} ms")
    for line in result.verdict:
        say(
            f"{line.invariant:6} {line.status:12} {line.means}"
            + (f": {line.first}" if line.first else "")
        )
        for shown in line.excerpt:
            say(f"       | {shown}")
    for note in result.notes:
        say(f"note: {note}")
    say(
        f"seed {result.seed}: {'green' if green(result.verdict) else 'RED'}; "
        f"{path.with_suffix('.html')}"
    )
    return 0 if green(result.verdict) else 1


def _table(arguments: argparse.Namespace) -> int:
    newest = {one.name: one for report in arguments.report for one in _read(report).faults}
    sys.stdout.write(times.table(list(newest.values())))
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    old, new = _read(arguments.old), _read(arguments.new)
    found = compare(old, new, arguments.bound)
    fell = green(old.verdict) and not green(new.verdict)
    if arguments.json:
        sys.stdout.write(
            msgspec.json.encode(
                {"differences": differences(old, new), "ratios": found, "verdict_fell": fell}
            ).decode()
            + "\n"
        )
    else:
        show_ratios(found, arguments.bound, differences(old, new))
        if fell:
            say("the old run was green, the new one is red")
    return 1 if fell or any(ratio.worse for ratio in found) else 0


def _read(path: Path) -> RunResult:
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunResult)
    except (OSError, msgspec.MsgspecError) as error:
        raise StartError(f"{path} is not the JSON of a run: {error}") from error
