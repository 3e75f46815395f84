"""What the console owes its reader whatever the hub does: live tiles, a live picture, nothing stale
in silence, no code from labels."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.hub.fake_console_hub import HOSTILE, TOKEN, FakeConsoleHub
from tests.support.servers.browser import painted, screenshot

pytestmark = pytest.mark.browser
Opened = tuple[Page, list[str]]


def test_the_wall_shows_every_camera_and_changes(hub: FakeConsoleHub, opened: Opened) -> None:
    page, errors = opened
    hub.statuses = {"cam-3": ("stale", "edge_silent"), "cam-6": ("offline", "edge_gone")}
    page.goto(f"{hub.url}#token={TOKEN}")
    expect(page.locator(".tile")).to_have_count(8)
    assert "token" not in page.url
    expect(page.locator("[data-camera=cam-1] .pill")).to_have_text("Online")
    expect(page.locator("[data-camera=cam-3] .pill")).to_have_text("Stale")
    expect(page.locator("[data-camera=cam-6] .pill")).to_have_text("Offline")
    expect(page.locator("[data-camera=cam-6] .age")).to_contain_text("edge gone")
    expect(page.locator(".tally [data-status=online] b")).to_have_text("6")
    expect(page.locator("[data-camera=cam-1] .chips")).to_contain_text("person 1")
    expect(page.locator("[data-camera=cam-1] h3")).to_have_text("North gate")
    expect(page.locator("[data-camera=cam-4] h3")).to_have_text("cam-4")
    gate = page.locator("[data-camera=cam-1] .facts b").last
    before = gate.inner_text()
    expect(gate).not_to_have_text(before)
    expect(page.locator("[data-camera=cam-2] .last-event")).to_contain_text(
        re.compile("zone.entered|line.crossed")
    )
    screenshot(page, "console-wall-fake")
    assert errors == []


def test_attack_10_a_link_replaces_no_session_without_being_told_to(
    hub: FakeConsoleHub, opened: Opened
) -> None:
    page, errors = opened
    page.goto(f"{hub.url}#token={TOKEN}")
    expect(page.locator(".tile")).to_have_count(8)
    for brought in ("token=another.token.of-somebody", f"code={'A' * 43}"):
        page.goto(f"{hub.url}#{brought}")
        expect(page.get_by_role("alert")).to_contain_text("maybe as somebody else")
        assert page.evaluate("Object.values(sessionStorage)") == [TOKEN]
        assert brought not in page.url
        page.get_by_role("button", name="Keep my session").click()
        expect(page.locator(".tile")).to_have_count(8)
    page.goto(f"{hub.url}#token={TOKEN}&camera=cam-1")  # whose it is already
    expect(page.locator("main.camera h1")).to_contain_text("cam-1")
    assert errors == []


def test_a_camera_is_drawn_and_its_events_come_in(hub: FakeConsoleHub, opened: Opened) -> None:
    page, errors = opened
    page.goto(f"{hub.url}#token={TOKEN}")
    page.locator("[data-camera=cam-2]").click()
    expect(page.locator("main.camera h1")).to_have_text("Ramp · cam-2")
    expect(page.locator("canvas.scene")).to_have_attribute("data-tracks", "3")
    expect(page.locator(".events li").nth(2)).to_be_visible()
    assert painted(page) > 2000
    newest = page.locator(".events li").first.get_attribute("data-event")
    expect(page.locator(".events li").first).not_to_have_attribute("data-event", newest or "")
    expect(page.locator("main.camera table").first).to_contain_text("entrance")
    screenshot(page, "console-camera-fake")
    page.keyboard.press("Escape")
    expect(page.locator(".tile").first).to_be_visible()
    expect(page.locator("[data-camera=cam-2].tile")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.locator("[data-camera=cam-3]")).to_be_focused()
    assert errors == []


def test_check_19_a_label_is_text_and_never_code(hub: FakeConsoleHub, opened: Opened) -> None:
    page, errors = opened
    page.goto(f"{hub.url}#token={TOKEN}")
    expect(page.locator("[data-camera=cam-8] .chips")).to_contain_text(HOSTILE)
    page.locator("[data-camera=cam-8]").click()
    expect(page.locator("aside")).to_contain_text(HOSTILE)
    expect(page.locator(".events li", has_text="onerror").first).to_be_visible()
    assert page.locator("#app img, #app b b, script:not([src])").count() == 0
    assert page.title() == "cam-8 · Eyrie"
    screenshot(page, "console-hostile-label")
    assert errors == []


def test_a_lost_connection_is_said_and_mended(hub: FakeConsoleHub, opened: Opened) -> None:
    page, _ = opened
    page.goto(f"{hub.url}#token={TOKEN}&camera=cam-1")
    expect(page.locator("#app")).to_have_attribute("data-connection", "connected")
    expect(page.locator("canvas.scene")).to_have_attribute("data-tracks", "2")
    hub.drop_all()
    expect(page.locator(".banner")).to_contain_text("No connection")
    expect(page.locator(".veil")).to_contain_text("No connection to Eyrie")
    expect(page.locator("main.camera .pill")).to_have_text("Unknown")
    screenshot(page, "console-lost")
    hub.refusing = False
    expect(page.locator(".banner")).to_be_hidden()
    expect(page.locator(".veil")).to_have_text("")


def test_a_silent_hub_is_noticed_by_the_page(hub: FakeConsoleHub, opened: Opened) -> None:
    page, _ = opened
    page.clock.install()
    page.goto(f"{hub.url}#token={TOKEN}")
    expect(page.locator("[data-camera=cam-1] .pill")).to_have_text("Online")
    hub.mute = True
    page.clock.fast_forward(15_000)
    expect(page.locator("[data-camera=cam-1] .pill")).to_have_text("No news")


def test_without_a_token_the_page_asks_for_one(hub: FakeConsoleHub, opened: Opened) -> None:
    page, _ = opened
    page.goto(hub.url)
    expect(page.get_by_role("alert")).to_contain_text("Sign in to see")
    screenshot(page, "console-sign-in")
    page.get_by_label("Token").fill("a bad one")
    page.get_by_role("button", name="Connect").click()
    expect(page.get_by_role("alert")).to_contain_text("invalid token")
    page.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".tile")).to_have_count(8)
    page.reload()
    expect(page.locator(".tile")).to_have_count(8)


def test_the_filter_finds_a_camera_by_keyboard(hub: FakeConsoleHub, opened: Opened) -> None:
    page, _ = opened
    page.goto(f"{hub.url}#token={TOKEN}")
    expect(page.locator(".tile")).to_have_count(8)
    page.keyboard.press("/")
    page.keyboard.type("ramp")
    expect(page.locator(".tile:visible")).to_have_count(1)
    page.locator("input[type=search]").fill("yard")
    expect(page.locator(".tile:visible")).to_have_count(3)
    expect(page.locator("section:visible h2")).to_have_text(["yard"])
