"""The policy actor without Ray: settings choose the engine, batches are answered, and the gate and
it understand each other."""

from pathlib import Path

import pytest

from actors.core.errors import BadInput, ConfigError
from actors.core.settings import OpaSettings, PolicySettings, Settings
from policy.actor.policy_actor import PolicyActor, make_engine
from policy.decision import bounds, inputs
from policy.decision.enforcer import Enforcer
from policy.decision.messages import decode_reply, encode_questions
from policy.decision.model import DecisionInput
from policy.engine.modules import read_sources, revision
from policy.engine.opa_engine import OpaEngine
from policy.engine.rego_engine import RegoEngine
from policy.identity.principal import Principal

ADA = Principal("ada", "t-1", "user", 100, 700, ("viewer",), ("north",))


@pytest.fixture(scope="module")
def actor() -> PolicyActor:
    return PolicyActor.from_settings(Settings())


def test_settings_choose_the_engine_and_both_tell_the_same_revision() -> None:
    sources = read_sources()
    embedded, served = (
        make_engine(Settings(), sources),
        make_engine(Settings(opa=OpaSettings(url="http://127.0.0.1:8181")), sources),
    )
    assert isinstance(embedded, RegoEngine)
    assert isinstance(served, OpaEngine)
    assert embedded.revision == served.revision == revision(read_sources())
    served.close()


def test_policies_of_ones_own_may_be_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        PolicyActor.from_settings(Settings(policy=PolicySettings(rego_dir=str(tmp_path))))
    text = (
        'package eyrie.authz\n\ndefault allow := false\n\nreason := "closed"\n\nredact := '
        "[]\n\nmax_hz := null\n"
    )
    (tmp_path / "mine.rego").write_text(text)
    actor = PolicyActor.from_settings(Settings(policy=PolicySettings(rego_dir=str(tmp_path))))
    (made,) = decode_reply(
        actor.decide(encode_questions([inputs.connect(ADA, to="dashboard")]))
    ).decisions
    assert (made.allow, made.reason, made.revision) == (False, "closed", actor.revision)


def test_a_batch_is_answered_in_order(actor: PolicyActor) -> None:
    asked = [
        inputs.subscribe(ADA, "camera", "gate", site=site) for site in ("north", "south", "north")
    ]
    reply = decode_reply(actor.decide(encode_questions(asked)))
    assert reply.revision == actor.revision
    assert [decision.allow for decision in reply.decisions] == [True, False, True]


@pytest.mark.parametrize(
    "data",
    [b"", b"\xc1", b"\x01", b"\x91" * 50_000, encode_questions([DecisionInput("a", {}, {})])[:-3]],
)
def test_bytes_that_hold_no_questions_are_refused(actor: PolicyActor, data: bytes) -> None:
    with pytest.raises(BadInput):
        actor.decide(data)


def test_a_batch_too_large_is_refused(actor: PolicyActor) -> None:
    with pytest.raises(BadInput, match="at most"):
        actor.decide(encode_questions([DecisionInput("a", {}, {})] * (bounds.MAX_BATCH + 1)))


async def test_through_the_gate(actor: PolicyActor) -> None:
    async def call(data: bytes) -> bytes:
        return actor.decide(data)

    gate = Enforcer(call, PolicySettings())
    first = await gate.decide(inputs.connect(ADA, to="dashboard"))
    assert (first.allow, first.redact) == (True, ("faces", "names", "plates"))
    assert await gate.decide(inputs.connect(ADA, to="dashboard")) == first
    assert not (await gate.decide(inputs.subscribe(ADA, "fleet"))).allow
    assert (gate.stats.calls, gate.stats.hits) == (2, 1)
