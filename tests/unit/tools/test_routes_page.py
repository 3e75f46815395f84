"""The page about routes says what the tables say."""

from pathlib import Path

from hub.rest.table import ENDPOINTS
from hub.special_table import SPECIALS
from tools import routes_page

PAGE = Path(__file__).resolve().parents[3] / "docs" / "routes.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == routes_page.page(), (
        "docs/routes.md is out of date: make docs"
    )


def test_every_way_has_a_line_with_what_is_asked() -> None:
    text = routes_page.page()
    assert "| `GET /v1/audit` | Who changed what, newest first | `audit.read` | a user's |" in text
    assert [one.id for one in ENDPOINTS if f"`{one.method} {one.path}`" not in text] == []
    assert [one.id for one in SPECIALS if f" {one.path}`" not in text] == []
