"""Log lines: one line each whatever is in them, colours on a terminal only."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from actors.core.log_format import MAX_LINE, configure, one_line
from actors.core.settings import LogSettings

HOSTILE = "a\r\nerror   hub: forged\x1b[31m red\x00\x85\u2028\u2029\u202e\ud800 end"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def logged(settings: LogSettings, stream: io.StringIO, *arguments: object) -> str:
    configure(settings, "hub-0", stream)
    logging.getLogger("eyrie.hub.edge").warning(*arguments)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["text", "json"])
def test_a_hostile_message_stays_one_line(kind: str) -> None:
    settings = LogSettings(format="json" if kind == "json" else "text")
    text = logged(settings, io.StringIO(), "camera %s", HOSTILE)
    assert len(text.splitlines()) == 1
    assert text.endswith("\n")
    assert text.rstrip("\n").isprintable()


def test_an_exception_is_told_on_the_same_line() -> None:
    stream = io.StringIO()
    configure(LogSettings(), "hub-0", stream)
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        logging.getLogger("eyrie.hub").exception("it broke")
    assert len(stream.getvalue().splitlines()) == 1
    assert "it broke (ValueError: first\\nsecond)" in stream.getvalue()


def test_colours_are_for_terminals_only() -> None:
    assert "\x1b[" in logged(LogSettings(), Terminal(), "hello")
    assert "\x1b[" not in logged(LogSettings(), io.StringIO(), "hello")


def test_a_text_line_has_time_level_process_and_component() -> None:
    words = logged(LogSettings(), io.StringIO(), "edge of %s connected", "cam-1").split()
    assert words[1:] == ["warning", "hub-0", "hub.edge:", "edge", "of", "cam-1", "connected"]
    assert len(words[0].split(":")) == 3


def test_a_json_line_has_the_same_as_fields() -> None:
    line = json.loads(
        logged(LogSettings(format="json"), io.StringIO(), "edge of %s connected", "cam-1")
    )
    assert line.pop("time") > 1.7e9
    assert line == {
        "level": "warning",
        "process": "hub-0",
        "component": "hub.edge",
        "message": "edge of cam-1 connected",
    }


def test_what_is_below_the_level_is_not_written() -> None:
    assert logged(LogSettings(level="error"), io.StringIO(), "hello") == ""


def test_configuring_again_replaces_the_stream() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure(LogSettings(), "a", first)
    assert logged(LogSettings(), second, "hello")
    assert first.getvalue() == ""


def test_a_long_message_is_cut() -> None:
    assert len(one_line("x" * (3 * MAX_LINE))) == MAX_LINE + 1
