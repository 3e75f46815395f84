"""What `find-limit` leaves behind: its result, as JSON, and its page with a plot over the load
(pure)."""

from collections.abc import Sequence
from html import escape

import msgspec

from load_tests.capacity.limit_search import LoadStep
from load_tests.harness.environment import MachineInfo, described
from load_tests.harness.plots import STYLE, line_plot, round_up
from load_tests.harness.scenarios import Scenario


class LimitResult(msgspec.Struct, frozen=True):
    """`steps` by load. `limit_per_s`: observations per second of the greatest load that held, 0
    when none did; `broken_per_s`: of the least that did not, 0 when none broke; `broke`: which
    objectives; `bottleneck`: what held that load back; `why_ended`: limit found, time over, or the
    greatest load there is held too."""

    scenario: Scenario
    seed: int
    version: str
    machine: MachineInfo
    load_before: float
    objectives: list[str]
    step_s: float
    steps: list[LoadStep]
    limit_per_s: float
    broken_per_s: float
    broke: list[str]
    bottleneck: str
    why_ended: str
    took_s: float


def page(result: LimitResult) -> str:
    """The whole file."""
    scenario = result.scenario
    ticks = _load_ticks(max((step.offered for step in result.steps), default=1.0))
    marks = [(result.limit_per_s, "holds")] if result.limit_per_s else []
    parts = sorted({part for step in result.steps for part in step.cpu})
    lines = {
        ("Acked over offered load", "observations per second"): {
            "acked": [(step.offered, step.acked) for step in result.steps],
            "offered": [(step.offered, step.offered) for step in result.steps],
        },
        ("Ack latency from the scheduled time", "ms"): {
            name: [(step.offered, step.figures[f"ack_{name}_s"] * 1e3) for step in result.steps]
            for name in ("p50", "p99")
        },
        ("Processor", "cores"): {
            part: [(step.offered, step.cpu.get(part, 0.0)) for step in result.steps]
            for part in parts
        },
        ("Memory", "MiB"): {
            part: [(step.offered, step.rss.get(part, 0) / 2**20) for step in result.steps]
            for part in parts
        },
    }
    plots = [
        line_plot(title, drawn, unit=unit, ticks=ticks, marks=marks)
        for (title, unit), drawn in lines.items()
    ]
    facts = {
        "Scenario": f"{scenario.name}: {scenario.cameras} cameras, at most {scenario.per_actor} "
        "in an actor process, "
        f"{scenario.objects} objects an observation, {scenario.dashboards} dashboards",
        "Objectives": ", ".join(result.objectives),
        "Each load": f"{result.step_s:g} s",
        "Ended": f"{result.why_ended}, {result.took_s:.0f} s",
        "Seed": result.seed,
        "Eyrie": result.version,
        "Machine": described(result.machine),
        "Load before": result.load_before,
    }
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
        "content='width=device-width'>"
        f"<title>Limit of {escape(scenario.name)} – Eyrie load "
        f"test</title><style>{STYLE}</style><main><h1>{escape(headline(result))}</h1>"
        f"<p>Bottleneck: {escape(result.bottleneck)}</p><div "
        f"class=plots>{''.join(plots)}</div>{_steps(result.steps)}"
        "<section><h2>Search</h2><table>"
        + "".join(
            f"<tr><th scope=row>{name}</th><td>{escape(str(value))}</td></tr>"
            for name, value in facts.items()
        )
        + "</table></section></main></html>"
    )


def headline(result: LimitResult) -> str:
    """One line that says it."""
    if not result.limit_per_s:
        return f"No load held: {', '.join(result.broke) or 'nothing was tried'}"
    fps = result.limit_per_s / result.scenario.cameras
    said = (
        f"{result.limit_per_s:,.0f} observations a second hold ({result.scenario.cameras} "
        f"cameras at {fps:,.1f} a second)"
    )
    return (
        f"{said}; at {result.broken_per_s:,.0f} not: {', '.join(result.broke)}"
        if result.broken_per_s
        else f"{said}; nothing broke"
    )


def _load_ticks(end: float) -> list[tuple[float, str]]:
    top = round_up(end)
    return [(top * share, f"{top * share:,.0f}/s") for share in (0, 0.25, 0.5, 0.75, 1)]


def _steps(steps: Sequence[LoadStep]) -> str:
    head = "".join(
        f"<th scope=col class=n>{word}</th>"
        for word in (
            "Offered /s",
            "Acked /s",
            "p50 ms",
            "p99 ms",
            "Held back",
            "Gaps",
            "Cores",
            "Machine busy",
            "Largest process",
        )
    )
    rows = "".join(
        "<tr>" + "".join(f"<td class=n>{text}</td>" for text in _cells(step)) + "<td "
        f"class={'red' if step.broken else 'green'}>{escape(', '.join(step.broken)) or 'holds'}</td></tr>"  # noqa: E501
        for step in steps
    )
    return (
        f"<section><h2>Loads</h2><table><tr>{head}<th "
        f"scope=col>Objectives</th></tr>{rows}</table></section>"
    )


def _cells(step: LoadStep) -> list[str]:
    figures = step.figures
    return [
        f"{step.offered:,.0f}",
        f"{step.acked:,.0f}",
        f"{figures['ack_p50_s'] * 1e3:,.0f}",
        f"{figures['ack_p99_s'] * 1e3:,.0f}",
        f"{figures['unsent_share']:.1%}",
        f"{figures['gaps']:.0f}",
        f"{figures['cores']:.2f}",
        f"{figures['busy_share']:.0%}",
        f"{figures['largest_process_cores']:.2f}",
    ]
