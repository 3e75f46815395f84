"""What the documents name must be there."""

import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from actors.core.settings import LogSettings
from hub.access.rate_limits import Scope
from policy.engine.modules import read_sources
from policy.engine.roles import granted
from storage.embedded.server import LOG_FILES, MAX_LOG_BYTES

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
NAMED_FILE = re.compile(
    r"`((?:actors|storage|policy|hub|cluster|edge|load_tests|tests|tools|docs|console|requirements)/[\w./-]*)`"
)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
MADE_LATER = ("hub/static", "tests/output")  # built, never committed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_named_files_exist(page: Path) -> None:
    named = NAMED_FILE.findall(page.read_text(encoding="utf-8"))
    missing = [
        name
        for name in named
        if not name.startswith(MADE_LATER) and not (ROOT / name.rstrip("/")).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_close_code_of_ours_is_described() -> None:
    told = set(
        re.findall(
            r"^\| (\d{4}) \|",
            (ROOT / "docs" / "protocols.md").read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    )
    ours = set()
    for path in [*(ROOT / "hub").rglob("*.py"), *(ROOT / "actors" / "core").glob("*.py")]:
        ours |= set(
            re.findall(
                r"(?:close_code = |Close\(|^[A-Z_]+ = )(4[05][01]\d)\b",
                path.read_text(encoding="utf-8"),
                re.MULTILINE,
            )
        )
    internal = {
        "4000",
        "4010",
    }  # the base of the family, and a word between actor and hub that no client sees
    assert ours - internal <= told


def test_every_dependency_has_its_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    pins = project["dependencies"] + project["optional-dependencies"]["dev"]
    assert [pin for pin in pins if re.split(r"[\[=]", pin)[0] not in text] == []


SECURITY_CHECKS = {*range(1, 23), *range(24, 35), 36, 38, 46, 54, 63, 64}
BAD_INPUTS = {*range(85, 122)}
ROW = re.compile(r"^\| (\d+)(?:–(\d+))? \| [^|]+ \| (`tests/[^|]+`) \|$", re.MULTILINE)


def security_rows() -> dict[tuple[int, int], set[str]]:
    """(first, last number) → tests, of the table in docs/security.md."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    return {
        (int(first), int(last or first)): set(re.findall(r"`([^`]+)`", named))
        for first, last, named in ROW.findall(text)
    }


def named_in(path: Path) -> set[str]:
    return set(
        re.findall(r"^(?:async )?def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    )


def test_every_security_check_has_its_row_and_tests_that_exist() -> None:
    rows = security_rows()
    assert {
        number for first, last in rows for number in range(first, last + 1)
    } >= SECURITY_CHECKS | BAD_INPUTS
    missing = []
    for named in set().union(*rows.values()):
        file, _, test = named.partition("::")
        if not (ROOT / file).is_file() or test not in named_in(ROOT / file):
            missing.append(named)
    assert missing == []


def test_every_security_check_names_its_tests_and_only_them() -> None:
    rows = {first: named for (first, last), named in security_rows().items() if first == last}
    there: dict[int, set[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for test in named_in(path):
            if (found := re.match(r"test_check_(\d\d)_", test)) is not None:
                there.setdefault(int(found[1]), set()).add(
                    f"{path.relative_to(ROOT).as_posix()}::{test}"
                )
    assert {number: rows.get(number) for number in there} == there


ATTACKS = {*range(3, 17)}
ATTACK_ROW = re.compile(r"^\| attack (\d+) \| [^|]+ \| (`tests/[^|]+`) \|$", re.MULTILINE)


def test_the_table_of_attacks_names_every_attack_test_and_only_them() -> None:
    section = (
        (ROOT / "docs" / "security.md")
        .read_text(encoding="utf-8")
        .partition("## Attacks\n")[2]
        .partition("\n## ")[0]
    )
    rows = {
        int(number): re.findall(r"`([^`]+)`", named)
        for number, named in ATTACK_ROW.findall(section)
    }
    assert len(rows) == section.count("\n| attack ") - 1, "a row is malformed, or a number has two"
    there: dict[int, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for test in named_in(path):
            if (found := re.match(r"test_attack_(\d\d)_", test)) is not None:
                there.setdefault(int(found[1]), []).append(
                    f"{path.relative_to(ROOT).as_posix()}::{test}"
                )
    assert {number: sorted(named) for number, named in rows.items()} == {
        number: sorted(named) for number, named in there.items()
    }
    assert set(rows) == ATTACKS


def test_the_makefile_takes_the_pythons_that_the_package_takes() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(
        r"^SUPPORTED := \(3, (\d+)\) <= sys.version_info\[:2\] <= \(3, (\d+)\)$",
        makefile,
        re.MULTILINE,
    )
    assert found is not None
    first, last = map(int, found.groups())
    assert f'requires-python = ">=3.{first},<3.{last + 1}"' in project
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"Python 3.{first} to 3.{last}" in readme


def test_the_table_of_roles_is_the_policys() -> None:
    text = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
    section = text.partition("## Roles\n")[2].partition("\n## ")[0]
    told = {
        row[1]: frozenset(re.findall(r"`([^`]+)`", row[2]))
        for row in re.finditer(r"^\| `([^`]+)` \| (.+) \|$", section, re.MULTILINE)
    }
    assert told == granted(read_sources())


def test_the_scopes_of_limits_are_those_of_the_code() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if "eyrie_hub_limited_total" in line)
    told = row.rpartition("settings.md#limits)")[2]
    assert re.findall(r"`([a-z]+_[a-z]+)`", told) == list(get_args(Scope))


def test_the_table_of_logs_has_every_file_that_is_written() -> None:
    section = (
        (ROOT / "docs" / "deploy.md")
        .read_text(encoding="utf-8")
        .partition("## Logs\n")[2]
        .partition("\n## ")[0]
    )
    told = {
        name
        for row in re.findall(r"^\| (`.+?`) \|", section, re.MULTILINE)
        for name in re.findall(r"`([^`]+)`", row)
    }
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for folder in ("cluster", "storage")
        for path in (ROOT / folder).rglob("*.py")
    )
    written = {
        f"{name}.log" for name in re.findall(r"""\bServerProcess\(\s*"([^"]+)",""", code)
    } | set(re.findall(r'logs / "([^"]+)"', code))
    assert told == written
    assert f"{MAX_LOG_BYTES >> 20} MiB and {LOG_FILES} older" in section
    assert f"({LogSettings().max_mb} MiB) and `log.files` ({LogSettings().files})" in section
