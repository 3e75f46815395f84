"""Processes of a bench that answer over a pipe: what loads the product must not share an
interpreter with what measures."""

import multiprocessing
from multiprocessing.connection import Connection
from typing import Any

from actors.core.errors import EyrieError, StartError

ANSWER_S = 120.0  # a child that says nothing for so long has failed


class BenchChild:
    """A process of the bench that answers over a pipe."""

    def __init__(self, target: Any, *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=target, args=(theirs, *arguments), daemon=True)

    def __enter__(self) -> "BenchChild":
        self._process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.send(None)
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    @property
    def pipe(self) -> Connection:
        """To the process, for those that say more than one thing at a time."""
        return self._pipe

    def send(self, what: object) -> None:
        """Say `what`; the answer is heard later."""
        self._pipe.send(what)

    def ask(self, what: object) -> Any:
        """Say `what`; the next answer."""
        self.send(what)
        return self.hear()

    def hear(self, within_s: float = ANSWER_S) -> Any:
        """The next answer. Raises what went wrong there."""
        said = (
            self._pipe.recv()
            if self._pipe.poll(within_s)
            else StartError("a process of the bench does not answer")
        )
        if isinstance(said, EyrieError | OSError):
            raise said
        return said
