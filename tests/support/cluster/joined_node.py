"""A further node of a running product: `eyrie up --address` as a child with a data directory of its
own; killed, frozen or drained."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cluster.ray.process import descendants
from storage.embedded.data_dir import DataDir, start_time
from storage.process.settings_files import read_resolved
from tests.support.cluster.product import COMMAND, ROOT, STOP_S, Product, data_folder
from tests.support.waiting import block_until


class JoinedNode:
    """A node that joins `head`. `before`: words before the command, such as ``ip netns exec
    NAME``."""

    def __init__(
        self, head: Product, path: Path, arguments: Sequence[str] = (), before: Sequence[str] = ()
    ) -> None:
        self.data = DataDir(path)
        self.data.prepare()
        for key in head.data.keys.iterdir():
            shutil.copy2(key, self.data.keys / key.name)
        self._log = path / "node.log"
        address = read_resolved(head.data.settings_file).ray.address
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *before,
                    *COMMAND,
                    "up",
                    "--json",
                    "--data-dir",
                    str(path),
                    "--address",
                    address,
                    *arguments,
                ],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        self.id = ""
        self._frozen: list[int] = []

    def wait_ready(self) -> None:
        """Wait until it has joined."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the node ended:\n{self.log()}"
        self.id = str(json.loads(line)["node"])

    def log(self) -> str:
        """What it said on standard error."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def processes(self) -> list[int]:
        """Its whole tree."""
        return sorted(
            {
                self._process.pid,
                *descendants(self._process.pid),
                *(record.pid for record in self.data.noted()),
            }
        )

    def freeze(self) -> None:
        """SIGSTOP for the whole tree, the launcher first: as a machine that hangs."""
        self._frozen = self.processes()
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT for what was frozen."""
        self._signal(signal.SIGCONT)
        self._frozen = []

    def kill(self) -> None:
        """`kill -9` for the whole tree at once: as a machine that lost its power."""
        self._frozen = self.processes()
        started = {pid: start_time(pid) for pid in self._frozen}
        self._signal(signal.SIGSTOP)
        self._signal(signal.SIGKILL)
        self._process.communicate(timeout=STOP_S)
        block_until(
            lambda: all(
                start_time(pid) != began for pid, began in started.items() if began is not None
            ),
            "the node is gone",
        )
        self._frozen = []

    def leave(self) -> dict[str, Any]:
        """Ctrl-C; the last line it printed."""
        self._process.send_signal(signal.SIGINT)
        rest, _ = self._process.communicate(timeout=STOP_S)
        return dict(json.loads(rest.strip().splitlines()[-1]))

    def end(self) -> None:
        """End it, however it is."""
        if self._frozen:
            self.thaw()
        if self._process.poll() is None:
            self.kill()

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


@contextlib.contextmanager
def joined(head: Product, *arguments: str, before: Sequence[str] = ()) -> Iterator[JoinedNode]:
    """A node that has joined, gone at the end."""
    with data_folder() as path:
        node = JoinedNode(head, path, arguments, before)
        try:
            node.wait_ready()
            yield node
        finally:
            node.end()
