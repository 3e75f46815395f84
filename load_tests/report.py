"""A bench result as a person wants to read it on a terminal."""

import msgspec
from rich.console import Console
from rich.table import Table

from load_tests.results import BenchResult


def show(result: BenchResult) -> None:
    """Print one table: figures, floor, ratios, and the machine they were measured on."""
    console = Console()
    table = Table(title=f"bench {result.bench} (seed {result.seed})", title_justify="left")
    table.add_column("what")
    table.add_column("name")
    table.add_column("value", justify="right")
    for what, values in (("figure", result.figures), ("floor", result.floor), ("ratio", result.ratios)):
        for name, value in _flat(dict(values)):
            table.add_row(what, name, value)
    console.print(table)
    machine = result.machine
    console.print(f"{machine.cores} cores, {machine.memory_gib} GiB, {machine.processor}, {machine.system}, Python {machine.python}")


def _flat(values: dict[str, object], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in values.items():
        plain = msgspec.to_builtins(value)
        if isinstance(plain, dict):
            rows += _flat(plain, f"{prefix}{name}.")
        elif isinstance(plain, float):
            rows.append((prefix + name, f"{plain:,.3f}" if abs(plain) < 100 else f"{plain:,.0f}"))
        elif isinstance(plain, int):
            rows.append((prefix + name, f"{plain:,}"))
        else:
            rows.append((prefix + name, str(plain)))
    return rows
