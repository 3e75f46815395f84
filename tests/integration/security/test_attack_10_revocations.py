"""Attack 10: what was revoked by its `jti` waited a day and came back. A revocation lives as long
as what it revokes."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import pytest

from actors.core.settings import HubSettings, PolicySettings
from edge.signing import RequestKey, read_key, signed
from policy.decision.enforcer import Enforcer
from policy.decision.poller import PolicyPoller
from policy.identity import certificate_authority, device_keys
from storage.stores import Stores
from tests.support.certificates import Authority, authority
from tests.support.doubles.actor_handles import FakeActor, FakeDirectory
from tests.support.hub.hub import TestHub, running_hub
from tests.support.hub.real_policy import real_policy
from tests.support.tokens import auth_settings

BODY = json.dumps(
    {
        "session": "s1",
        "first_seq": 1,
        "observations": [{"time": "2026-03-01T12:00:00Z", "objects": []}],
    }
).encode()
A_DAY_LATER = (
    "UPDATE revocations SET created = created - interval '25 hours', before = before - "
    "interval '25 hours'"
)


@asynccontextmanager
async def serving(
    folder: Path, stores: Stores, hub: HubSettings | None = None
) -> AsyncIterator[tuple[TestHub, PolicyPoller]]:
    """A hub with the packaged policy, a camera at each of two sites, keys and certificates; and
    what reads revocations from PostgreSQL."""
    auth = msgspec.structs.replace(
        auth_settings(folder),
        device_keys_file=str(folder / "devices.json"),
        device_certificates="accept",
    )
    directory = FakeDirectory(lambda name: FakeActor("actor-1"))
    async with running_hub(
        folder,
        hub=hub,
        auth=auth,
        directory=directory,
        decider=real_policy(),
        policy_store=stores.policy,
    ) as made:
        await made.register("gate", site="north")
        await made.register("dock", site="south")

        async def nobody(_questions: bytes) -> bytes:
            raise TimeoutError

        watch = PolicyPoller(
            stores.policy.marks, Enforcer(nobody, PolicySettings()), PolicySettings()
        )
        watch.on_revocations(made.hub.revoked)
        yield made, watch


async def revoke(
    hub: TestHub,
    asked: dict[str, object],
    *,
    url: str = "",
    tls: Authority | None = None,
    **token: object,
) -> int:
    headers = {"authorization": f"Bearer {hub.token('pia', **({'roles': ['privacy']} | token))}"}
    verify = tls.client() if tls is not None else True
    async with httpx.AsyncClient(
        verify=verify, headers=headers, timeout=30, trust_env=False
    ) as http:
        return (
            await http.post(f"{url or f'http://127.0.0.1:{hub.port}'}/v1/revocations", json=asked)
        ).status_code


async def test_attack_10_a_revoked_key_does_not_come_back_a_day_later(
    tmp_path: Path, stores: Stores
) -> None:
    file = tmp_path / "devices.json"
    stolen = read_key(device_keys.make(file, "gate-box", ["gate"], algorithm="ed25519"))
    honest = read_key(device_keys.make(file, "dock-box", ["dock"], algorithm="hmac-sha256"))
    async with serving(tmp_path, stores) as (hub, watch):

        async def post(key: RequestKey, camera: str) -> int:
            url = f"http://127.0.0.1:{hub.port}/v1/cameras/{camera}/observations"
            async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
                return (
                    await http.post(url, content=BODY, headers=signed(key, "POST", url, BODY))
                ).status_code

        assert (await post(stolen, "gate"), await post(honest, "dock")) == (200, 200)
        assert await revoke(hub, {"jti": stolen.keyid}, roles=["viewer"]) == 403
        assert await revoke(hub, {"jti": stolen.keyid}, roles=["admin"], sites=["north"]) == 403
        assert await revoke(hub, {"jti": stolen.keyid, "reason": "stolen"}) == 201
        for _ in range(2):
            await watch.refresh()
            assert (await post(stolen, "gate"), await post(honest, "dock")) == (401, 200)
            await stores.database.fetch(A_DAY_LATER)
        await watch.refresh()
        assert await post(stolen, "gate") == 401


async def test_attack_10_a_revoked_certificate_does_not_come_back_a_day_later_nor_beside_a_token(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, stores: Stores
) -> None:
    certs = authority(tmp_path_factory.mktemp("certs"))
    fingerprint = next(
        made.fingerprint
        for made in certificate_authority.all_of(certs.folder)
        if made.name == "edge-1"
    )
    async with serving(tmp_path, stores, certs.hub()) as (hub, watch):
        url = f"https://127.0.0.1:{hub.port}"
        edge = {"authorization": f"Bearer {hub.token('edge-1', typ='edge', roles=['edge'])}"}

        async def post(headers: dict[str, str]) -> int:
            async with httpx.AsyncClient(
                verify=certs.client("device-edge-1"), timeout=30, trust_env=False
            ) as http:
                return (
                    await http.post(
                        f"{url}/v1/cameras/gate/observations", content=BODY, headers=headers
                    )
                ).status_code

        assert await post(edge) == 200
        assert await revoke(hub, {"jti": fingerprint}, url=url, tls=certs) == 201
        for _ in range(2):
            await watch.refresh()
            assert (await post({}), await post(edge)) == (401, 401)
            await stores.database.fetch(A_DAY_LATER)


async def test_attack_10_a_token_is_forgotten_when_it_has_ended_and_not_before(
    tmp_path: Path, stores: Stores
) -> None:
    async with serving(tmp_path, stores) as (hub, watch):
        text, kept = (
            hub.token("ada", jti="a-1", lifetime=600),
            {"authorization": f"Bearer {hub.token('pia', roles=['privacy'])}"},
        )
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{hub.port}", timeout=30, trust_env=False
        ) as http:

            async def read() -> int:
                await watch.refresh()
                return (
                    await http.get("/v1/cameras/gate", headers={"authorization": f"Bearer {text}"})
                ).status_code

            assert await read() == 200
            exp = hub.hub.context.verifier.verify(
                text, typ="user", now_s=hub.hub.context.now_s()
            ).exp
            assert await revoke(hub, {"jti": "a-1", "exp": exp}) == 201
            await stores.database.fetch(A_DAY_LATER)
            assert await read() == 401
            await stores.database.fetch("UPDATE revocations SET until = now() - interval '2 days'")
            assert await revoke(hub, {"jti": "b-1"}) == 201
            listed = (await http.get("/v1/revocations", headers=kept)).json()["revocations"]
            assert [(row["value"], row["until"]) for row in listed] == [("b-1", None)]
            assert (
                await http.post(
                    "/v1/revocations", headers=kept, json={"subject": "ada", "exp": exp}
                )
            ).status_code == 400
