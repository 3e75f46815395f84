"""Results as a person wants to read them on a terminal."""

from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from load_tests.capacity.model import GIB, Need, UnitCosts, in_words, redis_message_us, row_us
from load_tests.harness.environment import described
from load_tests.harness.results import BenchResult
from load_tests.runs.result import Ratio

_NUMBERS = "least", "greatest", "runs"


def show(result: BenchResult) -> None:
    """Print one table: figures, floor, ratios, and the machine they were measured on."""
    console = Console()
    table = Table(title=f"bench {result.bench} (seed {result.seed})", title_justify="left")
    table.add_column("what")
    table.add_column("name", overflow="fold")
    table.add_column("value", justify="right")
    table.add_column("spread", justify="right", style="dim")
    for what, values in (
        ("figure", result.figures),
        ("floor", result.floor),
        ("ratio", result.ratios),
    ):
        for name, value, around in _flat(dict(values)):
            table.add_row(what, name, value, around)
    console.print(table)
    console.print(described(result.machine), soft_wrap=True)


def show_ratios(ratios: Sequence[Ratio], bound: float, differences: Sequence[str]) -> None:
    """Print two runs beside each other, worst figures marked; first what makes them no fair
    pair."""
    console = Console()
    for line in differences:
        console.print(f"[yellow]careful[/yellow]: {escape(line)}", soft_wrap=True)
    table = Table(
        title=f"new over old; worse is beyond ±noise and {bound:.0%}", title_justify="left"
    )
    for name in ("figure", "old", "new", "ratio", "±noise", ""):
        table.add_column(name, justify="left" if name in ("figure", "") else "right")
    for ratio in ratios:
        verdict = "[bold red]WORSE[/bold red]" if ratio.worse else ""
        numbers = (
            f"{ratio.old:,.4g}",
            f"{ratio.new:,.4g}",
            f"×{ratio.ratio:.3f}",
            f"{ratio.noise:.3f}",
        )
        table.add_row(ratio.name, *numbers, verdict)
    console.print(table)


def show_costs(costs: Sequence[UnitCosts]) -> None:
    """Print unit costs with what measured them."""
    console = Console()
    for cost in costs:
        table = Table(
            title=f"unit costs, at most {cost.per_actor} cameras in an actor process",
            title_justify="left",
        )
        for name in (
            "part",
            "base, cores",
            "camera, µs/s",
            "observation, µs",
            "delivery, µs",
            "base, MiB",
        ):
            table.add_column(name, justify="left" if name == "part" else "right")
        for part, cpu in cost.cpu.items():
            table.add_row(
                part,
                f"{cpu.base_us / 1e6:.3f}",
                f"{cpu.camera_us:,.0f}",
                f"{cpu.observation_us:.1f}",
                f"{cpu.delivery_us:.2f}",
                f"{cost.base_bytes.get(part, 0) / 2**20:,.0f}",
            )
        console.print(table)
        console.print(
            f"actor process {cost.actor_bytes / 2**20:,.1f} MiB, camera "
            f"{cost.camera_bytes / 1024:,.0f} KiB, dashboard "
            f"{cost.dashboard_bytes / 1024:,.1f} KiB; a row {row_us(cost):,.0f} µs of PostgreSQL "
            f"and {cost.row_wal_bytes:,} bytes of "
            f"write-ahead log, {cost.rows_per_camera_s:.2f} a second and camera; a Redis message "
            f"{redis_message_us(cost):,.1f} µs; "
            f"an event {cost.event_bytes:,} bytes on disk",
            soft_wrap=True,
        )
        console.print(
            f"measured {cost.measured} by `{cost.source}`, Eyrie {cost.version}, on "
            f"{described(cost.machine)}\n",
            soft_wrap=True,
        )


def show_needs(needs: Sequence[Need]) -> None:
    """Print what fleets need, side by side, and what breaks first in each."""
    console = Console()
    table = Table(title="what a fleet needs", title_justify="left")
    table.add_column("", no_wrap=True)
    for need in needs:
        table.add_column(
            f"{need.fleet.cameras:,} cameras\n{need.per_actor} per actor", justify="right"
        )
    for name, texts in _rows(needs):
        table.add_row(name, *texts)
    console.print(table)
    fleet = needs[0].fleet
    console.print(
        f"Assumed: {fleet.fps:g} observations a second and camera, {fleet.cameras_per_site} "
        f"cameras a site, {fleet.events_per_camera_h:g} "
        f"events a camera and hour, kept {fleet.keep_days} days; nodes of {fleet.node_cores} "
        f"cores and {fleet.node_gib:g} GiB, "
        f"{fleet.full:.0%} of them used, for hubs, actors and Ray; each dashboard on one site's "
        "wall and events.",
        soft_wrap=True,
    )
    for need in needs:
        console.print(
            f"\n[bold]{need.fleet.cameras:,} cameras, {need.per_actor} per actor[/bold] - what "
            "breaks, the worst first:"
        )
        for line in in_words(need.breaks):
            console.print(f"  {line}", soft_wrap=True, markup=False)


def _rows(needs: Sequence[Need]) -> list[tuple[str, list[str]]]:
    parts = list(needs[0].cores)
    rows = [
        ("dashboards", [f"{need.fleet.dashboards:,}" for need in needs]),
        ("observations/s", [f"{need.observations_per_s:,.0f}" for need in needs]),
        ("deliveries/s", [f"{need.deliveries_per_s:,.0f}" for need in needs]),
        ("nodes", [f"{need.nodes:,}" for need in needs]),
        ("hub processes", [f"{need.hubs:,}" for need in needs]),
        ("actor processes", [f"{need.actors:,}" for need in needs]),
        ("cores, all parts", [f"{sum(need.cores.values()):,.1f}" for need in needs]),
    ]
    rows += [(f"  {part}", [f"{need.cores[part]:,.1f}" for need in needs]) for part in parts]
    return [
        *rows,
        ("memory, GiB", [f"{sum(need.memory_bytes.values()) / GIB:,.1f}" for need in needs]),
        ("  of camera actors", [f"{need.memory_bytes['camera'] / GIB:,.1f}" for need in needs]),
        ("Redis messages/s", [f"{need.redis_messages_per_s:,.0f}" for need in needs]),
        ("Redis shards", [f"{need.redis_shards:,}" for need in needs]),
        ("PostgreSQL rows/s", [f"{need.rows_per_s:,.0f}" for need in needs]),
        ("write-ahead log, MB/s", [f"{need.wal_bytes_per_s / 1e6:,.1f}" for need in needs]),
        ("events, GB a day", [f"{need.event_bytes_per_day / 1e9:,.2f}" for need in needs]),
        ("events kept, GB", [f"{need.event_bytes_kept / 1e9:,.1f}" for need in needs]),
    ]


def _flat(values: dict[str, object], prefix: str = "") -> list[tuple[str, str, str]]:
    """(name, value, least to greatest where it is a median of several)."""
    rows: list[tuple[str, str, str]] = []
    for name, value in values.items():
        plain = msgspec.to_builtins(value)
        if isinstance(plain, dict) and set(plain) == {"median", *_NUMBERS}:
            rows.append(
                (
                    prefix + name,
                    _number(plain["median"]),
                    f"{_number(plain['least'])} to {_number(plain['greatest'])}",
                )
            )
        elif isinstance(plain, dict):
            rows += _flat(plain, f"{prefix}{name}.")
        elif isinstance(plain, list | tuple) and len(plain) == 2:
            rows.append((prefix + name, "", " to ".join(_number(one) for one in plain)))
        else:
            rows.append((prefix + name, _number(plain), ""))
    return rows


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
