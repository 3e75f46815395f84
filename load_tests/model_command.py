"""``python -m load_tests model``: the command around the capacity calculator."""

import argparse
import importlib.resources
import sys
from pathlib import Path
from typing import Any

import msgspec

from actors.core.errors import StartError
from load_tests import tables
from load_tests.capacity import calibrate
from load_tests.capacity import model as capacity
from load_tests.capacity.model import Need, PlannedFleet, UnitCosts
from load_tests.harness.terminal import say

SIZES = (1_000, 100_000, 10_000_000)
SHIPPED = "unit_costs.json"  # measured, beside this module: machine and day are in it
EXAMPLES = """examples:
  python -m load_tests model
  python -m load_tests model --cameras 5000 --dashboards 400 --set fps=5 --set keep_days=90
  python -m load_tests model --calibrate costs.json    # measures this machine, about three minutes
  python -m load_tests model --costs costs.json --json
"""


class _Told(msgspec.Struct):
    costs: list[UnitCosts]
    needs: list[Need]


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """The command."""
    model = commands.add_parser(
        "model",
        help="what a fleet needs, from measured unit costs; what breaks first",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    model.add_argument(
        "--cameras",
        type=int,
        action="append",
        help=f"may be given several times (default {', '.join(map(str, SIZES))})",
    )
    model.add_argument("--dashboards", type=int, help="default: one for ten cameras")
    model.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an assumption about the fleet, as keep_days=90",
    )
    model.add_argument(
        "--costs",
        type=Path,
        help="unit costs of a calibration (default: those that Eyrie comes with)",
    )
    model.add_argument(
        "--calibrate",
        type=Path,
        metavar="FILE",
        help="measure the unit costs of this machine, write them, use them",
    )
    model.add_argument(
        "--seed",
        type=int,
        default=1,
        help="seed of what the devices of a calibration send (default 1)",
    )
    model.add_argument("--json", action="store_true", help="print one JSON object")


def main(arguments: argparse.Namespace) -> int:
    """0. Raises StartError."""
    if arguments.calibrate is not None:
        tell = say if not arguments.json else _aside
        found = [
            calibrate.calibrate(arguments.seed, density, tell) for density in calibrate.CAMERAS
        ]
        arguments.calibrate.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
        costs = found
    else:
        costs = read(arguments.costs)
    fleets = [
        fleet_of(cameras, arguments.dashboards, arguments.set)
        for cameras in arguments.cameras or SIZES
    ]
    needs = [capacity.predict(cost, fleet) for fleet in fleets for cost in costs]
    if arguments.json:
        sys.stdout.write(msgspec.json.encode(_Told(costs, needs)).decode() + "\n")
    else:
        tables.show_costs(costs)
        tables.show_needs(needs)
    return 0


def _aside(line: str) -> None:
    sys.stderr.write(line + "\n")


def read(path: Path | None) -> list[UnitCosts]:
    """Unit costs of a file, or the shipped ones. Raises StartError."""
    try:
        raw = (
            path.read_bytes()
            if path is not None
            else importlib.resources.files("load_tests").joinpath(SHIPPED).read_bytes()
        )
        return msgspec.json.decode(raw, type=list[UnitCosts])
    except (OSError, msgspec.MsgspecError) as error:
        raise StartError(
            f"{path or SHIPPED} holds no unit costs: {error}",
            hint="Measure them: model --calibrate FILE",
        ) from error


def fleet_of(cameras: int, dashboards: int | None, settings: list[str]) -> PlannedFleet:
    """The fleet of the command's options. Raises StartError that names what is wrong."""
    values: dict[str, Any] = {
        "cameras": cameras,
        "dashboards": cameras // 10 if dashboards is None else dashboards,
    }
    for setting in settings:
        key, found, value = setting.partition("=")
        if not found:
            raise StartError(f"--set {setting}: write it as key=value")
        values[key.strip()] = value.strip()
    try:
        fleet = msgspec.convert(values, PlannedFleet, strict=False)
    except msgspec.ValidationError as error:
        raise StartError(f"the fleet: {error}") from error
    if (
        min(fleet.cameras, fleet.cameras_per_site, fleet.node_cores) < 1
        or min(fleet.fps, fleet.node_gib, fleet.full) <= 0
    ):
        raise StartError(
            "the fleet: cameras, cameras_per_site, node_cores, fps, node_gib and full must be "
            "above 0"
        )
    return fleet
