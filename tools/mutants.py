"""``python -m tools.mutants [NAME ...]``: break one promise of the product after the other, and see
that a test turns red.

The changes are data, one file an area, in `tests/mutants/` (`MutantFile` says what a file holds).
Each is made in a copy of the tree, never in the checkout. Its own tests run first; when none of
them notices, all tests of its area. Before that the own tests of all of them must pass with no
change made, or they would notice anything. Exit status 1 below `ENOUGH` of all, 2 when a mutant
does not fit the tree any more.
"""

import argparse
import ast
import os
import queue
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TextIO

import msgspec

from tools.mutant_runs import Copy

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "tests/mutants"
ENOUGH = 0.9
NOTICED = (1, 2)  # exit statuses of pytest: a test failed, or a module cannot even be imported

Outcome = Literal["caught", "caught by others", "survived"]


class Mutant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One promise, and the change that breaks it: `text`, which stands exactly once in `file`,
    becomes `replacement`. `tests` are files, or tests in them (``file::test``), that notice."""

    name: str
    promise: str
    file: str
    text: str
    replacement: str
    tests: tuple[str, ...]


class MutantFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One area; `wide` are the tests that run when a mutant's own notice nothing."""

    wide: tuple[str, ...]
    mutant: tuple[Mutant, ...] = ()


class Misfit(Exception):
    """A mutant says something of the tree that is not so."""


def read(root: Path) -> dict[str, MutantFile]:
    """All areas by name, in order."""
    paths = sorted((root / FOLDER).glob("*.toml"))
    return {path.stem: msgspec.toml.decode(path.read_bytes(), type=MutantFile) for path in paths}


def changed(mutant: Mutant, root: Path) -> str:
    """The whole file with the change. Raises `Misfit` when the text is not there exactly once, or
    what comes out is no Python."""
    path = root / mutant.file
    whole = path.read_text(encoding="utf-8") if path.is_file() else ""
    if (times := whole.count(mutant.text)) != 1:
        raise Misfit(f"{mutant.name}: its text stands {times} times in {mutant.file}")
    broken = whole.replace(mutant.text, mutant.replacement)
    if path.suffix == ".py":
        try:
            same = ast.dump(ast.parse(broken)) == ast.dump(ast.parse(whole))
        except SyntaxError as error:
            raise Misfit(f"{mutant.name}: what it makes is no Python: {error}") from error
        if same:
            raise Misfit(f"{mutant.name}: changes nothing")
    return broken


def misfits(root: Path) -> Iterator[str]:
    """What is wrong with the mutants: texts that are gone, tests that are not there, names given
    twice."""
    names: set[str] = set()
    for area in read(root).values():
        for test in area.wide:
            if not (root / test).exists():
                yield f"there is no {test}"
        for mutant in area.mutant:
            if mutant.name in names:
                yield f"two mutants have the name {mutant.name}"
            names.add(mutant.name)
            try:
                changed(mutant, root)
            except Misfit as misfit:
                yield str(misfit)
            if not mutant.tests:
                yield f"{mutant.name}: no tests are named"
            yield from (f"{mutant.name}: {test} is not there" for test in absent(mutant, root))


def absent(mutant: Mutant, root: Path) -> Iterator[str]:
    """The tests that a mutant names and nobody wrote."""
    for test in mutant.tests:
        file, _, name = test.partition("::")
        path = root / file
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if not text or (name and f"def {name.partition('[')[0]}(" not in text):
            yield test


def judge(copy: Copy, mutant: Mutant, wide: Sequence[str]) -> tuple[Outcome, str]:
    """(what became of the mutant, the test that noticed)."""
    whole = (copy.folder / mutant.file).read_text(encoding="utf-8")
    copy.write(mutant.file, changed(mutant, copy.folder))
    steps: tuple[tuple[Sequence[str], Outcome], ...] = (
        (mutant.tests, "caught"),
        (wide, "caught by others"),
    )
    try:
        for tests, outcome in steps:
            status, written = copy.run(tests) if tests else (0, "")
            if status in NOTICED:
                return outcome, first_failure(written)
            if status not in (0, None):
                raise Misfit(f"{mutant.name}: pytest ended with {status}:\n{written[-2000:]}")
        return "survived", ""
    finally:
        copy.write(mutant.file, whole)


def first_failure(written: str) -> str:
    """The line of pytest's summary that names what failed."""
    lines = [line for line in written.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return lines[0][:300] if lines else written[-300:]


def score(judged: Iterable[tuple[Mutant, Outcome]]) -> tuple[list[str], float]:
    """(one line a folder and one for all, the share that was caught). What only the tests of the
    area noticed counts as caught: the promise is kept, its own tests are not named well."""
    caught: dict[str, list[bool]] = {}
    for mutant, outcome in judged:
        folder = mutant.file.partition("/")[0]
        caught.setdefault(folder, []).append(outcome != "survived")
    every = [one for found in caught.values() for one in found]
    rows = [*sorted(caught.items()), ("all", every)]
    lines = [
        f"{folder:12} {sum(found):4} of {len(found):4} caught  {sum(found) / len(found):4.0%}"
        for folder, found in rows
        if found
    ]
    return lines, sum(every) / len(every) if every else 0.0


def chosen(areas: dict[str, MutantFile], names: Sequence[str]) -> list[tuple[Mutant, MutantFile]]:
    """The mutants of these areas, files, folders or names; all when none is named."""
    return [
        (mutant, area)
        for name, area in areas.items()
        for mutant in area.mutant
        if not names or any(n in (name, mutant.name) or mutant.file.startswith(n) for n in names)
    ]


def shares(files: Sequence[str], jobs: int) -> list[Sequence[str]]:
    """`files` for at most `jobs` at a time; none is empty, which to pytest is every test there
    is."""
    return [share for number in range(jobs) if (share := files[number::jobs])]


def run(root: Path, names: Sequence[str], jobs: int, narrow: bool) -> int:
    """Judge them all, `jobs` at a time; the exit status."""
    if wrong := list(misfits(root)):
        tell(*wrong, to=sys.stderr)
        return 2
    areas = read(root)
    if nowhere := [name for name in names if not chosen(areas, [name])]:
        tell(f"no mutant is called so, or of such a file: {', '.join(nowhere)}", to=sys.stderr)
        return 2
    work = chosen(areas, names)
    with tempfile.TemporaryDirectory(prefix="eyrie-mutants-") as temporary:
        copies: queue.Queue[Copy] = queue.Queue()
        for number in range(jobs):
            folder = Path(temporary) / str(number)
            folder.mkdir()
            copies.put(Copy(root, folder))

        def green(tests: Sequence[str]) -> tuple[int | None, str]:
            copy = copies.get()
            try:
                return copy.run(tests)
            finally:
                copies.put(copy)

        def one(item: tuple[Mutant, MutantFile]) -> tuple[Mutant, Outcome]:
            mutant, area = item
            copy = copies.get()
            try:
                outcome, by = judge(copy, mutant, () if narrow else area.wide)
            finally:
                copies.put(copy)
            tell(f"{outcome:16} {mutant.name}: {mutant.promise}\n    {by}")
            return mutant, outcome

        files = sorted({test.partition("::")[0] for mutant, _ in work for test in mutant.tests})
        with ThreadPoolExecutor(jobs) as pool:
            for status, written in pool.map(green, shares(files, jobs)):
                if status not in (0, 5):
                    tell("the tests fail with no change made:", written, to=sys.stderr)
                    return 2
            try:
                judged = list(pool.map(one, work))
            except Misfit as misfit:
                tell(str(misfit), to=sys.stderr)
                return 2
    lines, share = score(judged)
    survivors = [mutant for mutant, outcome in judged if outcome == "survived"]
    tell(*(f"SURVIVED {mutant.name}: {mutant.promise}" for mutant in survivors))
    tell(*lines)
    return 0 if share >= ENOUGH else 1


def tell(*lines: str, to: TextIO | None = None) -> None:
    """Write lines at once, to standard output unless another stream is named."""
    stream = to or sys.stdout
    stream.write("".join(line + "\n" for line in lines))
    stream.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="areas, files, folders or names; all when none")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="copies at a time")
    parser.add_argument("--narrow", action="store_true", help="a mutant's own tests alone")
    found = parser.parse_args(arguments)
    return run(ROOT, found.names, found.jobs, found.narrow)


if __name__ == "__main__":
    sys.exit(main())
