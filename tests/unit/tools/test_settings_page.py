"""The page about settings says what the code says."""

from pathlib import Path

from tools import settings_page

PAGE = Path(__file__).resolve().parents[3] / "docs" / "settings.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == settings_page.page(), (
        "docs/settings.md is out of date: make docs"
    )


def test_every_setting_has_a_line_with_its_limits() -> None:
    text = settings_page.page()
    assert (
        "| `live_hz` | `EYRIE_CAMERA_LIVE_HZ` | number more than 0 and at most 60 | `10.0` |"
        in text
    )
    assert (
        '| `level` | `EYRIE_LOG_LEVEL` | `debug` or `info` or `warning` or `error` | `"info"` |'
        in text
    )
    assert "| `dir` | `EYRIE_DATA_DIR` | text | `empty` |" in text
