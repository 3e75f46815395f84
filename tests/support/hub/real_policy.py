"""The packaged policy behind the hub's own gate, in this process: guard, wire and embedded engine
as in a policy actor, without Ray."""

from collections.abc import Mapping

from actors.core.settings import PolicySettings
from policy.actor.policy_actor import PolicyActor
from policy.decision.enforcer import Enforcer
from policy.engine.modules import read_sources
from policy.engine.rego_engine import RegoEngine


def real_policy(modules: Mapping[str, str] | None = None) -> Enforcer:
    """A `Decider` of `modules`, by default the packaged ones."""
    actor = PolicyActor(RegoEngine(read_sources() if modules is None else modules))

    async def call(questions: bytes) -> bytes:
        return actor.decide(questions)

    return Enforcer(call, PolicySettings(decide_timeout_s=10.0))
