"""``eyrie sinks`` on a real database."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster.cli.main import main
from connectors.sinks.sealed import key_of
from storage.stores import Stores, keyring_folder
from tests.support.connectors.fleet import Fleet, context_of, until, worker
from tests.support.connectors.receiver import Action, Request, receiving
from tests.support.servers.store_fixtures import Servers

Say = Callable[..., Any]


@pytest.fixture
def say(
    servers: Servers,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Say:
    """Runs the command; (exit code, JSON on standard output, standard error)."""
    key = tmp_path / "key"
    key.write_text("0123456789abcdef0123456789abcdef")
    key.chmod(0o600)
    monkeypatch.setenv("EYRIE_EVENTS_KEYRING_DIR", servers.settings.events.keyring_dir)
    monkeypatch.setenv("EYRIE_SINKS_PRIVATE_RECEIVERS", "127.0.0.0/8")
    monkeypatch.setenv("EYRIE_DATA_DIR", str(tmp_path / "data"))
    source = ["--source", servers.settings.postgres.dsn, "--json"]

    async def run(*words: str) -> tuple[int, Any, str]:
        changes = words[0] not in ("list", "show", "test", "where")
        options = [*source, *(["--key-file", str(key)] if changes else [])]
        code = await asyncio.to_thread(main, ["sinks", *words, *options])
        told = capsys.readouterr()
        return code, json.loads(told.out) if told.out else None, told.err

    return run


async def test_a_sinks_life(servers: Servers, stores: Stores, say: Say) -> None:
    fleet = Fleet(stores)
    await fleet.add("c1")
    refusing = True

    def script(request: Request) -> Action:
        return 422 if refusing and request.id.endswith("/2") else 200

    key = key_of(keyring_folder(servers.settings))
    context = replace(context_of(stores, chance=lambda: 0.0), key=key)
    async with receiving(script) as receiver, worker(stores, context):
        code, told, error = await say("make", "ops", "--webhook", receiver.url, "--sites", "*")
        assert (code, error) == (0, "")
        assert told["verify_with"].startswith("whsec_")
        code, told, _ = await say("test", "ops")
        assert (code, told["status"]) == (0, 200)
        receiver.taken.clear()
        await fleet.commit("c1", 3)

        async def parked() -> bool:
            return (await stores.sinks.lag("ops")).parked == 1

        await until(parked)
        _, (row,), _ = await say("list")
        assert (row["name"], row["state"], row["parked"], row["events"]) == ("ops", "active", 1, 2)
        assert (await say("skip", "ops", "c1", "--reason", "not theirs"))[0] == 0
        await until(lambda: len(receiver.ids().get("c1", [])) == 3)
        assert (await say("skip", "ops", "c1", "--reason", "again"))[0] == 1
        refusing = False
        assert (await say("replay", "ops", "c1", "--from", "2", "--to", "3"))[0] == 0
        await until(lambda: len(receiver.taken) == 5)
        assert [one.id for one in receiver.taken[3:]] == fleet.ids["c1"][1:]
        _, shown, _ = await say("show", "ops")
        assert [hole["reason"] for hole in shown["holes"]] == ["not theirs"]
        assert {one["outcome"] for one in shown["attempts"]} == {"delivered", "retry", "parked"}
        _, told, _ = await say("rotate", "ops", "--scheme", "ed25519")
        assert told["verify_with"].startswith("whpk_")
        assert (await say("pause", "ops", "--reason", "quiet"))[0] == 0
        _, (row,), _ = await say("list")
        assert (row["state"], row["reason"]) == ("paused", "quiet")
        assert (await say("delete", "ops"))[0] == 0
        assert await say("list") == (0, [], "")
    entries = (await stores.audit_log.before(2**62, 100))[::-1]
    assert [entry.action for entry in entries] == [
        *("sink.make", "sink.skip", "sink.replay", "sink.rotate", "sink.pause", "sink.delete")
    ]
    assert "whsec" not in str(entries)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--webhook", "ftp://x", "--sites", "*"), "no http or https address"),
        (("--webhook", "https://u:p@x/", "--sites", "*"), "neither user"),
        (("--webhook", "https://x/"), "say whose events"),
        (("--webhook", "https://x/", "--sites", "*", "--types", "a*b"), "no type of events"),
    ],
)
async def test_what_is_no_sink_is_refused(
    stores: Stores, say: Say, words: tuple[str, ...], why: str
) -> None:
    code, _, error = await say("make", "ops", *words)
    assert code != 0
    assert why in error
    assert await stores.sinks.all() == []


async def test_consumers_are_told_where_the_stream_is_and_shown_no_token(
    stores: Stores, say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await say("where"))[0] == 2
    monkeypatch.setenv("EYRIE_NATS_URL", "nats://broker:4222")
    monkeypatch.setenv("EYRIE_NATS_TOKEN_FILE", str(tmp_path / "token"))
    code, told, _ = await say("where")
    assert (code, told) == (0, {"url": "nats://broker:4222", "token_file": str(tmp_path / "token")})
