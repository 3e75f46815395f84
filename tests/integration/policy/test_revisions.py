"""Revisions against a real PostgreSQL and real engines: what is activated decides, what does not
fit is never loaded."""

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import pytest

from actors.core.errors import BadInput, ConfigError, Unavailable
from actors.core.settings import OpaSettings, PolicySettings, Settings
from policy.actor import revisions
from policy.actor.loader import Loader
from policy.actor.policy_actor import PolicyActor, make_engine
from policy.decision import bounds, inputs
from policy.decision.messages import decode_reply, encode_questions
from policy.decision.model import Decision, Engine
from policy.engine import lint, sandbox
from policy.engine.modules import read_sources, revision
from policy.engine.rego_engine import RegoEngine
from policy.identity.keys import ensure_secret, read_secret
from policy.identity.principal import Principal
from storage.ports.policy import PolicyActivation
from storage.stores import Stores
from tests.support.servers.opa_server import MISSING, opa_binary, opa_server
from tests.support.servers.store_fixtures import Servers
from tests.support.waiting import until

KEY = b"k" * 32
ADA = Principal("ada", "t-1", "user", 100, 700, ("viewer",), ("north",))
ASKED = inputs.connect(ADA, to="dashboard")
CLOSED = {
    "closed.rego": "package eyrie.authz\n\ndefault allow := false\n\nreason := "
    '"closed"\n\nredact := []\n\nmax_hz := null\n'
}


class Loaded:
    """A loader over the store and the engine it has given."""

    def __init__(self, stores: Stores) -> None:
        self.engine: Engine | None = None
        self.loader = Loader(stores.revisions, KEY, RegoEngine, self._use)

    def _use(self, engine: Engine) -> None:
        self.engine = engine

    @property
    def revision(self) -> str:
        return "" if self.engine is None else self.engine.revision


async def activate(
    stores: Stores, modules: Mapping[str, str], key: bytes = KEY
) -> PolicyActivation:
    record = revisions.signed(modules, key, author="pia")
    await stores.revisions.add(record)
    made = revisions.activation(
        await stores.revisions.current(), record.revision, key, author="pia"
    )
    assert await stores.revisions.activate(made)
    return made


async def test_the_settings_modules_are_in_force_until_somebody_activates_others(
    stores: Stores,
) -> None:
    packaged = read_sources()
    for modules in (packaged, packaged, CLOSED, packaged):
        await revisions.keep_default(stores.revisions, KEY, modules)
        assert (await stores.policy.marks()).revision == revision(modules)
    current = await stores.revisions.current()
    assert current is not None
    assert current.generation == 3
    await activate(stores, CLOSED)
    await revisions.keep_default(stores.revisions, KEY, packaged)
    assert (await stores.policy.marks()).revision == revision(CLOSED)


async def test_what_is_activated_decides(stores: Stores) -> None:
    loaded = Loaded(stores)
    await loaded.loader.poll()
    assert loaded.engine is None
    assert "ever activated" in loaded.loader.refused
    await activate(stores, read_sources())
    await loaded.loader.poll()
    assert loaded.engine is not None
    assert loaded.loader.refused == ""
    assert loaded.engine.decide([ASKED])[0].allow
    await activate(stores, CLOSED)
    await loaded.loader.poll()
    assert loaded.engine.decide([ASKED]) == [bounds.denied("closed", revision(CLOSED))]


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE policy_revisions SET source = replace(source::text, '6c', '6d')::bytea WHERE "
        "author <> ''",
        "UPDATE policy_revisions SET source = 'not json' WHERE author <> ''",
        "UPDATE policy_revisions SET signature = '' WHERE author <> ''",
        "UPDATE policy_activations SET signature = '' WHERE generation = 2",
        "UPDATE policy_activations SET generation = 7 WHERE generation = 2",
    ],
)
async def test_120_what_does_not_fit_is_not_loaded_and_the_last_good_one_stays(
    stores: Stores, tamper: str
) -> None:
    await revisions.keep_default(stores.revisions, KEY, read_sources())
    loaded, late = Loaded(stores), Loaded(stores)
    await loaded.loader.poll()
    good = loaded.revision
    await activate(stores, CLOSED)
    await stores.database.fetch(tamper)
    for each in (loaded, late):
        await each.loader.poll()
        assert each.loader.refused
    assert (loaded.revision, late.revision) == (good, "")


async def test_120_an_older_activation_put_back_is_not_loaded(stores: Stores) -> None:
    await revisions.keep_default(stores.revisions, KEY, read_sources())
    loaded = Loaded(stores)
    await activate(stores, CLOSED)
    await loaded.loader.poll()
    await stores.database.fetch("DELETE FROM policy_activations WHERE generation = 2")
    await loaded.loader.poll()
    assert loaded.revision == revision(CLOSED)
    assert "older" in loaded.loader.refused


async def test_120_a_revision_of_another_key_is_not_loaded(stores: Stores) -> None:
    loaded = Loaded(stores)
    await activate(stores, CLOSED, key=b"x" * 32)
    await loaded.loader.poll()
    assert loaded.engine is None
    assert "not signed" in loaded.loader.refused


async def test_a_policy_that_ends_its_process_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await sandbox.attempt(read_sources(), [ASKED]))[0].allow
    with pytest.raises(BadInput, match="missing"):
        await sandbox.attempt({"a.rego": "package eyrie.authz\n"})
    with pytest.raises(BadInput, match="not done within"):
        await sandbox.attempt(read_sources(), deadline_s=0.001)
    monkeypatch.setattr(lint, "lint", lambda modules: [])
    aborting = dict(CLOSED)
    aborting["closed.rego"] += "\nodd if { allow with input as {} }\n"
    with pytest.raises(BadInput):  # `with` makes the engine end its process: not this one
        await sandbox.attempt(aborting, [ASKED])


def answers(actor: PolicyActor) -> Decision:
    return decode_reply(actor.decide(encode_questions([ASKED]))).decisions[0]


@pytest.fixture
def settings(servers: Servers, tmp_path: Path) -> Settings:
    path = tmp_path / "policy.secret"
    ensure_secret(path)
    return msgspec.structs.replace(
        servers.settings, policy=PolicySettings(key_file=str(path), poll_s=0.05)
    )


async def test_a_policy_actor_follows_within_seconds(stores: Stores, settings: Settings) -> None:
    key = read_secret(Path(settings.policy.key_file))
    with pytest.raises(Unavailable, match="ever activated"):
        PolicyActor.from_settings(settings)
    await revisions.keep_default(stores.revisions, key, read_sources())
    actor = PolicyActor.from_settings(settings)
    try:
        assert answers(actor).allow
        await activate(stores, CLOSED, key)
        await until(lambda: actor.revision == revision(CLOSED), what="the new revision decides")
        assert answers(actor).reason == "closed"
    finally:
        actor.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "policy-follower"]


@pytest.fixture(scope="module")
def empty_opa() -> Iterator[str]:
    binary = opa_binary()
    if binary is None:
        pytest.skip(MISSING)
    with opa_server(binary, None) as url:
        yield url


def test_an_opa_server_serves_what_is_in_force_or_decides_nothing(empty_opa: str) -> None:
    settings = Settings(opa=OpaSettings(url=empty_opa, timeout_s=5.0))
    sources = read_sources()
    unpushed = make_engine(settings, sources)
    assert unpushed.decide([ASKED])[0].reason == bounds.POLICY_ERROR
    pushed = make_engine(settings, sources, push=True)
    assert pushed.decide([ASKED])[0].allow
    assert unpushed.decide([ASKED])[0].allow
    other = make_engine(settings, CLOSED, push=True)
    assert other.decide([ASKED])[0].reason == "closed"
    assert pushed.decide([ASKED]) == [bounds.denied(bounds.POLICY_ERROR, pushed.revision)]
    pushed.keep()
    assert pushed.decide([ASKED])[0].allow
    with pytest.raises(ConfigError, match="OPA refuses"):
        make_engine(settings, {"a.rego": "package eyrie.authz\n\nallow { true }\n"}, push=True)
    assert pushed.decide([ASKED])[0].reason == bounds.POLICY_ERROR
    pushed.keep()
    assert pushed.decide([ASKED])[0].allow
