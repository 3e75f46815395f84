"""What every command says to wrong input and about numbers: in the words of its users, none of
Python's."""

import argparse
import contextlib
import io
from collections.abc import Iterator

import pytest

from actors.core.log_format import counted
from cluster.cli import console
from cluster.cli.cluster.client import process_name, subject
from cluster.cli.main import COMMANDS, make_parser

WRONG = "1x!"


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """It, and all below it."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from parsers(child)


ALL = list(parsers(make_parser()))


def refusal(parser: argparse.ArgumentParser, words: list[str]) -> str:
    """What is said to these words, which are wrong."""
    told = io.StringIO()
    with contextlib.redirect_stderr(told), pytest.raises(SystemExit) as ended:
        parser.parse_args(words)
    assert ended.value.code == 2
    return told.getvalue()


@pytest.mark.parametrize("parser", ALL, ids=lambda parser: parser.prog)
def test_what_cannot_be_converted_is_told_in_words(parser: argparse.ArgumentParser) -> None:
    """Any other error than this one, and argparse says the name of the function: ``invalid _count
    value``."""
    for action in parser._actions:
        if callable(action.type):
            with contextlib.suppress(argparse.ArgumentTypeError):
                action.type(WRONG)


@pytest.mark.parametrize("parser", ALL, ids=lambda parser: parser.prog)
def test_every_command_says_what_it_is_for_and_what_is_missing(
    parser: argparse.ArgumentParser,
) -> None:
    assert "_" not in parser.prog
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            assert action.metavar == "command", parser.prog
            if action.required:
                assert "required: command" in refusal(parser, []), parser.prog


def test_the_help_names_every_command() -> None:
    shown = make_parser().format_help()
    assert [name for name in COMMANDS if f" {name} " not in shown] == []


@pytest.mark.parametrize(
    ("number", "words", "told"),
    [
        (0, ("node",), "0 nodes"),
        (1, ("node",), "1 node"),
        (2, ("process", "processes"), "2 processes"),
        (1, ("policy", "policies"), "1 policy"),
    ],
)
def test_one_is_told_as_one(number: int, words: tuple[str, ...], told: str) -> None:
    assert counted(number, *words) == told


@pytest.mark.parametrize(
    ("text", "process", "about"),
    [
        ("hub-0", "hub-0", "hub:0"),
        ("hub:0", "hub-0", "hub:0"),
        ("policy:1", "policy-1", "policy:1"),
        ("gate", "gate", "camera:gate"),
        ("camera:hub-x", "camera:hub-x", "camera:hub-x"),
        ("hub-x", "hub-x", "camera:hub-x"),
        ("cluster", "cluster", "cluster"),
        ("", "", ""),
    ],
)
def test_a_process_has_one_name_wherever_it_is_asked_for(
    text: str, process: str, about: str
) -> None:
    assert (process_name(text), subject(text)) == (process, about)


def test_a_camera_that_was_never_activated_has_no_generation() -> None:
    assert [console.generation(number) for number in (0, 7)] == ["none yet", "7"]
