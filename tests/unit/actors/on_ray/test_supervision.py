"""Who asks the supervisor looks for its name again when the one it knew is gone: Ray gives another
actor of that name another handle."""

import asyncio
from typing import Any

import pytest
import ray.exceptions

from actors.core.errors import Unavailable
from actors.on_ray.supervision import RaySupervision


class Handle:
    """As Ray's of an actor, with one method. `gone`: its actor has ended for good."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.gone = False

    @property
    def turn(self) -> "Handle":
        return self

    def remote(self) -> "asyncio.Future[dict[str, Any]]":
        """The call."""
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        if self.gone:
            answer.set_exception(ray.exceptions.ActorDiedError())
        else:
            answer.set_result({"age_s": 0.5, "node": "n1", "pid": self.pid, "started": 9})
        return answer


class Named:
    """Who has the name now; how often that was asked."""

    def __init__(self, handle: Handle | None) -> None:
        self.handle = handle
        self.asked = 0

    async def find(self, name: str, namespace: str) -> Handle | None:
        self.asked += 1
        return self.handle


async def test_one_that_answers_is_not_looked_for_again() -> None:
    named = Named(Handle(1))
    supervision = RaySupervision("eyrie", named.find)
    assert [(await supervision.turn()).pid for _ in range(3)] == [1, 1, 1]
    assert named.asked == 1


async def test_one_that_is_gone_is_looked_for_by_its_name_and_the_next_one_is_heard() -> None:
    first = Handle(1)
    named = Named(first)
    supervision = RaySupervision("eyrie", named.find)
    await supervision.turn()
    first.gone, named.handle = True, None
    with pytest.raises(Unavailable, match="is gone"):
        await supervision.turn()
    with pytest.raises(Unavailable, match="there is no supervisor"):
        await supervision.turn()
    named.handle = Handle(2)
    assert (await supervision.turn()).pid == 2
