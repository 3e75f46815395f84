"""What the documents name must be there."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
NAMED_FILE = re.compile(r"`((?:actors|storage|policy|hub|cluster|edge|load_tests|tests|tools|docs|console|requirements)/[\w./-]*)`")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
MADE_LATER = ("hub/static", "tests/output")  # built, never committed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_named_files_exist(page: Path) -> None:
    named = NAMED_FILE.findall(page.read_text(encoding="utf-8"))
    missing = [name for name in named if not name.startswith(MADE_LATER) and not (ROOT / name.rstrip("/")).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_close_code_of_ours_is_described() -> None:
    told = set(re.findall(r"^\| (\d{4}) \|", (ROOT / "docs" / "protocols.md").read_text(encoding="utf-8"), re.MULTILINE))
    ours = set()
    for path in [*(ROOT / "hub").glob("*.py"), *(ROOT / "actors" / "core").glob("*.py")]:
        ours |= set(re.findall(r"(?:close_code = |Close\(|^[A-Z_]+ = )(4[05][01]\d)\b", path.read_text(encoding="utf-8"), re.MULTILINE))
    internal = {"4000", "4010"}  # the base of the family, and a word between actor and hub that no client sees
    assert ours - internal <= told


def test_every_dependency_has_its_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    pins = project["dependencies"] + project["optional-dependencies"]["dev"]
    assert [pin for pin in pins if re.split(r"[\[=]", pin)[0] not in text] == []
