"""The report of a load test in a real browser: nothing fetched, nothing wider than the screen,
legible on light and dark ones."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from load_tests.runs.page import page as report
from tests.support.servers.browser import screenshot
from tests.unit.load_tests.runs.test_result import run

pytestmark = pytest.mark.browser

CONTRAST = 4.5  # WCAG 2.2, 1.4.3, for text of this size
RATIO = """() => {
  const channel = value => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = colour => { const [r, g, b] = colour.match(/\\d+/g).map(Number);
    return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b); };
  const paper = getComputedStyle(document.querySelector('section')).backgroundColor;
  return [...document.querySelectorAll('h2, td, th, summary, .green, svg text, .grey')].map(element => {
    const style = getComputedStyle(element);
    const [one, two] = [element instanceof SVGElement ? style.fill : style.color, paper].map(light).sort((a, b) => b - a);
    return (one + 0.05) / (two + 0.05);
  }).reduce((least, ratio) => Math.min(least, ratio), 99);
}"""  # noqa: E501


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_a_report_is_whole_and_legible(
    opened: tuple[Page, list[str]], tmp_path: Path, scheme: str, width: int
) -> None:
    page, errors = opened
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    path = tmp_path / "report.html"
    path.write_text(report(run()), encoding="utf-8")
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(path.as_uri())
    expect(page.get_by_role("heading", name="steady")).to_be_visible()
    expect(
        page.get_by_role("img", name="Ack latency from the scheduled time, ms: p50 up to")
    ).to_be_visible()
    page.get_by_text("Figures", exact=True).first.click()
    expect(page.get_by_role("columnheader", name="median").first).to_be_visible()
    screenshot(page, f"load-report-{scheme}-{width}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(RATIO) >= CONTRAST
    assert asked == [path.as_uri()]
    assert errors == []
