"""Says how much an installation writes and where, before it begins, and ends with 1 where there is
too little room. Run by `make`.

Measured on Linux x86-64: packages 440 MB, the console's packages 77 MB, Node.js 190 MB where the
machine has none, caches of pip and npm in the home.
"""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # nothing is installed yet

from storage.process.disk_room import MIB, lacking  # noqa: E402

CHECKOUT_BYTES = 768 * MIB
CACHE_BYTES = 256 * MIB  # in the home
DOWNLOAD_BYTES = 128 * MIB  # in the temporary folder, while packages are fetched


def main() -> int:
    """Exit code 0 when there is room."""
    wanted = {
        ROOT: CHECKOUT_BYTES,
        Path.home(): CACHE_BYTES,
        Path(tempfile.gettempdir()): DOWNLOAD_BYTES,
    }
    told = ", ".join(f"{size:,} bytes in {folder}" for folder, size in wanted.items())
    sys.stderr.write(f"the installation needs up to {told}\n")
    missing = lacking(wanted)
    if missing:
        sys.stderr.write(
            f"error: {missing}\n  Make room, or put the checkout, HOME or TMPDIR on another disk.\n"
        )
    return 1 if missing else 0


if __name__ == "__main__":
    raise SystemExit(main())
