"""The policy actor under a real Ray: found by name, replaced after a kill, and the gate stays
closed meanwhile."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from actors.core.errors import ConfigError, Conflict, Unavailable
from actors.core.settings import PolicySettings, RaySettings, Settings
from actors.core.task_set import TaskSet
from cluster.ray.machine import RayMachine
from cluster.supervisor.services import Services
from policy.actor import ray_policy
from policy.actor.ray_policy import PolicyCaller, find, start
from policy.decision import bounds, inputs
from policy.decision.enforcer import Enforcer
from policy.decision.messages import decode_reply, encode_questions
from policy.identity.principal import Principal
from storage.process.settings_files import write_resolved
from tests.support.servers.ray_head import local_ray
from tests.support.waiting import until

pytestmark = pytest.mark.ray

NAMESPACE = "policy-test"
ADA = Principal("ada", "t-1", "user", 100, 700, ("viewer",), ("north",))
ASKED = inputs.connect(ADA, to="dashboard")


@pytest.fixture(scope="module", autouse=True)
def _ray() -> Iterator[None]:
    with local_ray(NAMESPACE):
        yield


def settings_file(folder: Path, settings: Settings) -> str:
    write_resolved(folder / "settings.json", settings)
    return str(folder / "settings.json")


async def test_the_life_of_a_policy_actor(tmp_path: Path) -> None:
    assert find(0, namespace=NAMESPACE) is None
    caller = PolicyCaller(1, namespace=NAMESPACE, timeout_s=10.0)
    gate = Enforcer(caller, PolicySettings(decide_timeout_s=10.0))
    assert (await gate.decide(ASKED)).reason == bounds.POLICY_UNAVAILABLE

    path = settings_file(tmp_path, Settings())
    handle = start(path, 0, namespace=NAMESPACE)
    with pytest.raises(Unavailable, match="not open"):
        await handle.decide(encode_questions([ASKED]), 30.0)
    revision = (await handle.open(30.0))["revision"]
    assert (await handle.open(30.0))["revision"] == revision
    with pytest.raises(Conflict):
        start(path, 0, namespace=NAMESPACE)

    made = await gate.decide(ASKED)
    assert (made.allow, made.revision) == (True, revision)
    with pytest.raises(Unavailable, match="in 1e-06 s"):
        await handle.decide(encode_questions([ASKED]), 1e-6)

    watching = asyncio.create_task(handle.died())
    await asyncio.sleep(0)
    assert await handle.stop(1.0)
    assert "gone" in await asyncio.wait_for(watching, 60)
    await until(lambda: find(0, namespace=NAMESPACE) is None, within_s=40)
    gate.drop()
    assert (await gate.decide(ASKED)).reason == bounds.POLICY_UNAVAILABLE
    again = start(path, 0, namespace=NAMESPACE)
    assert (await again.open(30.0))["revision"] == revision
    assert (await gate.decide(ASKED)).allow
    again.kill()
    await gate.close()


async def test_settings_that_cannot_be_used_are_told_and_a_second_replica_helps(
    tmp_path: Path,
) -> None:
    (tmp_path / "bad").mkdir()
    empty = settings_file(
        tmp_path / "bad", Settings(policy=PolicySettings(rego_dir=str(tmp_path / "bad")))
    )
    broken, good = (
        start(empty, 1, namespace=NAMESPACE),
        start(settings_file(tmp_path, Settings()), 0, namespace=NAMESPACE),
    )
    try:
        with pytest.raises(ConfigError, match="1 to 32"):
            await broken.open(30.0)
        await good.open(30.0)
        caller = PolicyCaller(2, namespace=NAMESPACE, timeout_s=10.0)
        replies = await asyncio.gather(*(caller(encode_questions([ASKED])) for _ in range(4)))
        assert all(decode_reply(reply).decisions[0].allow for reply in replies)
    finally:
        with contextlib.suppress(ray.exceptions.RayError):
            broken.kill()
            good.kill()


# Few steps, each of them long: unions of large sets. The bound of steps does not see it, so the
# process has to go.
STUCK = """package eyrie.authz

default allow := false

reason := "ok"

redact := []

max_hz := null

digits := [%s]

large := {number | some a in digits; some b in digits; number := (a * 100) + b}

allow if input.action == "connect"

allow if {
	input.action == "subscribe"
	count([1 | some a in digits; some b in digits; sum(large | {a, b}) > count(input.subject.roles)]) > 0
}
"""  # noqa: E501


async def test_check_46_a_policy_that_runs_for_ever_is_killed_and_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "stuck"
    folder.mkdir()
    (folder / "authz.rego").write_text(STUCK % ", ".join(map(str, range(100))))
    settings = Settings(
        policy=PolicySettings(rego_dir=str(folder)), ray=RaySettings(namespace=NAMESPACE)
    )
    monkeypatch.setattr(ray_policy, "STUCK_S", 0.5)
    machine, tasks = (
        RayMachine(settings_file(folder, settings), settings),
        TaskSet(logging.getLogger("eyrie.tests")),
    )
    services = Services({"policy": machine.start_policy}, tasks, start_timeout_s=60.0, grace_s=1.0)
    gate = Enforcer(
        PolicyCaller(1, namespace=NAMESPACE, timeout_s=0.5), PolicySettings(decide_timeout_s=0.5)
    )
    try:
        services.want("policy", 1)
        watched = services.services["policy-0"]
        await until(lambda: watched.state == "ready", within_s=60)
        stuck = watched.pid
        assert stuck > 0
        assert (
            await gate.decide(inputs.subscribe(ADA, "fleet"))
        ).reason == bounds.POLICY_UNAVAILABLE
        await until(
            lambda: watched.restarts == 1 and watched.state == "ready" and watched.pid != stuck,
            within_s=60,
        )
        assert "killed" in watched.last_error
        gate.drop()
        await until_allowed(gate)
    finally:
        await tasks.close()
        if (living := find(0, namespace=NAMESPACE)) is not None:
            living.kill()
        await gate.close()


async def until_allowed(gate: Enforcer) -> None:
    """The new process answers; the gate may hold the one before for a call."""
    async with asyncio.timeout(30):
        while not (await gate.decide(ASKED)).allow:
            gate.drop()
            await asyncio.sleep(0.1)
