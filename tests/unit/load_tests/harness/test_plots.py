"""Plots as text: scales, escaping, figures in words for those who cannot see them."""

import re
from xml.etree import ElementTree

import pytest

from load_tests.harness.plots import HEIGHT, WIDTH, line_plot, round_up, time_ticks

LINES = {"a <b>": [(0.0, 1.0), (5.0, 3.0), (10.0, 2.0)], "c": [(0.0, 0.0), (10.0, float("inf"))]}


@pytest.mark.parametrize(
    ("value", "top"),
    [(0, 1), (0.03, 0.04), (0.7, 0.8), (1, 1), (3, 4), (99, 100), (101, 200), (4_100, 5_000)],
)
def test_a_scale_ends_at_a_round_number_above(value: float, top: float) -> None:
    assert round_up(value) == pytest.approx(top)


def test_a_plot_is_well_formed_stays_inside_and_escapes_names() -> None:
    html = line_plot(
        "Title & more",
        LINES,
        unit="ms",
        ticks=time_ticks(10.0),
        marks=[(1.0, "storm's <end>"), (9.9, "late")],
    )
    assert "<b>" not in html
    assert "<end>" not in html
    drawing = html[html.index("<svg viewBox='0 0 580") : html.index("</svg>") + 6]
    quoted = re.sub(r"=([^'\s>/]+)", r"='\1'", re.sub(r"aria-label='[^']*'", "", drawing))
    svg = ElementTree.fromstring(quoted)
    assert [line.get("points", "").count(",") for line in svg.iter("polyline")] == [
        3,
        1,
    ]  # what is not finite is left out
    for line in svg.iter("polyline"):
        for x, y in (point.split(",") for point in line.get("points", "").split()):
            assert 0 <= float(x) <= WIDTH
            assert 0 <= float(y) <= HEIGHT


def test_the_figures_stand_below_as_a_table_and_in_the_label() -> None:
    html = line_plot("Latency", LINES, ticks=time_ticks(10.0))
    assert "a &lt;b&gt; up to 3" in html
    assert "<td class=n>1</td><td class=n>2</td><td class=n>3</td><td class=n>2</td>" in html
    assert "nothing" in line_plot("Empty", {"none": []}, ticks=time_ticks(1.0))
