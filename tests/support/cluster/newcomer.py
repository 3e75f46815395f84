"""Somebody who has just met Eyrie: a system user with a fresh home, at a terminal, on a machine
whose temporary folders are empty.

That machine is this one, in mount and IPC namespaces of their own: what a run leaves in temporary
folders and shared memory is seen, and nobody else's is. Linux, root and util-linux.
"""

import asyncio
import contextlib
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import termios
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.launcher.first_publication import first_publication

ROOT = Path(__file__).resolve().parents[3]
TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")
TOOLS = ("unshare", "nsenter", "setpriv", "setsid", "useradd", "git", "make")
# How this machine's package clients reach what they need; nothing else of our own environment comes
# along.
CLIENTS = re.compile(
    r"^(PIP_|NPM_CONFIG_|NODE_EXTRA_|SSL_CERT_|REQUESTS_|.*CA_BUNDLE$|.*CAINFO$|(https?|no)_proxy$)",
    re.IGNORECASE,
)
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
COLUMNS = 300
END_S = 90.0
INSTALL_S = 1500.0  # seconds for packages, the console and the start, on a busy machine
SEEN_S = 60.0
SITE = "demo"  # the simulated one


def impossible() -> str:
    """Why there can be none here, or an empty text."""
    if os.geteuid() != 0:
        return "needs root, to become another user"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    return f"{', '.join(missing)} is not installed" if missing else ""


@dataclass(frozen=True)
class Person:
    """A system user and their home."""

    name: str
    uid: int
    gid: int
    home: Path

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """What a login gives."""
        own = {
            "HOME": str(self.home),
            "USER": self.name,
            "LOGNAME": self.name,
            "PATH": SYSTEM_PATH,
            "LANG": "C.UTF-8",
            "TERM": "xterm",
        }
        return {
            **{name: value for name, value in os.environ.items() if CLIENTS.match(name)},
            **own,
            **more,
        }


class Machine:
    """The namespaces. Commands run by :meth:`run`, or at a :class:`Terminal`."""

    def __init__(self, mounts: Sequence[str] = ()) -> None:
        fresh = [f"mount -t tmpfs -o mode=1777 tmpfs {path}" for path in TEMPORARY]
        script = "; ".join([*fresh, *mounts, "echo ready", "exec sleep infinity"])
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--ipc", "--propagation", "private", "sh", "-ec", script],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "ready\n", "the namespaces could not be made"

    def command(self, person: Person, folder: Path, words: Sequence[str | Path]) -> list[str]:
        """`words` as that person in `folder`, inside."""
        become = ["setpriv", f"--reuid={person.uid}", f"--regid={person.gid}", "--clear-groups"]
        return [
            "nsenter",
            f"--target={self._holder.pid}",
            "--mount",
            "--ipc",
            f"--wdns={folder}",
            *become,
            *map(str, words),
        ]

    def attempt(
        self,
        person: Person,
        folder: Path,
        *words: str | Path,
        env: Mapping[str, str] | None = None,
        timeout_s: float = 120.0,
    ) -> "subprocess.CompletedProcess[str]":
        """Run to the end, well or not."""
        return subprocess.run(
            self.command(person, folder, words),
            env=person.environment(env or {}),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def run(
        self,
        person: Person,
        folder: Path,
        *words: str | Path,
        env: Mapping[str, str] | None = None,
        timeout_s: float = 120.0,
    ) -> str:
        """Run to the end; what it printed. Fails when it fails."""
        done = self.attempt(person, folder, *words, env=env, timeout_s=timeout_s)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def inside(self, path: str | Path) -> Path:
        """`path` of that machine, as seen from here."""
        return Path(f"/proc/{self._holder.pid}/root{path}")

    def left(self) -> list[str]:
        """What is there beside the empty machine: processes, files in temporary folders, shared
        memory."""
        own = os.readlink(f"/proc/{self._holder.pid}/ns/mnt")
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != self._holder.pid:
                with contextlib.suppress(OSError):
                    if os.readlink(entry / "ns" / "mnt") == own:
                        found.append(
                            f"process {entry.name}: "
                            f"{(entry / 'cmdline').read_bytes().replace(bytes(1), b' ').decode()}"
                        )
        found += [
            f"file {folder}/{name}"
            for folder in TEMPORARY
            for name in os.listdir(self.inside(folder))
        ]
        segments = self._sysv("/proc/sysvipc/shm") + self._sysv("/proc/sysvipc/sem")
        return found + [f"IPC {line}" for line in segments]

    def _sysv(self, table: str) -> list[str]:
        command = ["nsenter", f"--target={self._holder.pid}", "--ipc", "cat", table]
        told = subprocess.run(command, capture_output=True, text=True, check=True)
        return told.stdout.splitlines()[1:]

    def close(self) -> None:
        """End what is left in it, and it."""
        own = os.readlink(f"/proc/{self._holder.pid}/ns/mnt")
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if (
                        os.readlink(entry / "ns" / "mnt") == own
                        and int(entry.name) != self._holder.pid
                    ):
                        os.kill(int(entry.name), signal.SIGKILL)
        self._holder.kill()
        self._holder.communicate()


class Terminal:
    """A command at a terminal of its own, whose foreground process group a Ctrl-C reaches."""

    def __init__(
        self,
        machine: Machine,
        person: Person,
        folder: Path,
        words: Sequence[str | Path],
        env: Mapping[str, str],
    ) -> None:
        self._ours, theirs = os.openpty()
        termios.tcsetwinsize(theirs, (50, COLUMNS))
        self._said = bytearray()
        self._process = subprocess.Popen(
            machine.command(person, folder, ["setsid", "--ctty", *words]),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=person.environment(env),
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, name="terminal", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(
            OSError
        ):  # the other side is closed: everybody at this terminal has ended
            while part := os.read(self._ours, 65536):
                self._said += part

    @property
    def said(self) -> str:
        """What is on the screen, without colours."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._said.decode(errors="replace")).replace(
            "\r", "\n"
        )

    def until(self, pattern: str, within_s: float) -> "re.Match[str]":
        """Wait until the screen matches. Fails with the screen when the command ends before."""
        deadline = time.monotonic() + within_s
        while (found := re.search(pattern, self.said)) is None:
            ended = self._process.poll() is not None
            assert not ended or re.search(pattern, self.said), (
                f"it ended with {self._process.returncode}:\n{self.said[-4000:]}"
            )
            assert time.monotonic() < deadline, (
                f"not within {within_s:g} s: {pattern}\n{self.said[-4000:]}"
            )
            time.sleep(0.05)
        return found

    def interrupt(self) -> None:
        """Ctrl-C, which the terminal turns into SIGINT for the foreground."""
        os.write(self._ours, b"\x03")

    def wait(self, within_s: float = END_S) -> int:
        """The exit code."""
        code = self._process.wait(within_s)
        self._reader.join(5.0)
        return code

    def close(self) -> None:
        """Hang up."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._ours)


@contextlib.contextmanager
def machine(*mounts: str) -> Iterator[Machine]:
    """A machine, ended with all that runs on it. `mounts`: commands for further file systems."""
    made = Machine(mounts)
    try:
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def terminal(
    where: Machine,
    who: Person,
    folder: Path,
    *words: str | Path,
    env: Mapping[str, str] | None = None,
) -> Iterator[Terminal]:
    """A command at a terminal, which is hung up at the end."""
    made = Terminal(where, who, folder, words, env or {})
    try:
        yield made
    finally:
        made.close()


def clone(where: Machine, who: Person, folder: Path) -> Path:
    """A clone of what is committed here, in `folder`. Git refuses a repository of another user: it
    comes by way of a bundle."""
    bundle = who.home.parent / "eyrie.bundle"
    subprocess.run(
        ["git", "-c", "safe.directory=*", "bundle", "create", "--quiet", bundle, "HEAD"],
        cwd=ROOT,
        check=True,
        timeout=60,
    )
    bundle.chmod(0o644)
    where.run(who, who.home, "git", "clone", "--quiet", bundle, folder)
    return folder


def wall_seen_and_stopped(
    up: Terminal, where: Machine, who: Person, checkout: Path, data: Path
) -> None:
    """Wait for the wall, see it live on a websocket of our own, press Ctrl-C, and find nothing
    left."""
    up.until("first live publication on a subscriber", INSTALL_S)
    url = up.until(r"console +http(://[0-9.:]+/)", 5)[1]
    token = where.run(
        who, checkout, checkout / ".venv" / "bin" / "eyrie", "token", "--data-dir", data
    ).strip()
    seen = asyncio.run(
        first_publication(f"ws{url}connection/websocket", token, SITE, SEEN_S, None, hint="")
    )
    assert len(seen["cameras"]) > 0
    up.until("Ctrl-C stops everything", 5)
    up.interrupt()
    code = up.wait()
    assert "stopped; everything acked is on disk" in up.said
    assert "Traceback" not in up.said
    assert where.left() == []
    assert [
        path for path in (data / "run").rglob("*") if path.is_socket() or path.suffix == ".pid"
    ] == []
    assert (data / "postgres").is_dir()
    assert code in (0, -2, 130), up.said[-2000:]  # -2: make itself ends by the signal


@contextlib.contextmanager
def person(home: str, *, system_user: bool = False) -> Iterator[Person]:
    """Root, or a system user made for this, with a closed home of that name below a folder of its
    own; removed at the end."""
    base = Path(tempfile.mkdtemp(prefix="eyrie-newcomer-", dir="/home"))
    base.chmod(0o755)
    path = base / home
    name = f"eyrie-{secrets.token_hex(4)}" if system_user else "root"
    try:
        if system_user:
            subprocess.run(
                [
                    "useradd",
                    "--no-create-home",
                    "--home-dir",
                    path,
                    "--shell",
                    "/bin/sh",
                    "--user-group",
                    name,
                ],
                check=True,
            )
        entry = pwd.getpwnam(name)
        path.mkdir(mode=0o700)
        path.chmod(0o700)
        os.chown(path, entry.pw_uid, entry.pw_gid)
        yield Person(name, entry.pw_uid, entry.pw_gid, path)
    finally:
        if system_user:
            subprocess.run(["userdel", name], check=False, capture_output=True)
        shutil.rmtree(base, ignore_errors=True)
