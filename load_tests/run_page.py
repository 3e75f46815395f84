"""The report of a run: one HTML file that needs nothing else, with plots in inline SVG (pure)."""

from collections.abc import Mapping, Sequence
from html import escape

import msgspec

from load_tests.histogram import Histogram
from load_tests.run_result import Happened, RunResult
from load_tests.verdict import green

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 720, 210, 56, 26, 12, 12
COLOURS = ("#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#475569", "#0891b2")
SHARES = (0.5, 0.9, 0.99, 0.999, 1.0)
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;color:#0f172a;background:#f8fafc;margin:0}
main{max-width:1500px;margin:0 auto;padding:24px}
h1{font-size:24px;margin:0}h2{font-size:15px;margin:0 0 4px}.plots{display:grid;
grid-template-columns:repeat(auto-fit,minmax(440px,1fr));gap:16px}
section{background:#fff;border:1px solid #e2e8f0;border-radius:8px;padding:14px 16px;margin:16px 0;overflow-x:auto}.plots section{margin:0}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:4px 12px 4px 0;border-bottom:1px solid #f1f5f9;vertical-align:top}
svg{width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:#475569}.key{margin-right:14px;white-space:nowrap}
.green{color:#047857;font-weight:600}.red{color:#b91c1c;font-weight:600}.grey{color:#64748b}"""


def page(run: RunResult) -> str:
    """The whole file."""
    times = [second.at_s for second in run.seconds]
    kinds = sorted({kind for second in run.seconds for kind in second.cpu})
    plots = [
        ("Observations per second", {"due": [s.due for s in run.seconds], "acked": [s.acked for s in run.seconds]}),
        (
            "Ack latency from the scheduled time, ms",
            {"p50": [s.p50_s * 1e3 for s in run.seconds], "p99": [s.p99_s * 1e3 for s in run.seconds]},
        ),
        ("Age of what dashboards were shown, p99, ms", {"age": [s.age_p99_s * 1e3 for s in run.seconds]}),
        ("Live dashboards", {"live": [float(s.live) for s in run.seconds]}),
        ("Processor, cores", {kind: [s.cpu.get(kind, 0.0) for s in run.seconds] for kind in kinds}),
        ("Memory, MiB", {kind: [s.rss.get(kind, 0) / 2**20 for s in run.seconds] for kind in kinds}),
    ]
    is_green = green(run.verdict)
    machine = run.machine
    latency = Histogram(run.latency)
    rows = "".join(
        f"<tr><td>{line.invariant}</td><td>{escape(line.means)}</td>"
        f"<td class='{line.status if line.status != 'not checked' else 'grey'}'>{line.status}</td>"
        f"<td>{line.violations or ''}</td><td class=grey>{escape(line.first)}</td></tr>"
        for line in run.verdict
    )
    facts = {
        "Seed": run.seed, "Eyrie": run.version,
        "Machine": f"{machine.cores} cores, {machine.memory_gib} GiB, {machine.processor}, {machine.system}, Python {machine.python}",
        "Load before": run.load_before, "Sent / acked / resent": f"{run.sent:,} / {run.acked:,} / {run.resent:,}",
        "Checked": f"{run.operations:,} operations in {run.check_s:g} s",
        "Scenario": msgspec.json.encode(run.scenario).decode(),
    }  # fmt: skip
    percentiles = "".join(
        f"<tr><td>{'greatest' if share == 1 else f'p{share * 100:g}'}</td><td>{latency.percentile(share) * 1e3:,.1f} ms</td></tr>"
        for share in SHARES
    )
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{escape(run.scenario.name)} – Eyrie load test</title><style>{_STYLE}</style><main>"
        f"<h1>{escape(run.scenario.name)} <span class={'green' if is_green else 'red'}>{'green' if is_green else 'red'}</span></h1>"
        f"<p class=grey>{escape(run.scenario.what)}</p><div class=plots>"
        + "".join(f"<section><h2>{escape(title)}</h2>{plot(times, lines, run.happened)}</section>" for title, lines in plots)
        + f"</div><section><h2>Verdict</h2><table><tr><th>Invariant<th>Means<th>Status<th>Count<th>First</tr>{rows}</table></section>"
        f"<section><h2>Ack latency of the whole run</h2><table>{percentiles}</table></section><section><h2>Run</h2><table>"
        + "".join(f"<tr><td>{name}</td><td>{escape(str(value))}</td></tr>" for name, value in facts.items())
        + "</table></section></main></html>"
    )


def plot(times: Sequence[float], lines: Mapping[str, Sequence[float]], happened: Sequence[Happened]) -> str:
    """Lines over time, with a dashed mark where something was done. `lines`: name → one value for every time."""
    end = max(times, default=1.0) or 1.0
    top = _round_up(max((value for line in lines.values() for value in line), default=0.0))

    def x(at_s: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * at_s / end

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / top

    parts = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        at = y(top * share)
        parts.append(f"<line x1={LEFT} x2={WIDTH - RIGHT} y1={at:.1f} y2={at:.1f} stroke='#e2e8f0'/>")
        parts.append(f"<text x={LEFT - 6} y={at + 4:.1f} text-anchor=end>{top * share:,.4g}</text>")
        anchor = "start" if not share else "end" if share == 1 else "middle"
        parts.append(f"<text x={x(end * share):.1f} y={HEIGHT - 8} text-anchor={anchor}>{end * share:.3g} s</text>")
    for mark in happened:
        parts.append(
            f"<line x1={x(mark.at_s):.1f} x2={x(mark.at_s):.1f} y1={TOP} y2={HEIGHT - BOTTOM} stroke='#94a3b8' stroke-dasharray='4 3'/>"
            f"<text x={x(mark.at_s) + 4:.1f} y={TOP + 10}>{escape(mark.what)}</text>"
        )
    keys = []
    for number, (name, values) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in zip(times, values, strict=True))
        parts.append(f"<polyline points='{points}' fill=none stroke='{colour}' stroke-width=1.8 />")
        keys.append(f"<span class=key><b style='color:{colour}'>━</b> {escape(name)}</span>")
    return f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' role=img>{''.join(parts)}</svg><div>{''.join(keys)}</div>"


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 5, 8 or 10 times a power of ten; 1 for nothing."""
    if value <= 0:
        return 1.0
    power = 10.0 ** (len(f"{int(value)}") - 1) if value >= 1 else 0.1 if value >= 0.1 else 0.01
    return next((power * step for step in (1, 2, 4, 5, 8, 10) if power * step >= value), value)
