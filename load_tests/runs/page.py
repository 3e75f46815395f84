"""The report of a run: one HTML file that needs nothing else, with plots in inline SVG (pure)."""

import math
from collections.abc import Sequence
from html import escape

import msgspec

from load_tests.checker.verdict import InvariantVerdict, green
from load_tests.faults.times import FaultTimes
from load_tests.harness.environment import described
from load_tests.harness.histogram import Histogram
from load_tests.harness.plots import STYLE, Points, line_plot, time_ticks
from load_tests.runs.growth import Slope
from load_tests.runs.result import RunResult, Second

SHARES = (0.5, 0.9, 0.99, 0.999, 1.0)
CURVE_STEPS = 60  # points of the percentile curve
MOST_NINES = 5.0  # of the percentile curve, at most


def page(run: RunResult) -> str:
    """The whole file."""
    is_green = green(run.verdict)
    word = "green" if is_green else "red"
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
        "content='width=device-width'>"
        f"<title>{escape(run.scenario.name)} {word} – Eyrie load "
        f"test</title><style>{STYLE}</style><main>"
        f"<h1>{escape(run.scenario.name)} <span class={word}>{word}</span></h1><p "
        f"class=grey>{escape(run.scenario.what)}</p>"
        f"<p>{_sentence(run)}</p>{_verdict(run.verdict)}<div "
        f"class=plots>{''.join(_plots(run))}</div>"
        f"{_percentiles(Histogram(run.latency))}{_faults(run.faults)}{_growth(run.growth)}{_done(run)}{_facts(run)}</main></html>"
    )


def _sentence(run: RunResult) -> str:
    latency, scenario = Histogram(run.latency), run.scenario
    return (
        f"{scenario.cameras:,} cameras, {scenario.dashboards:,} dashboards, "
        f"{scenario.duration_s:g} s: {run.sent:,} observations sent, "
        f"{run.acked:,} acked, {run.resent:,} sent again; ack p50 "
        f"{latency.percentile(0.5) * 1e3:,.0f} ms, "
        f"p99 {latency.percentile(0.99) * 1e3:,.0f} ms; seed {run.seed}"
    )


def _plots(run: RunResult) -> list[str]:
    seconds = run.seconds
    ticks = time_ticks(max((second.at_s for second in seconds), default=1.0) or 1.0)
    marks = [(one.at_s, one.what) for one in run.happened]
    kinds = sorted({kind for second in seconds for kind in second.cpu})

    def over_time(title: str, unit: str, lines: dict[str, Points]) -> str:
        return line_plot(title, lines, unit=unit, ticks=ticks, marks=marks)

    def of(*names: str, scale: float = 1.0) -> dict[str, Points]:
        return {
            name.removesuffix("_s"): [
                (second.at_s, getattr(second, name) * scale) for second in seconds
            ]
            for name in names
        }

    return [
        over_time("Ack latency from the scheduled time", "ms", of("p50_s", "p99_s", scale=1e3)),
        _curve(Histogram(run.latency)),
        over_time("Observations per second", "", of("due", "sent", "acked")),
        over_time(
            "Queue ages",
            "ms",
            {
                "oldest without an ack": _series(seconds, "oldest_s"),
                "shown to dashboards, p99": _series(seconds, "age_p99_s"),
                "held for a slow dashboard": _series(seconds, "queue_age_s"),
            },
        ),
        over_time(
            "Held back at the devices",
            "observations",
            {"held back": [(second.at_s, float(second.waiting)) for second in seconds]},
        ),
        over_time("Credits that the devices have", "observations", of("credits")),
        over_time(
            "Processor",
            "cores",
            {
                kind: [(second.at_s, second.cpu.get(kind, 0.0)) for second in seconds]
                for kind in kinds
            },
        ),
        over_time(
            "Memory",
            "MiB",
            {
                kind: [(second.at_s, second.rss.get(kind, 0) / 2**20) for second in seconds]
                for kind in kinds
            },
        ),
        over_time("Dashboards", "", of("live", "gaps")),
        over_time("Events delivered per second", "", of("events")),
    ]


def _series(seconds: Sequence[Second], name: str) -> Points:
    return [(second.at_s, getattr(second, name) * 1e3) for second in seconds]


def _curve(latency: Histogram) -> str:
    """Latency by percentile; the axis counts nines, as the tail is what matters."""
    total = latency.total()
    nines = min(MOST_NINES, math.log10(total)) if total > 10 else 1.0
    points = [
        (
            nines * step / CURVE_STEPS,
            latency.percentile(1 - 10 ** -(nines * step / CURVE_STEPS)) * 1e3,
        )
        for step in range(CURVE_STEPS + 1)
    ]
    words = [
        (0.0, "0"),
        (math.log10(2), "p50"),
        (1.0, "p90"),
        (2.0, "p99"),
        (3.0, "p99.9"),
        (4.0, "p99.99"),
        (5.0, "p99.999"),
    ]
    ticks = [(at, word) for at, word in words if at < nines * 0.97]
    return line_plot(
        "Ack latency by percentile",
        {"ack": points},
        unit="ms",
        ticks=[*ticks, (nines, f"p{100 * (1 - 10**-nines):.6g}")],
    )


def _verdict(lines: Sequence[InvariantVerdict]) -> str:
    rows = "".join(
        f"<tr><th scope=row>{escape(line.invariant)}</th><td>{escape(line.means)}</td>"
        "<td class='nowrap "
        f"{line.status if line.status != 'not checked' else 'grey'}'>{line.status}</td>"
        "<td "
        f"class=n>{line.violations or ''}</td><td>{escape(line.first)}{_excerpt(line)}</td></tr>"
        for line in lines
    )
    head = (
        "<tr><th scope=col>Invariant<th scope=col>Means<th scope=col>Status<th scope=col "
        "class=n>Count<th scope=col>First</tr>"
    )
    return f"<section><h2>Verdict</h2><table>{head}{rows}</table></section>"


def _excerpt(line: InvariantVerdict) -> str:
    return f"<pre>{escape(chr(10).join(line.excerpt))}</pre>" if line.excerpt else ""


def _percentiles(latency: Histogram) -> str:
    rows = "".join(
        f"<tr><th scope=row>{name}</th><td class=n>{latency.percentile(share) * 1e3:,.1f}</td></tr>"
        for share, name in (
            (share, "greatest" if share == 1 else f"p{share * 100:g}") for share in SHARES
        )
    )
    return (
        "<section><h2>Ack latency of the whole run, ms</h2><table "
        f"class=narrow>{rows}</table></section>"
    )


def _faults(found: Sequence[FaultTimes]) -> str:
    if not found:
        return ""
    heads = (
        "",
        "lasted",
        "noticed",
        "healed",
        "process back",
        "longest without an ack",
        "what dashboards said",
        "proof",
    )
    head = "".join(f"<th scope=col>{name}</th>" for name in heads)
    rows = "".join(
        "<tr><th "
        f"scope=row>{escape(one.name)}</th>{''.join(f'<td class=n>{_seconds(value)}</td>' for value in _times(one))}"  # noqa: E501
        f"<td>{escape(', '.join(one.told))}</td><td>{escape(one.proof)}</td></tr>"
        for one in found
    )
    return f"<section><h2>Faults</h2><table><tr>{head}</tr>{rows}</table></section>"


def _times(one: FaultTimes) -> tuple[float | None, ...]:
    return one.lasted_s, one.noticed_s, one.healed_s, one.back_s, one.acks_missing_s


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f} s"


def _growth(found: Sequence[Slope]) -> str:
    if not found:
        return ""
    heads = ("", "from", "to", "highest", "an hour", "allowed", "")
    head = "".join(f"<th scope=col>{name}</th>" for name in heads)
    rows = "".join(
        f"<tr><th scope=row>{escape(one.name)} ({one.unit})</th><td "
        f"class=n>{one.first:,.0f}</td><td class=n>{one.last:,.0f}</td>"
        f"<td class=n>{one.highest:,.0f}</td><td class=n>{one.per_hour:+,.0f}</td>"
        f"<td class=n>{f'highest {one.most:,.0f}' if one.most else f'{one.allowed:,.0f}'}</td>"
        f"<td class={'green' if one.flat else 'red'}>{'flat' if one.flat else 'grows'}</td></tr>"
        for one in found
    )
    return (
        "<section><h2>Growth after the first "
        f"third</h2><table><tr>{head}</tr>{rows}</table></section>"
    )


def _done(run: RunResult) -> str:
    if not run.happened:
        return ""
    rows = "".join(
        f"<tr><td class=n>{one.at_s:,.1f} s</td><td>{escape(one.what)}</td></tr>"
        for one in run.happened
    )
    return f"<section><h2>What was done</h2><table class=narrow>{rows}</table></section>"


def _facts(run: RunResult) -> str:
    settings = {
        f"scenario.{name}": value
        for name, value in msgspec.to_builtins(run.scenario).items()
        if name not in ("name", "what")
    }
    facts = {
        "Seed": run.seed,
        "Eyrie": run.version,
        "Machine": described(run.machine),
        "Load before": run.load_before,
        "Checked": f"{run.operations:,} operations in {run.check_s:g} s",
        **{name: version for name, version in run.versions.items()},
        **settings,
    }
    rows = "".join(
        f"<tr><th scope=row>{escape(name)}</th><td><code>{escape(str(value))}</code></td></tr>"
        for name, value in facts.items()
    )
    notes = "".join(f"<p>{escape(note)}</p>" for note in run.notes)
    return f"<section><h2>Run</h2>{notes}<table>{rows}</table></section>"
