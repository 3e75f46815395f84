"""Runs of tests in copies of the tree, each in a process of its own (`tools.mutants`)."""

import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

RUN_LIMIT_S = 3_600.0  # a run of tests that takes longer is ended; each has its own limit too
BROKEN = 70  # exit status of a run that never came to its tests
# What a checkout has besides what git knows, and tests use: linked into each copy.
BUILT = (".venv", ".tools", "hub/static", "console/node_modules", "tools/validators/node_modules")
PYTEST = (
    *("-q", "-x", "--no-header", "--tb=line", "-p", "no:cacheprovider"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # of what is `LOADED`
)
# Each run is a fork of a process that has loaded this once: most of what a short run costs.
LOADED = (
    "tools.mutant_runs",
    "pytest_asyncio.plugin",
    "hypothesis.stateful",
    "_hypothesis_pytestplugin",
    "schemathesis.pytest.plugin",
)
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(list(LOADED))


def run_tests(folder: str, root: str, written: str, tests: tuple[str, ...]) -> None:
    """Run tests in a copy of the tree; this process is a fork that has loaded no file of it."""
    descriptor = os.open(written, os.O_WRONLY)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.chdir(folder)
    os.environ["PYTHONPATH"] = folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "tools"]:
        del sys.modules[name]
    sys.path[:] = [folder, *(path for path in sys.path if path not in ("", root, folder))]
    status = BROKEN
    try:
        status = int(pytest.main([*PYTEST, *tests]))
    finally:
        sys.stdout.flush()
        os._exit(status)


class Copy:
    """A copy of the tree, in which one mutant at a time lives."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder = root, folder
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=root,
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout.decode()
        for name in filter(None, listed.split("\0")):
            if (root / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, folder / name, follow_symlinks=False)
        for name in BUILT:
            if (root / name).exists():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).symlink_to(root / name, target_is_directory=True)
        # Some tests ask git which files there are.
        subprocess.run(["git", "init", "-q", "."], cwd=folder, check=True, timeout=60)
        subprocess.run(["git", "add", "-A"], cwd=folder, check=True, timeout=60)

    def write(self, file: str, text: str) -> None:
        """Put a text into a file. Python keeps what it compiled by size and second, which two
        changes may share: that goes too."""
        path = self.folder / file
        path.write_text(text, encoding="utf-8")
        for kept in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
            kept.unlink()

    def run(self, tests: Sequence[str]) -> tuple[int | None, str]:
        """(exit status of pytest, or None when it took too long; what it wrote)."""
        with tempfile.NamedTemporaryFile(
            mode="r", encoding="utf-8", errors="replace", dir=self.folder.parent
        ) as written:
            process = FORKS.Process(
                target=run_tests,
                args=(str(self.folder), str(self.root), written.name, tuple(tests)),
            )
            process.start()
            process.join(RUN_LIMIT_S)
            status = process.exitcode
            if status is None:
                process.terminate()
                process.join(20.0)
                process.kill()
                process.join()
            process.close()
            return status, written.read()
