"""The fake hub and a page."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.support.hub.fake_console_hub import STATIC, FakeConsoleHub, running_hub
from tests.support.servers.browser import chromium_path, open_page


@pytest.fixture
def hub() -> Iterator[FakeConsoleHub]:
    """A running fake hub."""
    if not (STATIC / "index.html").is_file():
        pytest.skip("the console is not built: make console")
    with running_hub() as running:
        yield running


@pytest.fixture
def opened() -> Iterator[tuple[Page, list[str]]]:
    """A page and its errors."""
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium: set CHROMIUM_BINARY or put chromium on the PATH")
    with open_page(path) as page:
        yield page
