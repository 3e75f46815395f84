"""``python -m load_tests``: scenarios and benches of Eyrie on this machine alone."""

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence

import msgspec

from actors.core.errors import EyrieError
from load_tests import run_command
from load_tests.harness.environment import this_machine
from load_tests.harness.results import BenchResult, Measured
from load_tests.tables import show

BENCHES = {
    "actors": "100 cameras at density 1, 16 and 64: cold start, memory, throughput, acks, beside "
    "empty Ray actors",
    "step": "one step of the camera core, by objects, zones and lines, as a multiple of decoding",
    "codec": "encoding and decoding observations, events, states and frames, next to msgspec "
    "alone on the same bytes",
    "commit": "camera advances per second of the fenced commit, next to a plain UPDATE",
    "ingest": "observations committed end to end through edge sockets, next to a plain process",
    "link": "an observation to an actor process and its ack back, next to a bare echo of the same "
    "frames and to a Ray call",
    "flood": "what one camera's flood does to the ack latency of its neighbours in one actor "
    "process",
    "fanout": "deliveries per second to dashboards, next to bare sockets and a plain Starlette "
    "loop",
    "peers": "the same fan-out by python-socketio, Django Channels, Centrifugo and NATS, where "
    "they are installed",
    "check": "how long the checker of a run takes for a million operations",
    "policy": "decisions per second, cached, embedded and by OPA; how fast open sockets follow a "
    "revocation and an activation",
    "jobs": "jobs claimed and completed by a worker, next to the same statements in a plain loop, "
    "and to pgqueuer where it is installed",
    "sources": "messages per processor second of a Frigate source with 200 cameras, next to a bare "
    "MQTT subscriber",
    "sinks": "events per processor second of a relay into JetStream, next to a bare publisher; "
    "how long an event takes from its commit to the broker's ack at half load",
    "reads": "reads of events with 8, 90 and 400 days kept",
}

# In a package of `load_tests.benches`; the others are modules of it.
PACKAGES = {"fanout": "fanout", "peers": "fanout", "policy": "policies", "actors": "on_ray"}

EXAMPLES = """examples:
  python -m load_tests run steady --seed 7 --duration 30 --out results
  python -m load_tests compare results/steady-7.json results/steady-8.json --bound 0.2
  python -m load_tests find-limit steady --set per_actor=1 --objective "ack_p99_s<0.5"
  python -m load_tests bench step
  python -m load_tests model --cameras 5000
"""
BENCH_EXAMPLES = """examples:
  python -m load_tests bench codec
  python -m load_tests bench ingest --seed 7 --json > ingest.json
  python -m load_tests bench all --json > benches.jsonl
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 when it measured, 1 when it could not, 2 for wrong usage, 130 when
    interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m load_tests",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    bench = commands.add_parser(
        "bench",
        help="measure one part next to its floor",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(
            [*(f"{name:8} {what}" for name, what in BENCHES.items()), "", BENCH_EXAMPLES]
        ),
    )
    bench.add_argument(
        "name",
        choices=[*sorted(BENCHES), "all"],
        metavar="NAME",
        help="one of those below, or all of them in turn",
    )
    bench.add_argument("--seed", type=int, default=1, help="seed of everything random (default 1)")
    bench.add_argument(
        "--json", action="store_true", help="print one JSON object, a line for each bench"
    )
    run_command.add_to(commands)
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    if arguments.command != "bench":
        return run_command.main(arguments)
    try:
        return max(
            _bench(name, arguments)
            for name in (sorted(BENCHES) if arguments.name == "all" else [arguments.name])
        )
    except KeyboardInterrupt:
        return 130


def module_of(bench: str) -> str:
    """The module with the `run` of a bench."""
    return ".".join(filter(None, ("load_tests.benches", PACKAGES.get(bench), bench)))


def _bench(name: str, arguments: argparse.Namespace) -> int:
    try:
        measured: Measured = importlib.import_module(module_of(name)).run(arguments.seed)
    except EyrieError as error:
        sys.stderr.write(f"bench {name}: {error.detail}\n{error.next_step}\n")
        return 1
    result = BenchResult(
        name, arguments.seed, this_machine(), measured.figures, measured.floor, measured.ratios
    )
    if arguments.json:
        sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
        sys.stdout.flush()
    else:
        show(result)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
