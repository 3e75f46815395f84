"""A real Chromium for tests that need one: the machine's own, by path."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

OUTPUT = Path(__file__).resolve().parents[2] / "output"
SIZE: ViewportSize = {"width": 1440, "height": 900}
# Without these, Chromium talks to its maker's services, which no test wants and a closed network
# refuses.
FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


def chromium_path() -> str | None:
    """``CHROMIUM_BINARY``, or chromium on the PATH."""
    named = os.environ.get("CHROMIUM_BINARY")
    return (
        named
        or shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )


@contextmanager
def open_browser(path: str) -> Iterator[Browser]:
    """A Chromium without pages."""
    flags = [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def fresh_page(browser: Browser) -> Iterator[tuple[Page, list[str]]]:
    """A page that knows nothing of others, and the list that fills with its console errors and
    uncaught exceptions."""
    context = browser.new_context(viewport=SIZE)
    try:
        page = context.new_page()
        page.set_default_timeout(15_000)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda message: errors.append(message.text) if message.type == "error" else None,
        )
        yield page, errors
    finally:
        context.close()


@contextmanager
def open_page(path: str) -> Iterator[tuple[Page, list[str]]]:
    """The same in a Chromium of its own."""
    with open_browser(path) as browser, fresh_page(browser) as opened:
        yield opened


def screenshot(page: Page, name: str) -> Path:
    """Keep what the page shows now as ``tests/output/<name>.png``."""
    OUTPUT.mkdir(exist_ok=True)
    path = OUTPUT / f"{name}.png"
    page.screenshot(path=path)
    return path


def painted(page: Page) -> int:
    """How many pixels of the canvas are not empty."""
    return int(
        page.evaluate(
            """() => { const canvas = document.querySelector('canvas.scene');
            const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
            let painted = 0; for (let at = 3; at < data.length; at += 4) if (data[at] > 40) painted += 1; return painted; }"""  # noqa: E501
        )
    )


def until(page: Page, condition: Callable[[], bool], *, within_s: float = 20.0) -> bool:
    """Whether `condition()` comes true in time, the page going on meanwhile (for what `expect` has
    no words for)."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        page.wait_for_timeout(50)
    return True
