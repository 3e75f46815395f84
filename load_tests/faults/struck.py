"""A fault that was done to a running stack, and how its cause is taken away."""

import time
from collections.abc import Callable

Undo = Callable[[], str]  # what was read back afterwards


class Struck:
    """A fault that is on. `proof`: what was read back; `lasts`: it has a cause that must be taken
    away; `ended`: (process, pid) that somebody must start again."""

    def __init__(
        self, name: str, proof: str, undo: Undo | None = None, ended: tuple[str, int] | None = None
    ) -> None:
        self.name, self.proof, self._undo, self.ended = name, proof, undo, ended
        self.lasts = undo is not None
        self.at_s = time.time()

    def over(self) -> None:
        """Take the cause away, and read that back too. Raises StartError when it is still there."""
        if self._undo is not None:
            self.proof = f"{self.proof}; {self._undo()}"
