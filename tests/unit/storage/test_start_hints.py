"""Whoever reads why a start failed is sent to a log that is there, or to none."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from actors.core.errors import StartError
from storage.embedded.data_dir import DataDir

ROOT = Path(__file__).resolve().parents[3]
PRODUCT = ("actors", "storage", "policy", "hub", "cluster")
THERE = re.compile(
    r"look_into\(\)|\.log_file\b"
)  # what says only files that are there: a child has its log since it was spawned


def start_errors() -> Iterator[tuple[str, str]]:
    """Every place that makes a StartError, and the text of its hint ("": the default one)."""
    for path in sorted(file for folder in PRODUCT for file in (ROOT / folder).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "StartError"
            ):
                hints = [
                    ast.get_source_segment(text, word.value) or ""
                    for word in node.keywords
                    if word.arg == "hint"
                ]
                yield f"{path.relative_to(ROOT)}:{node.lineno}", "".join(hints)


def test_hints_name_logs_only_by_way_of_what_is_there() -> None:
    found = dict(start_errors())
    assert len(found) > 40
    assert not re.search(r"\blogs?\b", StartError.hint)
    assert {
        place: hint
        for place, hint in found.items()
        if re.search(r"\blogs?\b", hint) and not THERE.search(hint)
    } == {}


def test_logs_to_look_into_are_those_that_are_there(tmp_path: Path) -> None:
    data = DataDir(tmp_path / "data")
    assert data.look_into() == StartError("no such thing").next_step
    data.prepare()
    assert str(data.path) not in data.look_into()
    (data.logs / "driver.log").touch()
    (data.logs / "eyrie.log").touch()
    named = re.findall(rf"{data.path}\S+\.log", data.look_into())
    assert sorted(named) == [str(data.logs / "driver.log"), str(data.logs / "eyrie.log")]
