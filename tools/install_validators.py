"""Install the locked packages of JavaScript that tests run, where their lock changed: validators,
and the stock client. Run by ``make validators``."""

import sys
from pathlib import Path

from tools.build_console import BuildError, digest, npm_command, read, run

FOLDER = Path(__file__).resolve().parent / "validators"
STOCK_CLIENT = FOLDER.parents[1] / "tests" / "integration" / "hub" / "js"


def stamp(folder: Path) -> Path:
    """The file that says from which lock the packages in `folder` were installed."""
    return folder / "node_modules" / ".installed-from"


STAMP = stamp(FOLDER)


def main() -> int:
    """Exit code 0 when they are there."""
    return max(install(folder) for folder in (FOLDER, STOCK_CLIENT))


def install(folder: Path) -> int:
    """Exit code 0 when the packages of one folder are there."""
    wanted = digest([folder / "package.json", folder / "package-lock.json"])
    if read(stamp(folder)) == wanted:
        return 0
    try:
        run(npm_command("auto"), "ci", "--loglevel=error", folder=folder)
    except BuildError as error:
        sys.stderr.write(f"the packages of {folder.name} were not installed: {error}\n")
        return 1
    stamp(folder).write_text(wanted, encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
