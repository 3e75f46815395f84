"""Attack 8: a revision that takes seconds to answer, or locks its activator out, does not come into
force; offline, there is a way back."""

import asyncio
import json
import os
import pwd
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from actors.core.errors import BadInput
from actors.core.settings import DataSettings, PolicySettings, PostgresSettings, Settings
from cluster.cli.main import main
from cluster.launcher import setup
from policy.actor import revisions
from policy.actor.decision_log import row_of
from policy.actor.loader import Loader
from policy.audit import beginning, prove
from policy.decision import inputs
from policy.decision.model import Decision, Engine
from policy.engine import sandbox
from policy.engine.modules import read_sources
from policy.engine.rego_engine import RegoEngine
from policy.identity.keys import ensure_secret, read_secret
from policy.identity.principal import Principal
from storage.embedded.data_dir import DataDir
from storage.embedded.postgres import EmbeddedPostgres
from storage.migrations import migrate
from storage.postgres.audit_log import PostgresAuditLog
from storage.postgres.policy import PostgresRevisionStore
from storage.postgres.pool import Database
from tests.support.cluster.product import data_folder
from tests.support.doubles.memory_revisions import MemoryRevisions
from tests.support.hub.hub import PLAIN, TestHub
from tests.support.hub.two_sites import two_sites
from tests.support.servers.store_fixtures import Servers

PATH = "/v1/policy"
DIGITS = "digits := [" + ", ".join(map(str, range(100))) + "]\n\n"
LARGE = "large := {number | some a in digits; some b in digits; number := (a * 100) + b}\n\n"
MANY = (
    'deny contains "slow" if {\n\t%s\n\tcount([1 | some a in digits; some b in digits; some c '
    "in digits; a + b + c < 0]) > 0\n}\n"
)
LONG = (
    'deny contains "slow" if {\n\t%s\n\tcount([1 | some a in digits; some b in digits; '
    "sum(large | {a, b}) < 0]) > 0\n}\n"
)
SUBSCRIBE = 'input.action == "subscribe"'
ADA = Principal("ada", "t-1", "user", 100, 700, ("privacy",), ("*",))
VIEWER = Principal("eve", "t-2", "user", 100, 700, ("viewer",), ("north",))


def slow(rule: str, when: str = SUBSCRIBE) -> dict[str, str]:
    """The packaged policy with a denial that takes seconds to find out."""
    sources = read_sources()
    return sources | {
        "authz.rego": sources["authz.rego"]
        + "\n"
        + DIGITS
        + (LARGE if "large" in rule else "")
        + rule % when
    }


# Users of two sites → what they are answered about the one and the other, whatever somebody
# uploads.
USERS: dict[str, tuple[dict[str, Any], tuple[int, int]]] = {
    "viewer": ({"roles": ["viewer"], "sites": ["*"]}, (200, 200)),
    "admin of one site": ({"roles": ["admin"], "sites": ["north"]}, (200, 403)),
    "guest": ({"roles": ["guest"], "sites": ["south"]}, (403, 200)),
    "device": ({"typ": "edge", "roles": ["edge"], "sites": ["north"]}, (401, 401)),
}


async def require_as_before(hub: TestHub) -> None:
    """Everybody is decided about as if nothing had been uploaded: in both sites, by requests and by
    walls."""
    for name, (token, answers) in USERS.items():
        text = hub.token(name, **token)
        async with httpx.AsyncClient(
            headers={"authorization": f"Bearer {text}"}, verify=PLAIN, timeout=60
        ) as http:
            found = [
                await http.get(f"http://127.0.0.1:{hub.port}/v1/sites/{site}/state")
                for site in ("north", "south")
            ]
        assert tuple(answer.status_code for answer in found) == answers, name
        if 401 not in answers:
            async with hub.dashboard(text) as dash:
                shown = [
                    "error" not in await dash.ask("subscribe", channel=f"site:{site}")
                    for site in ("north", "south")
                ]
            assert shown == [status == 200 for status in answers], name


def client(hub: TestHub) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {hub.token(roles=['privacy'])}", "If-Match": "*"}
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{hub.port}", headers=headers, timeout=60)


async def stored(hub: TestHub, modules: dict[str, str]) -> str:
    """Keep a revision as an older release would have taken it."""
    key = read_secret(Path(hub.hub.context.settings.policy.key_file))
    record = revisions.signed(modules, key, author="ada")
    await hub.hub.context.stores.revisions.add(record)
    return f"{PATH}/revisions/{record.revision}/activate"


@pytest.mark.parametrize("rule", [MANY, LONG], ids=["many steps", "long steps"])
async def test_attack_08_a_revision_that_takes_seconds_to_subscribe_is_refused_and_the_live_one_untouched(  # noqa: E501
    tmp_path: Path, rule: str
) -> None:
    async with two_sites(tmp_path) as hub, client(hub) as http:
        assert (await http.post(await stored(hub, read_sources()), json={})).status_code == 200
        before = (await http.get(PATH)).json()
        uploaded = await http.post(f"{PATH}/revisions", json={"modules": slow(rule)})
        activated = await http.post(await stored(hub, slow(rule)), json={"lock_out": True})
        for refused in (uploaded, activated):
            assert (refused.status_code, "`subscribe`" in refused.json()["detail"]) == (
                400,
                True,
            ), refused.text
        assert (await http.get(PATH)).json() == before
        await require_as_before(hub)


async def test_attack_08_what_the_log_of_decisions_holds_is_asked_too(tmp_path: Path) -> None:
    async with two_sites(tmp_path) as hub, client(hub) as http:
        path = await stored(hub, slow(MANY, 'input.resource.camera == "gate"'))
        question = inputs.subscribe(VIEWER, "camera", "gate", site="north")
        await hub.hub.context.stores.decisions.write(
            [row_of(question, Decision(True, "allowed", "r"))]
        )
        refused = await http.post(path, json={})
        assert (
            refused.status_code,
            "`subscribe` on a camera for viewer" in refused.json()["detail"],
        ) == (400, True), refused.text


def large(*, in_rules: bool) -> dict[str, str]:
    """The packaged policy with lists of lists that take few steps and gigabytes, in rules of their
    own or in the body of one."""
    levels = [
        f"n{level} := [{', '.join(['digits' if level == 0 else f'n{level - 1}'] * 20)}]"
        for level in range(6)
    ]
    body = [f"\t{level}" for level in levels]
    rule = [
        'deny contains "large" if {',
        f"\t{SUBSCRIBE}",
        *([] if in_rules else body),
        "\tcount(n5) < 0",
        "}",
    ]
    sources = read_sources()
    return sources | {
        "authz.rego": "\n".join(
            [sources["authz.rego"], DIGITS, *(levels if in_rules else []), *rule]
        )
        + "\n"
    }


@pytest.mark.parametrize("in_rules", [True, False], ids=["in rules", "in a body"])
async def test_attack_08_a_revision_that_takes_gigabytes_is_refused_before_it_has_them(
    tmp_path: Path, in_rules: bool
) -> None:
    most = resource.getrusage(
        resource.RUSAGE_CHILDREN
    ).ru_maxrss  # KiB, of any child of this process so far
    async with two_sites(tmp_path) as hub, client(hub) as http:
        path, before = await stored(hub, large(in_rules=in_rules)), (await http.get(PATH)).json()
        uploaded = await http.post(f"{PATH}/revisions", json={"modules": large(in_rules=in_rules)})
        activated = await http.post(path, json={"lock_out": True})
        for refused in (uploaded, activated):
            assert refused.status_code == 400, refused.text
            assert (
                f"more than {sandbox.QUESTION_BYTES >> 20} MiB of memory to decide `subscribe`"
                in refused.json()["detail"]
            )
        assert (await http.get(PATH)).json() == before
        await require_as_before(hub)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss <= max(
        most, 3 * sandbox.QUESTION_BYTES // 1024
    )


@pytest.mark.parametrize("action", ["policy.read", "policy.change"])
async def test_attack_08_who_would_be_locked_out_is_told_of_what(
    tmp_path: Path, action: str
) -> None:
    async with two_sites(tmp_path) as hub, client(hub) as http:
        path = await stored(
            hub, slow('deny contains "lost" if %s\n', f'input.action == "{action}"')
        )
        refused = await http.post(path, json={})
        assert (refused.status_code, action in refused.json()["detail"]) == (409, True), (
            refused.text
        )
        assert (await http.get(PATH)).json()["generation"] == 0
        await require_as_before(hub)


async def test_attack_08_a_slow_revision_that_is_in_force_is_not_loaded_and_the_last_good_one_decides() -> (  # noqa: E501
    None
):
    store, engines, key = MemoryRevisions(), list[Engine](), b"k" * 32
    loader = Loader(store, key, RegoEngine, engines.append)
    for modules in (read_sources(), slow(MANY)):
        record = revisions.signed(modules, key, author="ada")
        await store.add(record)
        await store.activate(
            revisions.activation(await store.current(), record.revision, key, author="ada")
        )
        await loader.poll()
    assert len(engines) == 1
    assert "`subscribe`" in loader.refused


def test_attack_08_a_slow_policy_of_the_settings_does_not_come_into_force(
    servers: Servers, tmp_path: Path
) -> None:
    (tmp_path / "rego").mkdir()
    for name, text in slow(MANY).items():
        (tmp_path / "rego" / name).write_text(text)
    ensure_secret(tmp_path / "policy.secret")
    policy = PolicySettings(
        rego_dir=str(tmp_path / "rego"), key_file=str(tmp_path / "policy.secret")
    )
    named = servers.settings
    with pytest.raises(BadInput, match="`subscribe`"):
        setup.prepare_stores(
            Settings(
                postgres=named.postgres,
                redis=named.redis,
                policy=policy,
                data=DataSettings(dir=str(tmp_path)),
            )
        )


async def in_force(settings: PostgresSettings, key: bytes) -> tuple[bool, bool]:
    """Whether a policy actor that starts now has a policy, and whether the audit log is sound."""
    engines = list[Engine]()
    database = await Database.open(settings, name="test")
    try:
        await Loader(PostgresRevisionStore(database), key, RegoEngine, engines.append).poll()
        proof = await prove(PostgresAuditLog(database).read(), key)
    finally:
        await database.close()
    allowed = (
        bool(engines)
        and engines[0].decide([inputs.on_system("policy.change", ADA, "policy")])[0].allow
    )
    return allowed, proof.sound


async def lock_out(settings: PostgresSettings, key: bytes) -> None:
    """The packaged policy, and after it a slow one, in force as an older release would have let
    it."""
    await migrate(Settings(postgres=settings))
    database = await Database.open(settings, name="test")
    try:
        store = PostgresRevisionStore(database)
        await PostgresAuditLog(database).begin(beginning(key))
        for modules in (read_sources(), slow(LONG)):
            record = revisions.signed(modules, key, author="ada")
            await store.add(record)
            assert await store.activate(
                revisions.activation(await store.current(), record.revision, key, author="ada")
            )
    finally:
        await database.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that the servers' own user reaches."""
    with data_folder() as path:
        yield path


def test_attack_08_a_locked_out_deployment_comes_back_offline(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    data = DataDir(folder)
    data.prepare()
    key = ensure_secret(data.keys / "policy.secret")

    def with_server(work: Any) -> Any:
        server = EmbeddedPostgres(data, max_connections=20)
        server.start()
        try:
            return asyncio.run(work(PostgresSettings(dsn=server.dsn), key))
        finally:
            server.stop()

    with_server(lock_out)
    assert with_server(in_force) == (False, True)
    assert main(["policy", "rollback", "--offline", "--data-dir", str(data.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["generation"] == 3
    assert with_server(in_force) == (True, True)
    assert main(["audit", "--data-dir", str(data.path), "log", "--json"]) == 0
    (entry, *_) = json.loads(capsys.readouterr().out)
    assert (entry["action"], "offline" in entry["detail"]) == ("policy.rollback", True)
    assert entry["who"] == pwd.getpwuid(os.getuid()).pw_name, "whatever the environment says"
    assert (
        main(["policy", "rollback", "--offline", "--data-dir", str(data.path)]) != 0
    )  # the one before is the slow one
    assert "`subscribe`" in capsys.readouterr().err
