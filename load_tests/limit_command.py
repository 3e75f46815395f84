"""``python -m load_tests find-limit``: the command around a search."""

import argparse
from pathlib import Path
from typing import Any

import msgspec

from load_tests.capacity import find_limit, limit_page, limit_search
from load_tests.harness import scenarios
from load_tests.harness.terminal import say

OBJECTIVES = ("ack_p99_s<1.0", "gaps<=0", "lost<=0", "unsent_share<0.01")
EXAMPLES = """examples:
  python -m load_tests find-limit steady
  python -m load_tests find-limit steady --set per_actor=1 --set cameras=16 --objective "ack_p99_s<0.5" --objective "busy_share<0.9"
"""  # noqa: E501


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """The command."""
    limit = commands.add_parser(
        "find-limit",
        help="raise the load until an objective breaks; the knee and the bottleneck",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    limit.add_argument(
        "name", help="a ready-made scenario, or a .toml file; its rate is where the search begins"
    )
    limit.add_argument(
        "--seed", type=int, default=1, help="seed of what the devices send (default 1)"
    )
    limit.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a value of the scenario (TOML)",
    )
    limit.add_argument(
        "--objective",
        action="append",
        metavar="FIGURE<BOUND",
        help=f"must hold; may be given several times (default {', '.join(OBJECTIVES)}); figures: "
        f"{', '.join(limit_search.FIGURES)}",
    )
    limit.add_argument(
        "--step", type=float, default=10.0, help="seconds of each load (default 10, at least 5)"
    )
    limit.add_argument(
        "--budget",
        type=float,
        default=300.0,
        help="seconds of the whole search at most (default 300)",
    )
    limit.add_argument(
        "--out",
        type=Path,
        default=Path("load-results"),
        help="folder of the report (default load-results)",
    )


def main(arguments: argparse.Namespace) -> int:
    """0 when a load held, 1 when none did. Raises StartError."""
    scenario = scenarios.load(arguments.name, arguments.set)
    objectives = [limit_search.objective(text) for text in arguments.objective or OBJECTIVES]
    say(
        f"find-limit {scenario.name}: seed {arguments.seed}, "
        f"{', '.join(str(one) for one in objectives)}"
    )
    result = find_limit.run(
        scenario,
        arguments.seed,
        objectives,
        step_s=max(5.0, arguments.step),
        budget_s=arguments.budget,
        tell=say,
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"limit-{scenario.name}-{scenario.per_actor}-{arguments.seed}"
    path.with_suffix(".json").write_bytes(msgspec.json.format(msgspec.json.encode(result)))
    path.with_suffix(".html").write_text(limit_page.page(result), encoding="utf-8")
    say(limit_page.headline(result))
    say(f"bottleneck: {result.bottleneck}")
    say(f"{result.why_ended}; {path.with_suffix('.html')}")
    return 0 if result.limit_per_s else 1
