"""The wheel ``eyrie-consume``: the consumer of streams alone, from the same sources as ``eyrie``.

python -m tools.build_consume_wheel dist
"""

import argparse
import tomllib
from pathlib import Path

from tools.build_edge_wheel import ROOT, built

PACKAGE = "consume"
NEEDS = ("msgspec", "nats-py")
PROJECT = """
[build-system]
requires = ["setuptools>=80"]
build-backend = "setuptools.build_meta"

[project]
name = "eyrie-consume"
version = "{version}"
description = "Consumes Eyrie's streams of events: each effect once, in order, holes told."
license = "Apache-2.0"
license-files = ["LICENSE"]
requires-python = ">=3.11"
dependencies = [{dependencies}]

[tool.setuptools]
packages = ["consume", "consume.examples"]
"""


def build(into: Path) -> Path:
    """Build it without an index; the wheel. Raises CalledProcessError."""
    own = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = dict(line.split("==") for line in own["dependencies"] if "[" not in line)
    needs = ", ".join(f'"{name}>={pinned[name]}"' for name in NEEDS)
    files = sorted((ROOT / PACKAGE).rglob("*.py"))
    text = PROJECT.format(version=own["version"], dependencies=needs)
    return built(files, text, into, "eyrie_consume")


def main() -> int:
    """Build; 0 when done."""
    parser = argparse.ArgumentParser(description="Build the wheel of the consumer of streams.")
    parser.add_argument("into", type=Path, help="folder of the wheel")
    print(build(parser.parse_args().into))  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
