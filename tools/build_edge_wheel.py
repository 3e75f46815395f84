"""The wheel ``eyrie-edge``: the client for devices alone, from the same sources as ``eyrie``.

    python -m tools.build_edge_wheel dist

It holds `edge` and, of everything else, the modules that `edge` imports. What it needs of others is
what those import, at least in the version that is pinned here.
"""

import argparse
import ast
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "edge"
DISTRIBUTIONS = {
    "msgspec": "msgspec",
    "websockets": "websockets",
}  # imported name → what is installed
SIGNING = {
    "cryptography": "cryptography",
    "http_message_signatures": "http-message-signatures",
}  # needed by `edge.signing` alone
SOURCES = {"paho": "paho-mqtt"}  # needed by `edge.sources` alone
PROJECT = """
[build-system]
requires = ["setuptools>=80"]
build-backend = "setuptools.build_meta"

[project]
name = "eyrie-edge"
version = "{version}"
description = "The device side of Eyrie: streams what a camera sees, and loses nothing."
license = "Apache-2.0"
license-files = ["LICENSE"]
requires-python = ">=3.11"
dependencies = [{dependencies}]

[project.optional-dependencies]
signing = [{signing}]
sources = [{sources}]

[project.scripts]
eyrie-edge = "edge.sources.command:main"

[tool.setuptools]
packages = [{packages}]
"""


def imported(path: Path) -> Iterator[str]:
    """The dotted names that a module imports; of ``from a import b`` both ``a`` and ``a.b``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def closure() -> tuple[list[Path], set[str]]:
    """The files of `edge` and of what it imports of ours, and the top names of what it imports of
    others. Raises ValueError."""
    waiting = sorted((ROOT / PACKAGE).rglob("*.py"))
    found: set[Path] = set()
    others: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        found.update(
            parent / "__init__.py"
            for parent in path.parents
            if parent != ROOT and ROOT in parent.parents
        )
        for name in imported(path):
            module = ROOT / f"{name.replace('.', '/')}.py"
            if module.is_file():
                waiting.append(module)
            elif (top := name.partition(".")[0]) not in sys.stdlib_module_names and not (
                ROOT / top
            ).is_dir():
                others.add(top)
    if strange := others - DISTRIBUTIONS.keys() - SIGNING.keys() - SOURCES.keys():
        raise ValueError(
            f"{PACKAGE} imports {', '.join(sorted(strange))}, which no table here names"
        )
    return sorted(found), others


def project(files: list[Path], others: set[str]) -> str:
    """The ``pyproject.toml`` of the wheel."""
    own = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = own["dependencies"] + own["optional-dependencies"]["sources"]
    pinned = dict(line.split("==") for line in pins)

    def listed(names: dict[str, str]) -> str:
        return ", ".join(
            f'"{name}>={pinned[name]}"' for top, name in sorted(names.items()) if top in others
        )

    packages = sorted(
        {path.parent.relative_to(ROOT).as_posix().replace("/", ".") for path in files}
    )
    return PROJECT.format(
        version=own["version"],
        dependencies=listed(DISTRIBUTIONS),
        signing=listed(SIGNING),
        sources=listed(SOURCES),
        packages=", ".join(f'"{p}"' for p in packages),
    )


def build(into: Path) -> Path:
    """Build it without an index; the wheel. Raises CalledProcessError."""
    files, others = closure()
    return built(files, project(files, others), into, "eyrie_edge")


def built(files: list[Path], text: str, into: Path, name: str) -> Path:
    """A wheel of some of our files, by a ``pyproject.toml`` of its own."""
    with tempfile.TemporaryDirectory(prefix="eyrie-wheel-") as folder:
        source = Path(folder)
        for path in files:
            copy = source / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
        shutil.copy(ROOT / "LICENSE", source)
        (source / "pyproject.toml").write_text(text, encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--disable-pip-version-check",
            "--quiet",
            "--no-build-isolation",
            "--no-deps",
        ]
        subprocess.run(
            [*command, "--no-index", "--wheel-dir", str(into.resolve()), "."],
            cwd=source,
            check=True,
        )
    return next(into.glob(f"{name}-*.whl"))


def main() -> int:
    """Build; 0 when done."""
    parser = argparse.ArgumentParser(description="Build the wheel of the client for devices.")
    parser.add_argument("into", type=Path, help="folder of the wheel")
    print(build(parser.parse_args().into))  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
