"""Install the locked packages of `tools/validators`, which tests run, when the lock changed. Run by ``make validators``."""

import sys
from pathlib import Path

from tools.build_console import BuildError, digest, npm_command, read, run

FOLDER = Path(__file__).resolve().parent / "validators"
STAMP = FOLDER / "node_modules" / ".installed-from"


def main() -> int:
    """Exit code 0 when they are there."""
    wanted = digest([FOLDER / "package.json", FOLDER / "package-lock.json"])
    if read(STAMP) == wanted:
        return 0
    try:
        run(npm_command("auto"), "ci", "--loglevel=error", folder=FOLDER)
    except BuildError as error:
        sys.stderr.write(f"the validators were not installed: {error}\n")
        return 1
    STAMP.write_text(wanted, encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
