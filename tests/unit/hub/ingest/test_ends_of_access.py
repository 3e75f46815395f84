"""Access of a device that must end: by the time of its token, by revocation, by the policy; and
look-ups that must not be a storm."""

import asyncio
import math
import time
from types import SimpleNamespace
from typing import Any

import pytest

from actors.core.errors import Forbidden, Unauthorized, Unavailable
from actors.core.messages.deliveries import Attach
from actors.core.settings import HubSettings, Settings
from hub.access.grants import Grants
from hub.ingest.authorization import EdgeAccess
from hub.ingest.pump import Pump
from policy.identity.principal import Principal
from tests.support.doubles.actor_handles import FakeDirectory
from tests.support.doubles.stores import memory_stores
from tests.support.waiting import until

DEVICE = Principal("gate-box", "t-1", "edge", 100, 1_000, cameras=("gate",))


class Around:
    """What of a hub a decision about a device needs."""

    def __init__(self) -> None:
        self.now = 500.0
        self.settings = Settings(hub=HubSettings(expired_grace_s=10.0))
        self.stores = SimpleNamespace(registry=memory_stores().registry, audit_log=None)
        self.decider = self
        self.grants = Grants()
        self.allows = True
        self.reason = ""
        self.is_revoked = False

    def now_s(self) -> float:
        return self.now

    def revoked(self, principal: Principal) -> bool:
        return self.is_revoked

    async def decide(self, question: Any) -> Any:
        return SimpleNamespace(allow=self.allows, reason=self.reason)


@pytest.fixture
async def around() -> Around:
    made = Around()
    await made.stores.registry.register("gate", "north")
    return made


def access(around: Around) -> EdgeAccess:
    return EdgeAccess(around)  # type: ignore[arg-type]


async def test_an_open_stream_ends_with_its_token_and_the_grace(around: Around) -> None:
    asked = access(around)
    around.now = 1_009.9
    assert await asked.still(DEVICE, "gate") is None
    around.now = 1_010.0
    assert isinstance(await asked.still(DEVICE, "gate"), Unauthorized)


async def test_an_open_stream_ends_when_its_token_is_revoked(around: Around) -> None:
    around.is_revoked = True
    assert isinstance(await access(around).still(DEVICE, "gate"), Unauthorized)


async def test_an_open_stream_ends_when_policy_denies_it(around: Around) -> None:
    around.allows = False
    assert isinstance(await access(around).still(DEVICE, "gate"), Forbidden)


async def test_no_decision_for_a_moment_ends_nothing_and_opens_nothing(around: Around) -> None:
    around.allows, around.reason = False, "policy_unavailable"
    assert await access(around).still(DEVICE, "gate") is None
    with pytest.raises(Unavailable):
        await access(around).admit(DEVICE, "gate")


async def test_a_camera_that_cannot_be_found_is_looked_for_at_growing_intervals() -> None:
    directory = FakeDirectory(lambda camera: None)
    pump = Pump("hub-0", directory, HubSettings(), lambda answer: None, wall_us=lambda: 7)
    pump.start()
    try:
        pump.put(Attach("gate", "hub-0/1", "s1", 1, 0))
        await until(lambda: len(directory.lookups) > 1, what="the second look-up")
        before = time.monotonic()
        await asyncio.sleep(0.2)
        spent_s = time.monotonic() - before
        # Pauses double from 0.05 s at least: so many times fit, however slow this machine is.
        assert len(directory.lookups) <= 4 + math.log2(1 + spent_s / 0.05)
    finally:
        await pump.stop(0.0)
