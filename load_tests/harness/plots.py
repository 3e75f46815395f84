"""Line plots as inline SVG, for pages that need nothing else (pure).

Colours are CSS variables (:data:`STYLE`), so a page follows its reader's light or dark scheme;
every line has a dash pattern of its own besides its colour, and under every plot its figures stand
as a table.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from html import escape

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 580, 220, 52, 26, 26, 16
MARK_ROWS = 3  # heights at which the words of marks stand in turn
_DASHES = ("", "7 3", "2 3", "10 3 2 3", "5 5", "1 4", "12 4")
_STEPS = (1, 2, 4, 5, 8, 10)  # of a power of ten, at which a scale may end

STYLE = """:root{color-scheme:light dark;--ink:#0f172a;--soft:#526077;--paper:#f8fafc;--card:#fff;--rule:#dbe2ea;
--good:#04714f;--bad:#b91c1c;--l0:#1d4ed8;--l1:#c2410c;--l2:#047857;--l3:#7e22ce;--l4:#4d7c0f;--l5:#475569;--l6:#0e7490}
@media(prefers-color-scheme:dark){:root{--ink:#e8edf4;--soft:#a3b1c4;--paper:#0d131c;--card:#151d29;--rule:#2c394a;
--good:#4ade80;--bad:#fb8a8a;--l0:#7db0ff;--l1:#ff9d6b;--l2:#4ade9f;--l3:#cfa3ff;--l4:#c5e478;--l5:#a9b7c9;--l6:#5cd5ec}}
*{box-sizing:border-box}body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:0}
main{max-width:1500px;margin:0 auto;padding:24px}h1{font-size:24px;line-height:1.25;margin:0 0 4px}h2{font-size:16px;margin:0 0 6px}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(480px,100%),1fr));gap:16px}
section{background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:14px 16px;margin:16px 0;overflow-x:auto;min-width:0}
.plots section{margin:0}table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:4px 12px 4px 0;border-bottom:1px solid var(--rule);vertical-align:top}
td.n,th.n{text-align:right}.narrow{width:auto}
.nowrap{white-space:nowrap}
svg{width:100%;height:auto;display:block}svg text{font:12px system-ui,sans-serif;fill:var(--soft)}svg .grid{stroke:var(--rule)}
svg .mark{stroke:var(--soft);stroke-dasharray:4 3}svg .mark-word{fill:var(--ink)}svg polyline,svg path{fill:none;stroke-width:2}
.key{margin-right:16px;white-space:nowrap;display:inline-block}.key svg{width:30px;height:10px;display:inline-block;vertical-align:middle}
details{margin-top:6px}summary{cursor:pointer;color:var(--soft)}code{overflow-wrap:anywhere}pre{overflow-x:auto;margin:4px 0}
.green{color:var(--good);font-weight:600}.red{color:var(--bad);font-weight:600}.grey{color:var(--soft)}
@media(max-width:600px){main{padding:12px}svg text{font-size:19px}}
""" + "".join(f".l{number}{{stroke:var(--l{number})}}" for number in range(7))  # noqa: E501


def line_plot(
    title: str,
    lines: Mapping[str, Points],
    *,
    unit: str = "",
    ticks: Sequence[tuple[float, str]],
    marks: Sequence[tuple[float, str]] = (),
) -> str:
    """A section with a plot. `lines`: name → (x, y), x from 0 up; `ticks`: (x, word) on the x axis,
    the last of them its end; `marks`: (x, what was done there)."""
    end = ticks[-1][0] or 1.0
    drawn = {
        name: [(at, value) for at, value in points if math.isfinite(value)]
        for name, points in lines.items()
    }
    top = round_up(max((value for points in drawn.values() for _, value in points), default=0.0))

    def x(at: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * at / end

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / top

    parts = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        at = y(top * share)
        parts.append(f"<line class=grid x1={LEFT} x2={WIDTH - RIGHT} y1={at:.1f} y2={at:.1f} />")
        parts.append(
            f"<text x={LEFT - 6} y={at + 4:.1f} text-anchor=end>{_short(top * share)}</text>"
        )
    for at, word in ticks:
        anchor = "start" if not at else "end" if at == end else "middle"
        parts.append(
            f"<text x={x(at):.1f} y={HEIGHT - 8} text-anchor={anchor}>{escape(word)}</text>"
        )
    for number, (at, word) in enumerate(marks):
        right = x(at) > WIDTH * 0.75
        anchor, shift = ("end", -4) if right else ("start", 4)
        height = TOP - 4 + 13 * (number % MARK_ROWS)
        parts.append(
            f"<line class=mark x1={x(at):.1f} x2={x(at):.1f} y1={TOP - 14} y2={HEIGHT - BOTTOM} />"
            f"<text class=mark-word x={x(at) + shift:.1f} y={height} "
            f"text-anchor={anchor}>{escape(word)}</text>"
        )
    keys = []
    for number, (name, points) in enumerate(drawn.items()):
        dash = (
            f" stroke-dasharray='{_DASHES[number % len(_DASHES)]}'"
            if _DASHES[number % len(_DASHES)]
            else ""
        )
        where = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in points)
        parts.append(f"<polyline class=l{number % 7} points='{where}'{dash} />")
        keys.append(
            "<span class=key><svg viewBox='0 0 30 10' aria-hidden=true><path "
            f"class=l{number % 7} d='M0 5H30'{dash} /></svg> "
            f"{escape(name)}</span>"
        )
    heading = f"{escape(title)}{f', {escape(unit)}' if unit else ''}"
    return (
        f"<section><h2>{heading}</h2><svg viewBox='0 0 {WIDTH} {HEIGHT}' role=img "
        f"aria-label='{heading}: {_spoken(drawn)}'>{''.join(parts)}"
        f"</svg><div>{''.join(keys)}</div>{_figures(drawn)}</section>"
    )


def time_ticks(end_s: float) -> list[tuple[float, str]]:
    """Five ticks of a time axis."""
    return [(end_s * share, f"{end_s * share:.3g} s") for share in (0, 0.25, 0.5, 0.75, 1)]


def round_up(value: float) -> float:
    """The next of 1, 2, 4, 5, 8 or 10 times a power of ten; 1 for nothing."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next((power * step for step in _STEPS if power * step >= value), value)


def _short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            return f"{value / (1e3 if letter == 'k' else size):,.4g}{letter}"
    return f"{value:,.4g}"


def _spoken(lines: Mapping[str, Points]) -> str:
    said = [
        f"{name} up to {max(value for _, value in points):.4g}"
        for name, points in lines.items()
        if points
    ]
    return escape("; ".join(said) or "nothing", quote=True).replace("'", "&#39;")


def _figures(lines: Mapping[str, Points]) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td>"
        + "".join(
            f"<td class=n>{figure:,.4g}</td>"
            for figure in (min(values), statistics.median(values), max(values), values[-1])
        )
        + "</tr>"
        for name, values in (
            (name, [value for _, value in points]) for name, points in lines.items()
        )
        if values
    )
    head = "<tr><th scope=col>Line</th>" + "".join(
        f"<th scope=col class=n>{word}</th>" for word in ("least", "median", "greatest", "last")
    )
    return (
        f"<details><summary>Figures</summary><table>{head}</tr>{rows}</table></details>"
        if rows
        else "<p class=grey>nothing</p>"
    )
