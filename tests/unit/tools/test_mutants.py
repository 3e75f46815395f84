"""The hand-made mutants: each still fits the tree, and the tool tells what it should."""

from pathlib import Path

import pytest

from tools import mutants
from tools.mutants import Misfit, Mutant

ROOT = Path(__file__).resolve().parents[3]


def mutant(**changes: str) -> Mutant:
    given = {
        "name": "one",
        "promise": "It holds.",
        "file": "part.py",
        "text": "limit = 3",
        "replacement": "limit = 4",
        "tests": ("tests/test_part.py",),
    }
    return Mutant(**{**given, **changes})  # type: ignore[arg-type]


def test_every_mutant_fits_the_tree() -> None:
    """Its text stands there exactly once, the change is one, and its tests were written."""
    assert list(mutants.misfits(ROOT)) == []


def test_every_area_has_mutants_with_a_promise_of_its_own() -> None:
    areas = mutants.read(ROOT)
    assert areas
    promises = [mutant.promise for area in areas.values() for mutant in area.mutant]
    assert len(set(promises)) == len(promises)
    assert [promise for promise in promises if not promise.endswith(".")] == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"text": "limit = 5"}, "0 times"),
        ({"text": "limit"}, "2 times"),
        ({"file": "gone.py"}, "0 times"),
        ({"replacement": "limit = ="}, "no Python"),
        ({"replacement": "limit = 3  # no more"}, "changes nothing"),
    ],
)
def test_a_mutant_that_does_not_fit_is_told(
    tmp_path: Path, changes: dict[str, str], why: str
) -> None:
    (tmp_path / "part.py").write_text("limit = 3\nprint(limit)\n", encoding="utf-8")
    with pytest.raises(Misfit, match=why):
        mutants.changed(mutant(**changes), tmp_path)


def test_only_the_text_is_changed(tmp_path: Path) -> None:
    (tmp_path / "part.py").write_text("limit = 3\nprint(limit)\n", encoding="utf-8")
    assert mutants.changed(mutant(), tmp_path) == "limit = 4\nprint(limit)\n"


def test_tests_that_nobody_wrote_are_told(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_part.py").write_text("def test_it() -> None: ...\n", encoding="utf-8")
    named = mutant(tests=("tests/test_part.py::test_it", "tests/test_part.py::test_other", "no.py"))  # type: ignore[arg-type]
    assert list(mutants.absent(named, tmp_path)) == ["tests/test_part.py::test_other", "no.py"]


def test_the_score_is_told_by_folder_and_for_all() -> None:
    one, other = mutant(file="actors/a.py"), mutant(file="hub/b.py")
    lines, share = mutants.score([(one, "caught"), (one, "survived"), (other, "caught by others")])
    assert [line.split() for line in lines] == [
        ["actors", "1", "of", "2", "caught", "50%"],
        ["hub", "1", "of", "1", "caught", "100%"],
        ["all", "2", "of", "3", "caught", "67%"],
    ]
    assert share == pytest.approx(2 / 3)


def test_nothing_judged_is_no_success() -> None:
    assert mutants.score([]) == ([], 0.0)


@pytest.mark.parametrize(
    ("files", "jobs", "found"),
    [
        (["a"], 2, [["a"]]),
        (["a", "b", "c"], 2, [["a", "c"], ["b"]]),
        ([], 2, []),
    ],
)
def test_no_share_of_tests_is_empty(files: list[str], jobs: int, found: list[list[str]]) -> None:
    """To pytest no name is every test that there is."""
    assert mutants.shares(files, jobs) == found


def test_a_name_that_no_mutant_has_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert mutants.main(["no-such-mutant"]) == 2
    assert "no-such-mutant" in capsys.readouterr().err
