"""Attack 10: an administrator's token stood in logs. What signs in now is a link that works once,
shown on terminals alone."""

import asyncio
import logging
import re
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from playwright.sync_api import expect

from actors.core.settings import DataSettings, HubSettings, LimitsSettings
from cluster.cli.main import main
from hub.static_files import FOLDER
from policy.identity import sign_in
from policy.identity.revocations import Revocations
from storage.process.settings_files import write_resolved
from storage.redis.sign_ins import RedisSignIns
from tests.support.cluster.terminal import on_a_terminal
from tests.support.doubles.memory_sign_ins import MemorySignIns
from tests.support.doubles.stores import memory_stores
from tests.support.hub.hub import TestHub, running_hub
from tests.support.hub.real_policy import real_policy
from tests.support.servers.browser import chromium_path, open_page
from tests.support.servers.store_fixtures import Servers

EVIL = "https://evil.example"
LINK = re.compile(r"http://127\.0\.0\.1:\d+/#code=([A-Za-z0-9_-]{43})")
USERS: dict[str, dict[str, Any]] = {
    "viewer": {"roles": ["viewer"]},
    "admin of one site": {"roles": ["admin"], "sites": ["north"]},
    "guest": {"roles": ["guest"], "sites": ["south"]},
}


@asynccontextmanager
async def two_hubs(
    folder: Path, **options: Any
) -> AsyncIterator[tuple[TestHub, TestHub, MemorySignIns]]:
    """Two hubs of one deployment under the packaged policy, with a camera at each of two sites."""
    memory, kept = memory_stores(), MemorySignIns()
    shared: dict[str, Any] = {
        "memory": memory,
        "sign_ins": kept,
        "decider": real_policy(),
    } | options
    async with (
        running_hub(folder, name="hub-1", **shared) as one,
        running_hub(folder, name="hub-2", auth=one.auth, **shared) as two,
    ):
        await one.register("gate", site="north")
        await one.register("dock", site="south")
        yield one, two, kept


async def link_for(kept: MemorySignIns, token: str) -> str:
    """The code of a new link."""
    made = sign_in.offer(token)
    await kept.keep(made.name, made.sealed, sign_in.LIFE_S)
    return made.code


async def exchange(hub: TestHub, code: object, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
        return await http.post(
            f"http://127.0.0.1:{hub.port}/v1/sign-in", json={"code": code}, headers=headers
        )


@pytest.mark.parametrize("user", USERS)
async def test_attack_10_a_link_works_once_on_all_hubs_together_and_gives_no_more_than_it_was_made_of(  # noqa: E501
    tmp_path: Path, user: str
) -> None:
    async with two_hubs(tmp_path) as (one, two, kept):
        token = one.token(user, **USERS[user])
        code = await link_for(kept, token)
        answers = await asyncio.gather(*(exchange(hub, code) for hub in (one, two) * 5))
        assert sorted(answer.status_code for answer in answers) == [200, *[401] * 9]
        (given,) = [answer for answer in answers if answer.status_code == 200]
        assert given.json()["token"] == token
        assert given.headers["cache-control"] == "no-store"
        assert all(
            code not in answer.text and token not in answer.text
            for answer in answers
            if answer is not given
        )
        async with httpx.AsyncClient(
            headers={"authorization": f"Bearer {token}"}, timeout=30, trust_env=False
        ) as http:
            seen = [
                (await http.get(f"http://127.0.0.1:{two.port}/v1/cameras/{camera}")).status_code
                for camera in ("gate", "dock")
            ]
        assert (
            seen
            == {"viewer": [200, 200], "admin of one site": [200, 403], "guest": [403, 403]}[user]
        )


async def test_attack_10_what_is_no_code_or_no_longer_one_signs_nobody_in(tmp_path: Path) -> None:
    async with two_hubs(tmp_path) as (hub, _, kept):
        assert (await exchange(hub, secrets.token_urlsafe(32))).status_code == 401
        for bad in ("", "x", "a" * 44, None, 7, ["a"], "ä" * 43, f"{'a' * 42}\n"):
            assert (await exchange(hub, bad)).status_code == 400
        code = await link_for(kept, hub.token("ada", jti="ada-9"))
        (name,) = kept.kept
        kept.kept[name] = (kept.kept[name][0], time.monotonic() - 1)
        assert (await exchange(hub, code)).status_code == 401, "its ten minutes are over"
        for lost in (
            hub.token("ada", now_s=time.time() - 7200),
            hub.token("edge-1", typ="edge", roles=["edge"]),
            "x.y.z",
        ):
            code = await link_for(kept, lost)
            assert (await exchange(hub, code)).status_code == 401, (
                "a token that holds no longer, is a device's, or is none"
            )
        forged = sign_in.offer(hub.token("eve", roles=["admin"]))
        code = await link_for(kept, hub.token())
        await kept.keep(sign_in.name_of(code), forged.sealed, 60)
        assert (await exchange(hub, code)).status_code == 401, (
            "who writes to Redis puts no token of theirs below another's code"
        )
        token = hub.token("ada", jti="stolen")
        code = await link_for(kept, token)
        async with httpx.AsyncClient(
            headers={"authorization": f"Bearer {hub.token('pia', roles=['privacy'])}"}, timeout=30
        ) as http:
            await http.post(f"http://127.0.0.1:{hub.port}/v1/revocations", json={"jti": "stolen"})
            assert (await http.get(f"http://127.0.0.1:{hub.port}/v1/sign-in")).status_code == 405
        hub.hub.revoked(Revocations((await hub.hub.context.stores.policy.marks()).revocations))
        assert (await exchange(hub, code)).status_code == 401, "revoked before it was used"


async def test_attack_10_a_page_of_elsewhere_signs_nobody_in(tmp_path: Path) -> None:
    wall = "https://wall.example"
    async with two_hubs(tmp_path, hub=HubSettings(port=0, allowed_origins=[wall])) as (
        hub,
        _,
        kept,
    ):
        code = await link_for(kept, hub.token())
        for origin in (EVIL, "null", f"{wall}.evil.example", f"http://127.0.0.1:{hub.port + 1}"):
            refused = await exchange(hub, code, origin=origin)
            assert (refused.status_code, refused.json()["title"]) == (403, "forbidden")
        assert (await exchange(hub, code, **{"content-type": "text/plain"})).status_code == 400, (
            "what a form can send is not read"
        )
        assert (
            await exchange(hub, code, origin=f"http://127.0.0.1:{hub.port}")
        ).status_code == 200, "and they did not use it up"
        assert (
            await exchange(hub, await link_for(kept, hub.token()), origin=wall)
        ).status_code == 200


async def test_attack_10_guesses_are_limited_by_address(tmp_path: Path) -> None:
    limits = LimitsSettings(address_failures_per_s=0.01, address_failures_burst=5)
    async with two_hubs(tmp_path, limits=limits) as (hub, _, _kept):
        answers = [await exchange(hub, secrets.token_urlsafe(32)) for _ in range(12)]
        assert [answer.status_code for answer in answers[-3:]] == [429] * 3
        assert int(answers[-1].headers["retry-after"]) >= 1


@pytest.mark.parametrize("bad", ["x", "A" * 43], ids=["no code", "a guess"])
async def test_attack_10_who_guesses_keeps_nobody_out_who_comes_from_the_same_address(
    tmp_path: Path, bad: str
) -> None:
    limits = LimitsSettings(
        address_failures_per_s=0.01,
        address_failures_burst=2,
        address_requests_per_s=0.01,
        address_requests_burst=4,
    )
    async with two_hubs(tmp_path, limits=limits) as (hub, _, kept):
        token = hub.token()
        code = await link_for(kept, token)
        assert [(await exchange(hub, bad)).status_code for _ in range(8)][-2:] == [429] * 2
        async with httpx.AsyncClient(
            headers={"authorization": f"Bearer {token}"}, timeout=30, trust_env=False
        ) as http:
            assert (await http.get(f"http://127.0.0.1:{hub.port}/v1/cameras")).status_code == 200, (
                "REST goes on for who has a token"
            )
        assert (await exchange(hub, code)).status_code == 200, "and so do links"


async def test_attack_10_no_code_and_no_token_is_in_a_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with two_hubs(tmp_path) as (hub, _, kept):
        token = hub.token()
        code = await link_for(kept, token)
        assert [(await exchange(hub, code)).status_code for _ in range(2)] == [200, 401]
        assert "signed in by a link" in caplog.text
        assert code not in caplog.text
        assert token not in caplog.text
        assert code not in repr(sign_in.offer(token))


async def test_attack_10_redis_away_is_an_error_and_no_sign_in(tmp_path: Path) -> None:
    async with two_hubs(tmp_path) as (hub, _, kept):
        code = await link_for(kept, hub.token())
        kept.faults.plan("pop", "fail")
        assert (await exchange(hub, code)).status_code == 503
        assert (await exchange(hub, code)).status_code == 200


@pytest.mark.browser
async def test_attack_10_the_console_takes_a_code_once_and_keeps_it_out_of_its_address(
    tmp_path: Path,
) -> None:
    path = chromium_path()
    if path is None or not (FOLDER / "index.html").is_file():
        pytest.skip("no Chromium, or the console is not built")
    async with two_hubs(tmp_path) as (hub, _, kept):
        await hub.show("gate", 1)
        url = f"http://127.0.0.1:{hub.port}/"
        first, second = [f"{url}#code={await link_for(kept, hub.token())}" for _ in range(2)]

        def look() -> None:
            with open_page(path) as (page, errors):
                page.goto(first)
                expect(page.locator(".connection")).to_have_text("Live")
                expect(page.locator(".tile")).to_have_count(2)
                assert page.url == url
                page.reload()
                expect(page.locator(".connection")).to_have_text("Live")
                page.goto(f"{second}&camera=gate")
                page.get_by_role("button", name="Sign in with the link").click()
                expect(page.locator("main.camera h1")).to_contain_text("gate")
                assert page.url == f"{url}#camera=gate"
                page.evaluate("history.back()")
                expect(page.locator(".tile")).to_have_count(2)
                assert errors == []
                assert "code" not in page.evaluate(
                    "JSON.stringify([history.state, sessionStorage, localStorage, location.href])"
                )
                page.goto(first)
                page.get_by_role("button", name="Sign in with the link").click()
                expect(page.get_by_role("alert")).to_contain_text("the link was used already")
                assert page.url == url
                assert page.evaluate("sessionStorage.length") == 0, (
                    "who was signed in there is so no longer"
                )

        await asyncio.to_thread(look)


async def test_attack_10_the_command_shows_a_link_on_a_terminal_and_nowhere_else(
    tmp_path: Path, servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    store = RedisSignIns(servers.settings.redis, name="test")
    async with two_hubs(tmp_path, sign_ins=store) as (hub, _, _kept):
        settings = msgspec.structs.replace(
            servers.settings,
            auth=hub.auth,
            hub=HubSettings(port=hub.port),
            data=DataSettings(dir=str(tmp_path)),
        )
        (tmp_path / "run").mkdir()
        write_resolved(tmp_path / "run" / "settings.json", settings)
        here = ["--data-dir", str(tmp_path)]
        assert await asyncio.to_thread(main, ["sign-in", *here]) == 2
        said = "".join(capsys.readouterr())
        assert "--file" in said
        assert "code=" not in said
        file = tmp_path / "link"
        assert (
            await asyncio.to_thread(
                main, ["sign-in", "--role", "viewer", "--site", "north", "--file", str(file), *here]
            )
            == 0
        )
        assert "code=" not in "".join(capsys.readouterr())
        assert file.stat().st_mode & 0o777 == 0o600
        code, shown = await asyncio.to_thread(on_a_terminal, ["sign-in", *here])
        assert code == 0, shown
        for text, who in ((file.read_text(), ("viewer",)), (shown, ("admin",))):
            found = LINK.search(text)
            assert found, text
            answer = await exchange(hub, found[1])
            principal = hub.hub.context.verifier.verify(
                answer.json()["token"], typ="user", now_s=time.time() + 1
            )
            assert principal.roles == who
            assert (await exchange(hub, found[1])).status_code == 401
    await store.close()
