"""Which policy replica is asked, while their number changes."""

import asyncio

import pytest

from actors.core.errors import Unavailable
from policy.actor import ray_policy
from policy.actor.ray_policy import PolicyCaller, PolicyHandle


class Replica(PolicyHandle):
    """Answers by its name."""

    def __init__(self, index: int) -> None:
        super().__init__(f"policy-{index}", None)

    async def decide(self, questions: bytes, timeout_s: float) -> bytes:
        if self.gone:
            raise Unavailable(f"{self.name} is gone")
        return self.name.encode()


async def test_replicas_that_come_and_go_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_policy, "LOOK_S", 0.0)
    living = {0: Replica(0)}
    caller = PolicyCaller(1, namespace="n", timeout_s=1.0, look_up=living.get)
    assert await caller(b"") == b"policy-0"
    living |= {1: Replica(1), 2: Replica(2)}
    seen: set[bytes] = set()

    async with asyncio.timeout(10):
        while len(seen) < 3:
            seen.add(await caller(b""))
            await asyncio.sleep(0.001)
    living.pop(2).gone = True
    for _ in range(6):
        assert await caller(b"") in (b"policy-0", b"policy-1")


async def test_nobody_left_is_unavailable() -> None:
    caller = PolicyCaller(2, namespace="n", timeout_s=1.0, look_up=lambda index: None)
    with pytest.raises(Unavailable):
        await caller(b"")
