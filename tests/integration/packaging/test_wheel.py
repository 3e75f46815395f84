"""A wheel built from this checkout carries the built console, the policies, SQL and Lua, and
nothing of the tests."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
STATIC = ROOT / "hub" / "static"


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The files in the wheel."""
    if not (STATIC / "index.html").is_file():
        pytest.skip("the console is not built: make console")
    source = tmp_path_factory.mktemp("source")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, timeout=30
    ).stdout.decode()
    for name in listed.split("\0"):
        if (
            name
            and (ROOT / name).is_file()
            and not name.startswith(("tests/", "console/", "docs/"))
        ):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    shutil.copytree(STATIC, source / "hub" / "static")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-build-isolation",
        "--no-deps",
        "--no-index",
        "-w",
        "dist",
        ".",
    ]
    done = subprocess.run(
        command, cwd=source, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = (source / "dist").glob("eyrie-*.whl")
    return zipfile.ZipFile(wheel).namelist()


def test_the_console_is_inside(names: list[str]) -> None:
    built = {
        f"hub/static/{path.relative_to(STATIC).as_posix()}"
        for path in STATIC.rglob("*")
        if path.is_file() and path.name[0] != "."
    }
    assert built
    assert built <= set(names)


def test_policies_sql_and_scripts_are_inside(names: list[str]) -> None:
    wanted = {
        path.relative_to(ROOT).as_posix()
        for pattern in ("policy/rego/**/*.rego", "storage/sql/**/*.sql", "storage/lua/**/*.lua")
        for path in ROOT.glob(pattern)
        if not path.name.endswith("_test.rego")
    }
    assert wanted <= set(names)


def test_only_the_product_and_its_licence_are_inside(names: list[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "actors",
        "storage",
        "policy",
        "workers",
        "privacy",
        "alerts",
        "consume",
        "connectors",
        "hub",
        "cluster",
        "edge",
        "load_tests",
    }
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
