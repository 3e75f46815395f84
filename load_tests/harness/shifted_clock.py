"""A wall clock of its own for a tree of processes: `shifted_clock.c`, built with the machine's C
compiler, preloaded into each of them.

Python, PostgreSQL, Redis and Ray's C++ ask the C library for the time of day and are all shifted
alike. Not shifted: monotonic clocks, the times of files, and programs that ask the kernel
themselves (Go). The clock of the machine is never touched.
"""

import os
import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

from actors.core.errors import StartError

SOURCE = Path(__file__).with_suffix(".c")
BUILD_S = 60.0
_NANOSECONDS = struct.Struct("=q")


class ShiftedClock:
    """A clock whose files lie in `folder`; `shift` moves it under running processes. Raises
    StartError where it cannot be built."""

    def __init__(self, folder: Path) -> None:
        self._library, self._offset = folder / "shifted-clock.so", folder / "shifted-clock.offset"
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            raise StartError("a shifted clock needs a C compiler (apt-get install gcc libc6-dev)")
        command = [
            compiler,
            "-O2",
            "-Wall",
            "-Werror",
            "-shared",
            "-fPIC",
            "-o",
            str(self._library),
            str(SOURCE),
            "-ldl",
            "-lpthread",
        ]
        built = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=BUILD_S
        )
        if built.returncode:
            raise StartError(f"the shifted clock cannot be built: {built.stderr.strip()[-500:]}")
        self._library.chmod(0o755)  # PostgreSQL may run as a user of its own
        self.shift(0.0)
        self._offset.chmod(0o644)

    def environment(self) -> Mapping[str, str]:
        """What a process and all its children need."""
        before = os.environ.get("LD_PRELOAD")
        return {
            "LD_PRELOAD": f"{self._library}:{before}" if before else str(self._library),
            "SHIFTED_CLOCK": str(self._offset),
        }

    def shift(self, seconds: float) -> None:
        """From now on the clock is ahead by so much (behind, where it is negative)."""
        mode = "r+b" if self._offset.exists() else "wb"  # the file stays the same one: it is mapped
        with self._offset.open(mode, buffering=0) as file:
            file.write(_NANOSECONDS.pack(round(seconds * 1e9)))

    def carried_by(self, pid: int) -> bool:
        """Whether a process has this clock."""
        try:
            return str(self._offset) in Path(f"/proc/{pid}/maps").read_text(
                encoding="utf-8", errors="replace"
            )
        except OSError:
            return False
