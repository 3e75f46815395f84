"""Lists the Pythons of this machine that Eyrie runs on, one a line, one of each line (3.11, 3.12,
…), the newest first.

`--other` names the newest that is of another line than the one running this. Looks on the PATH and
where pyenv keeps its own. Standard library only. Run by `.ci/run` and by the tests.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# also: can it make a virtual environment?
TELL = "import ensurepip, sys, venv; print(sys.version_info[1])"
TELL_S = 30.0


def supported() -> range:
    """The minor versions of Python 3 that `pyproject.toml` allows."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^requires-python = ">=3\.(\d+),<3\.(\d+)"$', text, re.MULTILINE)
    if found is None:
        raise SystemExit("pyproject.toml says no range of Pythons")
    return range(int(found[1]), int(found[2]))


def candidates() -> Iterator[Path]:
    """Where Pythons may be."""
    kept = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for minor in supported():
        for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
            yield Path(folder) / f"python3.{minor}"
        yield from sorted(kept.glob(f"3.{minor}.*/bin/python3"))


def found() -> dict[int, Path]:
    """Python by minor version. A name on the PATH may be a stand-in that runs nothing: each is
    asked."""
    pythons: dict[int, Path] = {}
    for path in candidates():
        if os.access(path, os.X_OK):
            told = subprocess.run(
                [path, "-c", TELL], capture_output=True, text=True, timeout=TELL_S, check=False
            ).stdout.strip()
            if told.isdigit() and int(told) in supported():
                pythons.setdefault(int(told), path)
    return dict(sorted(pythons.items(), reverse=True))


def main() -> int:
    """Exit code 1 when there is none."""
    parser = argparse.ArgumentParser(
        description="List the Pythons of this machine that Eyrie runs on."
    )
    parser.add_argument(
        "--other", action="store_true", help="only the newest of another line than this one's"
    )
    other = parser.parse_args().other
    pythons = [path for minor, path in found().items() if not other or minor != sys.version_info[1]]
    for path in pythons[:1] if other else pythons:
        sys.stdout.write(f"{path}\n")
    return 0 if pythons else 1


if __name__ == "__main__":
    raise SystemExit(main())
