"""Attack 13: who is limited to a site, or to cameras, uses the console in a real Chromium, which is
told nothing of others."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, Response, WebSocket, expect

from hub.static_files import FOLDER
from tests.support.hub.api_fuzz import in_thread
from tests.support.hub.hub import TestHub
from tests.support.hub.two_sites import CAMERAS, two_sites
from tests.support.servers.browser import (
    chromium_path,
    fresh_page,
    open_browser,
    painted,
    screenshot,
    until,
)

pytestmark = pytest.mark.browser
OTHERS = re.compile("dock|ramp|south", re.IGNORECASE)
# Who signs in → the limits of their token, and the cameras of their wall. Every one of them may see
# less than all.
LIMITED: dict[str, tuple[dict[str, Any], set[str]]] = {
    "viewer of a site": ({"roles": ["viewer"], "sites": ["north"]}, {"gate", "yard"}),
    "operator of a site": ({"roles": ["operator"], "sites": ["north"]}, {"gate", "yard"}),
    "admin of a site": ({"roles": ["admin"], "sites": ["north"]}, {"gate", "yard"}),
    "guest of a site": ({"roles": ["guest"], "sites": ["north"]}, {"gate", "yard"}),
    "viewer of a camera of a site": (
        {"roles": ["viewer"], "sites": ["north"], "cameras": ["gate"]},
        {"gate"},
    ),
    "viewer of a camera": ({"roles": ["viewer"], "sites": [], "cameras": ["gate"]}, {"gate"}),
}
# Who has nothing to see there → what they are told.
NOWHERE: dict[str, tuple[dict[str, Any], str]] = {
    "viewer of no site": ({"roles": ["viewer"], "sites": []}, "no camera that this token may show"),
    "viewer of a site that is not there": (
        {"roles": ["viewer"], "sites": ["west"]},
        "no camera that this token may show",
    ),
    "guest of a camera": (
        {"roles": ["guest"], "sites": [], "cameras": ["gate"]},
        "opens as #camera=",
    ),
    "auditor": ({"roles": ["auditor"]}, "none of its roles may look at cameras"),
    "nobody": ({"roles": []}, "none of its roles may look at cameras"),
    "device": (
        {"typ": "edge", "roles": ["edge"], "sites": ["north"], "cameras": ["gate"]},
        "did not accept the token",
    ),
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestHub]:
    if not (FOLDER / "index.html").is_file():
        pytest.skip("the console is not built: make console")
    with in_thread(lambda: two_sites(tmp_path_factory.mktemp("hub"))) as running:
        yield running


@dataclass
class Visit:
    """A page, what it complained of, and all that reached it by sockets and by reads."""

    page: Page
    errors: list[str]
    frames: list[str] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)

    def listen(self) -> None:
        """From now on."""
        self.page.on("websocket", self._socket)
        self.page.on("response", lambda answer: self.answers.append(answer))

    def received(self) -> str:
        """All until now, but the files of the console."""
        return "".join(self.frames) + "".join(
            answer.text() for answer in self.answers if "/v1/" in answer.url
        )

    def _socket(self, socket: WebSocket) -> None:
        socket.on(
            "framereceived",
            lambda frame: self.frames.append(
                frame if isinstance(frame, str) else frame.decode(errors="replace")
            ),
        )


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium: set CHROMIUM_BINARY or put chromium on the PATH")
    with open_browser(path) as browser:
        yield browser


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    with fresh_page(chromium) as (page, errors):
        made = Visit(page, errors)
        made.listen()
        yield made


def sign_in(visit: Visit, hub: TestHub, limits: dict[str, Any]) -> None:
    """By the form, as a person does with a token that `eyrie token` printed."""
    visit.page.goto(f"http://127.0.0.1:{hub.port}/")
    visit.page.get_by_label("Token").fill(hub.token("anna", **limits))
    visit.page.get_by_role("button", name="Connect").click()


def name_of(who: str, what: str) -> str:
    return f"attack-13-{who.replace(' ', '-')}-{what}"


@pytest.mark.parametrize("who", LIMITED)
def test_attack_13_a_limited_user_sees_their_cameras_and_no_word_of_others(
    hub: TestHub, visit: Visit, who: str
) -> None:
    limits, cameras = LIMITED[who]
    page = visit.page
    sign_in(visit, hub, limits)
    expect(page.locator(".tile[data-status=online]")).to_have_count(len(cameras))
    assert {tile.get_attribute("data-camera") for tile in page.locator(".tile").all()} == cameras
    expect(page.locator(".tally [data-status=online] b")).to_have_text(str(len(cameras)))
    expect(page.locator("main.wall .note")).to_be_empty()
    expect(page.locator("[data-camera=gate] h3")).to_have_text("GATE")
    screenshot(page, name_of(who, "wall"))

    page.locator("[data-camera=gate]").click()
    expect(page.locator("main.camera .pill")).to_have_text("Online")
    expect(page.locator("canvas.scene")).to_have_attribute("data-tracks", "1")
    expect(page.locator("main.camera h1")).to_have_text("GATE · gate")
    if "guest" in limits["roles"]:
        expect(page.locator(".events-panel .note")).to_contain_text(
            "Events from before are not yours to see"
        )
    else:
        expect(page.locator(".events li")).to_have_count(1)
    screenshot(page, name_of(who, "camera"))

    page.keyboard.press("Escape")
    expect(page.locator(".tile[data-status=online]")).to_have_count(len(cameras))
    assert OTHERS.findall(page.content() + visit.received()) == []
    assert "gate" in visit.received()

    page.goto(f"http://127.0.0.1:{hub.port}/#camera=dock")
    expect(page.locator(".veil")).to_have_text(
        "There is no camera dock, or it is not yours to see."
    )
    expect(page.locator("main.camera .pill")).to_have_text("Not shown")
    expect(page.locator(".events-panel .note")).to_contain_text("not yours to see")
    screenshot(page, name_of(who, "other-camera"))
    told = visit.received().replace("camera:dock", "")  # the channel that the page itself named
    assert OTHERS.findall(told) == []
    assert visit.errors == []


@pytest.mark.parametrize("who", NOWHERE)
def test_attack_13_who_may_see_nothing_is_told_what_is_missing(
    hub: TestHub, visit: Visit, who: str
) -> None:
    limits, told = NOWHERE[who]
    sign_in(visit, hub, limits)
    expect(visit.page.locator("#app")).to_contain_text(told)
    screenshot(visit.page, name_of(who, "refused"))
    assert visit.page.locator(".tile").count() == 0
    assert OTHERS.findall(visit.received()) == []
    assert visit.errors == []


def test_attack_13_who_sees_all_sites_has_them_all_on_one_wall(hub: TestHub, visit: Visit) -> None:
    sign_in(visit, hub, {"roles": ["viewer"], "sites": ["*"]})
    expect(visit.page.locator(".tile[data-status=online]")).to_have_count(len(CAMERAS))
    expect(visit.page.locator("section h2")).to_have_text(["north", "south"])
    screenshot(visit.page, name_of("viewer of all", "wall"))
    assert {"dock", "ramp", "south"} <= set(OTHERS.findall(visit.received())), (
        "what the other tests look for would be found"
    )
    assert visit.errors == []


def test_attack_13_what_is_taken_away_leaves_the_page_and_the_wall(
    hub: TestHub, visit: Visit
) -> None:
    page = visit.page
    keeper = hub.token("keeper", roles=["admin"], scopes=["restricted:read"])

    def tag(*tags: str) -> None:
        headers = {"authorization": f"Bearer {keeper}", "if-match": "*"}
        url = f"http://127.0.0.1:{hub.port}/v1/cameras/yard"
        httpx.put(
            url, headers=headers, json={"name": "YARD", "tags": tags}, timeout=30, trust_env=False
        ).raise_for_status()

    sign_in(visit, hub, {"roles": ["viewer"], "sites": ["north"]})
    page.locator("[data-camera=yard]").click()
    expect(page.locator("canvas.scene")).to_have_attribute("data-tracks", "1")
    assert painted(page) > 1000
    try:
        tag("restricted")
        expect(page.locator(".veil")).to_have_text(
            "There is no camera yard, or it is not yours to see.", timeout=20_000
        )
        expect(page.locator(".events li")).to_have_count(0)
        expect(page.locator("main.camera table:visible")).to_have_count(0)
        assert until(page, lambda: painted(page) < 1000), "the picture stays"
        screenshot(page, name_of("viewer of a site", "taken-away"))
        page.keyboard.press("Escape")
        expect(page.locator(".tile")).to_have_count(1, timeout=20_000)
        expect(page.locator("[data-camera=gate]")).to_be_visible()
    finally:
        tag()
    expect(page.locator(".tile")).to_have_count(2, timeout=20_000)
    assert visit.errors == []
