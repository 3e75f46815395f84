"""The log of decisions and shadow evaluation against a real PostgreSQL, written by a real policy
actor."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from actors.core.errors import Conflict, Unavailable
from actors.core.settings import PolicySettings, Settings
from policy.actor import revisions
from policy.actor.background import DecisionLogWriter, ShadowWriter
from policy.actor.decision_log import DecisionQueue, masked, row_of
from policy.actor.policy_actor import PolicyActor
from policy.actor.shadow import MAX_GROUPS, OTHER, compare
from policy.decision import inputs
from policy.decision.messages import encode_questions
from policy.decision.model import Decision, DecisionInput
from policy.engine.modules import read_sources
from policy.engine.rego_engine import RegoEngine
from policy.identity.keys import ensure_secret
from policy.identity.principal import Principal
from storage.ports.policy import DecisionRow
from storage.postgres.pool import Database
from storage.stores import Stores
from tests.support.servers.store_fixtures import Servers

KEY = b"k" * 32
SOURCES = read_sources()
OTHERWISE = {
    "authz.rego": SOURCES["authz.rego"].replace(
        'looking := {"connect", "subscribe"}', 'looking := {"connect"}'
    )
}
ASKED = [
    inputs.subscribe(
        Principal("ada", "t", "user", 1, 2, (role,), (site,)), "camera", "gate", site="north"
    )
    for role in ("guest", "viewer", "admin")
    for site in ("north", "south")
]


@pytest.fixture
async def database(servers: Servers) -> AsyncIterator[Database]:
    opened = await Database.open(servers.settings.postgres, name="jobs")
    yield opened
    await opened.close()


async def in_force(stores: Stores) -> str:
    await revisions.keep_default(stores.revisions, KEY, SOURCES)
    current = await stores.revisions.current()
    assert current is not None
    return current.revision


async def test_check_29_the_log_holds_revision_rule_hash_and_masked_input(
    stores: Stores, servers: Servers, tmp_path: Path
) -> None:
    path = tmp_path / "policy.secret"
    key = ensure_secret(path)
    await revisions.keep_default(stores.revisions, key, SOURCES)
    settings: Settings = msgspec.structs.replace(
        servers.settings, policy=PolicySettings(key_file=str(path), poll_s=0.05)
    )
    actor = PolicyActor.from_settings(settings)
    try:
        actor.decide(
            encode_questions(
                [
                    *ASKED,
                    DecisionInput(
                        "connect", {"typ": "user", "who": "ada.lovelace"}, {"kind": "dashboard"}
                    ),
                ]
            )
        )
        rows: list[DecisionRow] = []

        async def look() -> None:
            rows[:] = await stores.decisions.after(0, 100)

        while len(rows) < len(ASKED) + 1:
            await look()
    finally:
        actor.close()
    assert [(row.role, row.allow, row.rule) for row in rows[:2]] == [
        ("guest", True, "allowed"),
        ("guest", False, "out_of_scope"),
    ]
    assert {row.revision for row in rows} == {actor.revision}
    assert {len(row.input_hash) for row in rows} == {32}
    assert "ada" not in str(rows)
    assert msgspec.json.decode(rows[0].input)["resource"]["camera"] == "gate"
    newest = await stores.decisions.before(2**62, 2)
    assert [row.id for row in newest] == [rows[-1].id, rows[-2].id]


async def test_a_full_queue_and_a_lost_batch_are_counted(
    stores: Stores, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = DecisionQueue(limit=4)
    made = RegoEngine(SOURCES).decide(ASKED)
    queue.add(ASKED, made)
    assert queue.dropped == 2
    keep = DecisionLogWriter(queue, PolicySettings())

    async def away(*arguments: object, **options: object) -> None:
        raise Unavailable("PostgreSQL is away")

    with monkeypatch.context() as patched:
        patched.setattr(Database, "fetch", away)
        with pytest.raises(Unavailable):
            await keep(database)
    assert queue.dropped == 6
    queue.add(ASKED[:3], made[:3])
    await keep(database)
    assert [row.dropped for row in await stores.decisions.after(0, 10)] == [6, 0, 0]


async def test_the_log_is_kept_within_rows_and_days(stores: Stores, database: Database) -> None:
    rows = [row_of(question, Decision(True, "allowed", "r")) for question in ASKED]
    await stores.decisions.write(rows)
    await stores.database.fetch(
        "UPDATE policy_decisions SET time = now() - interval '40 days' WHERE id IN (SELECT "
        "max(id) FROM policy_decisions)"
    )
    await DecisionLogWriter(DecisionQueue(), PolicySettings(log_rows=3))(database)
    assert len(await stores.decisions.after(0, 10)) == 2


async def test_a_shadow_reports_flips_by_action_role_and_site(
    stores: Stores, database: Database
) -> None:
    revision = await in_force(stores)
    made = RegoEngine(SOURCES).decide(ASKED)
    assert {decision.revision for decision in made} == {revision}
    record = revisions.signed(OTHERWISE, KEY, author="pia")
    await stores.revisions.add(record)
    await stores.decisions.write([row_of(*pair) for pair in zip(ASKED, made, strict=True)])
    await stores.shadows.start(record.revision, "pia", back=100)
    with pytest.raises(Conflict):
        await stores.shadows.start(revision, "pia", back=0)
    keep = ShadowWriter(lambda: KEY)
    await keep(database)
    await keep(database)
    await stores.decisions.write([row_of(ASKED[2], made[2])])  # the log goes on
    await keep(database)
    found = await stores.shadows.flips(record.revision)
    assert [(flip.kind, flip.action, flip.role, flip.site, flip.count) for flip in found] == [
        ("allow_to_deny", "subscribe", "viewer", "north", 2),
        ("allow_to_deny", "subscribe", "admin", "north", 1),
        ("allow_to_deny", "subscribe", "guest", "north", 1),
    ]
    example = msgspec.json.decode(found[0].example)
    assert (example["was"], example["is"], example["input"]["subject"]["roles"]) == (
        "allowed",
        "no_role",
        ["viewer"],
    )
    shadow = await stores.shadows.find()
    assert shadow is not None
    assert (shadow.evaluated, shadow.ended_us) == (7, None)
    assert await stores.shadows.end(record.revision)
    assert await stores.shadows.find() is None
    assert (await stores.revisions.current()).revision == revision  # type: ignore[union-attr]


async def test_a_shadow_that_cannot_be_evaluated_ends_with_the_reason(
    stores: Stores, database: Database
) -> None:
    await in_force(stores)
    record = revisions.signed(OTHERWISE, b"x" * 32, author="eve")
    await stores.revisions.add(record)
    await stores.decisions.write([row_of(ASKED[0], RegoEngine(SOURCES).decide(ASKED[:1])[0])])
    await stores.shadows.start(record.revision, "eve", back=100)
    await ShadowWriter(lambda: KEY)(database)
    shadow = await stores.shadows.find(record.revision)
    assert shadow is not None
    assert shadow.ended_us is not None
    assert "not signed" in shadow.error


def test_what_is_unknown_is_masked() -> None:
    question = DecisionInput(
        "connect",
        {"roles": ["viewer"], "name": "ada"},
        {"kind": "dashboard", "plate": "B-1"},
        {"ip": "::1"},
    )
    text = str(masked(question))
    assert not any(word in text for word in ("ada", "B-1", "::1", "name", "plate"))
    assert (
        row_of(
            DecisionInput("a\x00", {"roles": ["x"]}, {}), Decision(False, "bad_question", "r")
        ).input
        == "{}"
    )


def test_groups_of_flips_are_bounded() -> None:
    rows = [
        DecisionRow("r", "subscribe", "viewer", f"site-{n}", True, "allowed", "{}", b"", "{}")
        for n in range(MAX_GROUPS + 20)
    ]
    flips = compare(rows, [Decision(False, "denied", "s")] * len(rows), frozenset())
    assert len(flips) == MAX_GROUPS + 1
    assert (flips[-1].site, flips[-1].count) == (OTHER, 20)
