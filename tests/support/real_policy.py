"""The packaged policy behind the hub's own gate, in this process: guard, wire and embedded engine as in a policy actor, without Ray."""

from collections.abc import Mapping

from actors.core.settings import PolicySettings
from policy.gate import Gate
from policy.policy_actor import PolicyActor
from policy.rego_engine import RegoEngine
from policy.sources import read_sources


def real_policy(modules: Mapping[str, str] | None = None) -> Gate:
    """A `Decider` of `modules`, by default the packaged ones."""
    actor = PolicyActor(RegoEngine(read_sources() if modules is None else modules))

    async def call(questions: bytes) -> bytes:
        return actor.decide(questions)

    return Gate(call, PolicySettings(decide_timeout_s=10.0))
