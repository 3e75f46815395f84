"""The policy actor under a real Ray: found by name, replaced after a kill, and the gate stays closed meanwhile."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from actors.core.errors import ConfigError, Conflict, Unavailable
from actors.core.settings import PolicySettings, Settings
from policy import guard, questions
from policy.gate import Gate
from policy.ports import Principal
from policy.ray_policy import PolicyCaller, PolicyHandle, find, start
from policy.wire import decode_reply, encode_questions
from storage.settings_files import write_resolved
from tests.support.ray_head import local_ray
from tests.support.waiting import until

pytestmark = pytest.mark.ray

NAMESPACE = "policy-test"
ADA = Principal("ada", "t-1", "user", 100, 700, ("viewer",), ("north",))
ASKED = questions.connect(ADA, to="dashboard")


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
    gate = Gate(caller, PolicySettings(decide_timeout_s=10.0))
    assert (await gate.decide(ASKED)).reason == guard.POLICY_UNAVAILABLE

    path = settings_file(tmp_path, Settings())
    handle = start(path, 0, namespace=NAMESPACE)
    with pytest.raises(Unavailable, match="not open"):
        await handle.decide(encode_questions([ASKED]), 30.0)
    revision = await handle.open(30.0)
    assert await handle.open(30.0) == revision
    with pytest.raises(Conflict):
        start(path, 0, namespace=NAMESPACE)

    made = await gate.decide(ASKED)
    assert (made.allow, made.revision) == (True, revision)
    with pytest.raises(Unavailable, match="in 1e-06 s"):
        await handle.decide(encode_questions([ASKED]), 1e-6)

    watching = asyncio.create_task(handle.died())
    await asyncio.sleep(0)
    assert await handle.stop(1.0)
    assert "gone" in await asyncio.wait_for(watching, 20)
    await until(lambda: find(0, namespace=NAMESPACE) is None, within_s=40)
    gate.drop()
    assert (await gate.decide(ASKED)).reason == guard.POLICY_UNAVAILABLE
    again = start(path, 0, namespace=NAMESPACE)
    assert await again.open(30.0) == revision
    assert (await gate.decide(ASKED)).allow
    again.kill()
    await gate.close()


async def test_settings_that_cannot_be_used_are_told_and_a_second_replica_helps(tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    empty = settings_file(tmp_path / "bad", Settings(policy=PolicySettings(rego_dir=str(tmp_path / "bad"))))
    broken, good = start(empty, 1, namespace=NAMESPACE), start(settings_file(tmp_path, Settings()), 0, namespace=NAMESPACE)
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


async def test_check_46_a_policy_that_runs_for_ever_is_killed_and_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "bomb"
    folder.mkdir()
    digits = ", ".join(str(number) for number in range(300))
    loops = "".join(f"some {name} in digits; " for name in "abcd")
    (folder / "authz.rego").write_text(
        'package eyrie.authz\n\ndefault allow := false\n\nreason := "ok"\n\nredact := []\n\nmax_hz := null\n\n'
        f"digits := [{digits}]\n\nallow if count([1 | {loops}a + b + c + d > input.n]) > 0\n"
    )
    bomb = start(settings_file(folder, Settings(policy=PolicySettings(rego_dir=str(folder)))), 0, namespace=NAMESPACE)
    gate = Gate(PolicyCaller(1, namespace=NAMESPACE, timeout_s=0.5), PolicySettings(decide_timeout_s=0.5))
    try:
        await bomb.open(30.0)
        assert (await gate.decide(ASKED)).reason == guard.POLICY_UNAVAILABLE
        found = ray.get_actor(bomb.name, namespace=NAMESPACE)
        watched = PolicyHandle(bomb.name, found, stuck_s=0.5)
        assert "killed" in await asyncio.wait_for(watched.died(), 20)
    finally:
        bomb.kill()
    await until(lambda: find(0, namespace=NAMESPACE) is None, within_s=40)
    good = start(settings_file(tmp_path, Settings()), 0, namespace=NAMESPACE)
    try:
        await good.open(30.0)
        assert (await gate.decide(ASKED)).allow
    finally:
        good.kill()
        await gate.close()
