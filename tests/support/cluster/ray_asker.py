"""A Ray driver for tests, in a process of its own: Ray reads its environment when it is imported,
and a test process imported it long ago.

``python -m tests.support.cluster.ray_asker ADDRESS TOKEN_FILE``: one JSON list a line on standard
input, one JSON value a line on standard output.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import ray

from actors.core.errors import EyrieError
from actors.core.settings import RaySettings
from actors.on_ray.calls import answer, find, kill
from cluster.planning.placement import NodeView
from cluster.ray import nodes as ray_nodes
from cluster.ray import session
from cluster.ray.process import environment
from tests.support.cluster.product import ROOT

ANSWER_S = 60.0


class Where:
    """An actor that says where it runs, and what its node's settings are."""

    async def tell(self) -> tuple[str, str]:
        """Ray's id of the node, and the settings file of the environment."""
        return ray.get_runtime_context().get_node_id(), os.environ.get("EYRIE_SETTINGS_FILE", "")


async def carry_out(words: list[Any]) -> Any:
    """One question."""
    match words:
        case ["nodes"]:
            return await ray_nodes.nodes()
        case ["where", node]:
            actor: Any = ray.remote(Where)
            made = actor.options(
                num_cpus=0, max_restarts=0, resources={"camera_slot": 1}, **ray_nodes.bound_to(node)
            ).remote()
            return await answer(made.tell.remote(), ANSWER_S, "an actor")
        case ["release", node, seconds]:
            return await ray_nodes.release(node, seconds)
        case ["request", cameras]:
            return await ray_nodes.request(cameras)
        case ["end", name, namespace]:  # for good: Ray restarts nothing that is ended in this way
            handle = await find(name, namespace)
            if handle is not None:
                kill(handle)
            return handle is not None
    raise AssertionError(words)


async def serve() -> None:
    """Until standard input ends."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        try:
            told = ["answer", await carry_out(msgspec.json.decode(line))]
        except EyrieError as error:
            told = ["refused", error.detail]
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
        sys.stdout.flush()


class Asker:
    """The process, from the test's side."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, *words: Any) -> Any:
        """The answer, or ``None`` when it was refused."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(words).decode() + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith('["answer"'):
                return msgspec.json.decode(line)[1]
            if line.startswith('["refused"'):
                return None
        raise AssertionError("the driver ended")

    def nodes(self) -> list[NodeView]:
        """The living nodes."""
        return msgspec.convert(self.ask("nodes"), list[NodeView])


@contextmanager
def asker(address: str, token_file: Path) -> Iterator[Asker]:
    """A driver of the cluster at `address`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.cluster.ray_asker", address, str(token_file)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**environment(token_file), "PYTHONPATH": str(ROOT)},
    )
    try:
        yield Asker(process)
    finally:
        process.communicate(timeout=60)


if __name__ == "__main__":
    session.connect(RaySettings(address=sys.argv[1], token_file=sys.argv[2]))
    asyncio.run(serve())
    session.disconnect()
