"""The console on the whole stack, in a real browser: what a new user sees after `make up`
(screenshots in tests/output)."""

import re
from collections.abc import Iterator
from typing import Protocol

import pytest
from playwright.sync_api import Page, expect

from tests.support.servers.browser import chromium_path, open_page, painted, screenshot, until

pytestmark = [pytest.mark.browser, pytest.mark.ray]
CAMERAS = 8  # of the built-in simulated site


class Stack(Protocol):
    """What the fixture `stack` gives: the console's address and a token for it."""

    @property
    def url(self) -> str: ...

    @property
    def token(self) -> str: ...


@pytest.fixture
def page(stack: Stack) -> Iterator[Page]:
    """The console, signed in. What the page complains of in its log fails the test."""
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium: set CHROMIUM_BINARY or put chromium on the PATH")
    with open_page(path) as (page, errors):
        page.goto(f"{stack.url.rstrip('/')}/#token={stack.token}")
        yield page
        assert errors == []


def test_the_wall_is_live(page: Page) -> None:
    expect(page.locator(".connection")).to_have_text("Live")
    expect(page.locator(".tile")).to_have_count(CAMERAS, timeout=60_000)
    expect(page.locator(".tile[data-status=online]")).to_have_count(CAMERAS, timeout=60_000)
    expect(page.locator(".tally [data-status=online] b")).to_have_text(str(CAMERAS))
    assert "token" not in page.url
    expect(page.locator(".tile .chips li").first).to_have_text(re.compile(r"^\w+ \d+$"))
    counts = page.locator(".wall .chips, .wall .facts")
    start = counts.all_inner_texts()
    assert until(page, lambda: counts.all_inner_texts() != start), (
        "no count changed on any tile within 20 s"
    )
    expect(page.locator(".last-event .event-type", has_text=".").first).to_be_visible(
        timeout=60_000
    )
    screenshot(page, "console-wall")


def test_one_camera_shows_its_boxes_and_events(page: Page) -> None:
    tile = page.locator(".tile[data-status=online]").first
    expect(tile).to_be_visible(timeout=60_000)
    camera = tile.get_attribute("data-camera") or ""
    tile.click()
    expect(page.locator("main.camera h1")).to_contain_text(camera)
    expect(page.locator("main.camera .pill")).to_have_text("Online")
    expect(page.locator("canvas.scene")).to_have_attribute(
        "data-tracks", re.compile(r"^[1-9]"), timeout=60_000
    )
    expect(page.locator("main.camera table").first).to_be_visible()
    assert painted(page) > 1000
    expect(page.locator(".events li .event-type").first).to_have_text(
        re.compile(r"^[a-z]+\.[a-z.]+$"), timeout=90_000
    )
    screenshot(page, "console-camera")
    page.keyboard.press("Escape")
    expect(page.locator(".tile").first).to_be_visible()


def test_a_token_that_is_none_is_refused_with_a_reason(stack: Stack) -> None:
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium: set CHROMIUM_BINARY or put chromium on the PATH")
    with open_page(path) as (page, _):
        page.goto(f"{stack.url.rstrip('/')}/#token=not-a-token")
        expect(page.get_by_role("alert")).to_contain_text("did not accept the token")
        screenshot(page, "console-refused")
