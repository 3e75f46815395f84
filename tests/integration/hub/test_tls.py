"""TLS of a hub and certificates of devices, over real sockets; and what a proxy in front says,
believed or not."""

import asyncio
import base64
import contextlib
import json
import os
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from actors.core.errors import ConfigError, Unavailable
from actors.core.messages.edge_protocol import SUBPROTOCOL_JSON
from actors.core.messages.observations import Observation
from actors.core.settings import HubSettings, LimitsSettings, PolicySettings
from cluster.cli.hub_options import pinned
from cluster.cli.main import main
from cluster.rest_client import HubRest
from edge.client import EdgeClient
from hub.server.tls import server_context
from policy.decision.enforcer import Enforcer
from policy.decision.poller import PolicyPoller
from policy.identity import certificate_authority
from tests.support.certificates import Authority, authority
from tests.support.doubles.actor_handles import FakeActor, FakeDirectory
from tests.support.hub.hub import TestHub, running_hub
from tests.support.tokens import auth_settings

FOLLOWS_S = 5.0  # design section 4, promise 8
BODY = json.dumps(
    {
        "session": "s1",
        "first_seq": 1,
        "observations": [{"time": "2026-03-01T12:00:00Z", "objects": []}],
    }
)


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("certs"))


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("strangers"))


@asynccontextmanager
async def serving(
    folder: Path, hub: HubSettings, mode: str, **options: Any
) -> AsyncIterator[TestHub]:
    actor = FakeActor("actor-1")
    directory = FakeDirectory(lambda name: actor)
    auth = msgspec.structs.replace(auth_settings(folder), device_certificates=mode)
    async with running_hub(folder, hub=hub, directory=directory, auth=auth, **options) as made:
        await made.register("cam", "cam-2")
        yield made


def edge_token(hub: TestHub, device: str = "edge-1") -> str:
    return hub.token(device, typ="edge", roles=["edge"])


async def post(
    hub: TestHub,
    tls: ssl.SSLContext | None,
    token: str = "",
    headers: dict[str, str] | None = None,
    camera: str = "cam",
) -> int:
    """The status of one HTTP ingest; 0 when the connection could not be made."""
    shown = (
        {"content-type": "application/json"}
        | (headers or {})
        | ({"authorization": f"Bearer {token}"} if token else {})
    )
    scheme = "https" if tls is not None else "http"
    try:
        async with httpx.AsyncClient(
            verify=tls if tls is not None else True, timeout=30, trust_env=False
        ) as http:
            url = f"{scheme}://127.0.0.1:{hub.port}/v1/cameras/{camera}/observations"
            return (await http.post(url, content=BODY, headers=shown)).status_code
    except (httpx.TransportError, ssl.SSLError):
        return 0


async def hello(hub: TestHub, tls: ssl.SSLContext, token: str = "", camera: str = "cam-2") -> int:
    """0 for a welcome, the close code, or -1 when no socket could be had."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    url = f"wss://127.0.0.1:{hub.port}/v1/edge"
    try:
        async with connect(
            url,
            ssl=tls,
            subprotocols=[Subprotocol(SUBPROTOCOL_JSON)],
            additional_headers=headers,
            compression=None,
            proxy=None,
        ) as socket:
            await socket.send(json.dumps({"type": "hello", "camera": camera, "session": "s1"}))
            async with asyncio.timeout(30):
                while True:
                    said = json.loads(await socket.recv())
                    if said["type"] == "welcome":
                        return 0
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd is not None else -1
    except (OSError, EOFError, InvalidHandshake):
        return -1


async def test_check_33_the_certificate_and_the_token_are_of_one_device(
    tmp_path: Path, certs: Authority, strangers: Authority
) -> None:
    async with serving(tmp_path, certs.hub(), "require") as hub:
        one, two = edge_token(hub), edge_token(hub, "edge-2")
        good = certs.client("device-edge-1")
        assert (await post(hub, good, one), await hello(hub, good, one)) == (200, 0)
        assert (await post(hub, good), await hello(hub, good)) == (200, 0), (
            "the certificate takes the token's place"
        )
        assert (await post(hub, good, two), await hello(hub, good, two)) == (401, 4501), (
            "another device's token"
        )
        assert (await post(hub, certs.client(), one), await hello(hub, certs.client(), one)) == (
            401,
            4501,
        ), "no certificate"
        for stem in ("for-nothing", "nameless", "two-names", "odd-name"):
            tls = certs.client(stem)
            assert (await post(hub, tls, one), await hello(hub, tls, one)) == (401, 4501), stem
        for stem in ("ended", "for-servers"):
            tls = certs.client(stem)
            assert (await post(hub, tls, one), await hello(hub, tls, one)) == (0, -1), (
                f"{stem}: TLS itself refuses it"
            )
        foreign = strangers.client("device-edge-1", trusted=certs)
        assert (await post(hub, foreign, one), await hello(hub, foreign, one)) == (0, -1), (
            "another authority"
        )
        async with httpx.AsyncClient(verify=certs.client(), timeout=30, trust_env=False) as http:
            answered = await http.get(
                f"https://127.0.0.1:{hub.port}/v1/cameras",
                headers={"authorization": f"Bearer {hub.token()}"},
            )
            assert answered.status_code == 200, "users need none on the same port"


async def test_a_certificate_is_looked_at_only_where_settings_say_so(
    tmp_path: Path, certs: Authority
) -> None:
    other = certs.client("device-edge-2")
    async with serving(tmp_path, certs.hub(), "off") as hub:
        assert (await post(hub, other, edge_token(hub)), await post(hub, other)) == (200, 401)
    async with serving(tmp_path, certs.hub(), "accept") as hub:
        assert await post(hub, certs.client(), edge_token(hub)) == 200
        assert await post(hub, other, edge_token(hub)) == 401
        assert await post(hub, other) == 200


async def test_a_certificate_alone_may_what_policy_grants_to_its_sites(
    tmp_path: Path, certs: Authority
) -> None:
    async with serving(tmp_path, certs.hub(), "accept") as hub:
        assert await post(hub, certs.client("device-edge-1")) == 200
        subject = next(
            question.subject for question in hub.policy.asked if question.action == "ingest"
        )
        assert subject == {
            "typ": "edge",
            "roles": ["edge"],
            "sites": ["north"],
            "cameras": None,
            "scopes": [],
        }
        hub.policy.denied.add(("ingest", "cam"))
        assert await post(hub, certs.client("device-edge-1")) == 403


async def test_check_33_a_certificate_in_a_header_counts_from_a_named_proxy_alone(
    tmp_path: Path, certs: Authority
) -> None:
    def shown(stem: str) -> dict[str, str]:
        return {"client-cert": f":{base64.b64encode(certs.der(stem)).decode()}:"}

    async with serving(tmp_path, HubSettings(port=0), "accept") as hub:
        assert await post(hub, None, headers=shown("device-edge-1")) == 401, (
            "from outside it is as if it were not there"
        )
        assert await post(hub, None, edge_token(hub), headers=shown("device-edge-2")) == 200
    async with serving(
        tmp_path, HubSettings(port=0, trusted_proxies=["127.0.0.0/8"]), "require"
    ) as hub:
        assert await post(hub, None, headers=shown("device-edge-1")) == 200
        assert await post(hub, None, edge_token(hub), headers=shown("device-edge-2")) == 401
        assert await post(hub, None, edge_token(hub), headers=shown("for-servers")) == 401
        assert await post(hub, None, edge_token(hub), headers=shown("ended")) == 401
        assert await post(hub, None, edge_token(hub), headers={"client-cert": "no bytes"}) == 401
        assert await post(hub, None, edge_token(hub)) == 401


async def test_check_34_nothing_older_than_tls_1_2(tmp_path: Path, certs: Authority) -> None:
    async with serving(tmp_path, certs.hub(), "off") as hub:

        async def speaks(version: ssl.TLSVersion) -> str | None:
            tls = certs.client()
            tls.set_ciphers("ALL:@SECLEVEL=0")
            with (
                pytest.warns(DeprecationWarning, match="TLSv1_1")
                if version < ssl.TLSVersion.TLSv1_2
                else contextlib.nullcontext()
            ):
                tls.minimum_version = tls.maximum_version = version
            try:
                _reader, writer = await asyncio.open_connection("127.0.0.1", hub.port, ssl=tls)
            except (ssl.SSLError, ConnectionError):
                return None
            found: str = writer.get_extra_info("ssl_object").version()
            writer.close()
            return found

        assert await speaks(ssl.TLSVersion.TLSv1_1) is None
        assert await speaks(ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
        assert await speaks(ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
        async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
            with pytest.raises(httpx.TransportError):
                await http.get(f"http://127.0.0.1:{hub.port}/health/live")
            private = await http.get(f"http://127.0.0.1:{hub.hub.private_port}/health/live")
            assert private.status_code == 200, "the private port is on loopback and plain"


async def test_dashboards_work_over_tls_with_an_origin_of_their_own(
    tmp_path: Path, certs: Authority
) -> None:
    async with serving(tmp_path, certs.hub(), "off") as hub:
        await hub.show("cam", 1)
        url = f"wss://127.0.0.1:{hub.port}/connection/websocket"
        async with connect(
            url,
            ssl=certs.client(),
            origin=f"https://127.0.0.1:{hub.port}",  # type: ignore[arg-type]
            compression=None,
            proxy=None,
        ) as socket:
            await socket.send(json.dumps({"id": 1, "connect": {"token": hub.token()}}))
            assert "connect" in json.loads(await socket.recv())
            await socket.send(json.dumps({"id": 2, "subscribe": {"channel": "camera:cam"}}))
            assert json.loads(await socket.recv())["subscribe"]["publications"]


async def test_check_36_a_revoked_certificate_is_cut_within_five_seconds_and_no_other(
    tmp_path: Path, certs: Authority
) -> None:
    async with serving(tmp_path, certs.hub(), "accept") as hub:

        async def nobody(_questions: bytes) -> bytes:
            raise TimeoutError

        watch = PolicyPoller(
            hub.hub.context.stores.policy.marks,
            Enforcer(nobody, PolicySettings()),
            PolicySettings(),
        )
        watch.on_revocations(hub.hub.revoked)
        polling = asyncio.create_task(watch.run())
        url = f"wss://127.0.0.1:{hub.port}/v1/edge"

        def edge(device: str) -> connect:
            tls = certs.client(f"device-{device}")
            return connect(
                url,
                ssl=tls,
                subprotocols=[Subprotocol(SUBPROTOCOL_JSON)],
                compression=None,
                proxy=None,
            )

        async with edge("edge-1") as stolen, edge("edge-2") as honest:
            for socket, camera in ((stolen, "cam"), (honest, "cam-2")):
                await socket.send(json.dumps({"type": "hello", "camera": camera, "session": "s1"}))
                assert json.loads(await socket.recv())["type"] == "welcome"
            fingerprint = next(
                made.fingerprint
                for made in certificate_authority.all_of(certs.folder)
                if made.name == "edge-1"
            )
            token, began = hub.token("pia", roles=["privacy"]), time.monotonic()
            async with httpx.AsyncClient(
                verify=certs.client(), timeout=30, trust_env=False
            ) as http:
                revoked = await http.post(
                    f"https://127.0.0.1:{hub.port}/v1/revocations",
                    json={"certificate": fingerprint},
                    headers={"authorization": f"Bearer {token}"},
                )
            assert revoked.status_code == 201
            async with asyncio.timeout(FOLLOWS_S):
                while json.loads(await stolen.recv())["type"] != "bye":
                    pass
            assert time.monotonic() - began < FOLLOWS_S
            await honest.send(json.dumps({"type": "ping"}))
            while (said := json.loads(await honest.recv()))["type"] != "pong":
                assert said["type"] != "bye"
        assert await post(hub, certs.client("device-edge-1"), edge_token(hub)) == 401, (
            "nor with a good token"
        )
        assert await post(hub, certs.client("device-edge-2"), camera="cam-2") == 200
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)


async def test_a_pinned_certificate_is_trusted_and_no_other(
    tmp_path: Path, certs: Authority, strangers: Authority
) -> None:
    async with serving(tmp_path, certs.hub(), "off") as hub:

        def ask(pin: Authority) -> bool:
            rest = HubRest(
                f"https://127.0.0.1:{hub.port}", hub.token(), pinned(pin.file("server.pem"))
            )
            return rest.get("/v1/cameras") is not None

        assert await asyncio.to_thread(ask, certs)
        with pytest.raises(Unavailable):
            await asyncio.to_thread(ask, strangers)
        url, client = f"wss://127.0.0.1:{hub.port}/v1/edge", certs.client("device-edge-1")
        async with EdgeClient(url, edge_token(hub), tls=client) as edge:
            stream = await edge.open("cam")
            await stream.send(Observation(time=datetime(2026, 3, 1, tzinfo=UTC), objects=[]))
            await edge.drain(30)


async def test_the_command_revokes_by_the_name_of_the_device(
    tmp_path: Path, certs: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(tmp_path, certs.hub(), "accept") as hub:
        token = tmp_path / "token"
        token.write_text(hub.token("pia", roles=["privacy"]))
        where = [
            "--url",
            f"https://127.0.0.1:{hub.port}",
            "--token-file",
            str(token),
            "--folder",
            str(certs.folder),
        ]
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("SSL_CERT_FILE", certs.file("ca.pem"))
            assert (
                await asyncio.to_thread(
                    main, ["certs", "revoke", "edge-2", *where, "--reason", "stolen"]
                )
                == 0
            )
            assert "is revoked" in capsys.readouterr().out
            assert await asyncio.to_thread(main, ["certs", "revoke", "nobody", *where]) == 1
        assert await asyncio.to_thread(main, ["certs", "revoke", "edge-2", *where]) == 1, (
            "whose authority nobody vouches for"
        )
        marks = await hub.hub.context.stores.policy.marks()
        fingerprint = next(
            made.fingerprint
            for made in certificate_authority.all_of(certs.folder)
            if made.name == "edge-2"
        )
        assert [(found.kind, found.value) for found in marks.revocations] == [
            ("certificate", fingerprint)
        ]


async def test_check_73_a_forwarded_address_is_believed_of_a_named_proxy_alone(
    tmp_path: Path,
) -> None:
    limits = LimitsSettings(address_requests_per_s=0.01, address_requests_burst=3)

    async def found(hub: TestHub) -> list[int]:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{hub.port}", timeout=30, trust_env=False
        ) as http:
            headers = {"authorization": f"Bearer {hub.token()}"}
            return [
                (
                    await http.get(
                        "/v1/cameras",
                        headers=headers | {"x-forwarded-for": f"evil, 192.0.2.{number}"},
                    )
                ).status_code
                for number in range(5)
            ]

    async with running_hub(tmp_path, limits=limits) as hub:
        assert await found(hub) == [200, 200, 200, 429, 429], "whatever it says, it is one address"
    proxied = HubSettings(port=0, trusted_proxies=["127.0.0.1"], max_connections_per_address=1)
    async with running_hub(tmp_path, hub=proxied, limits=limits) as hub:
        assert await found(hub) == [200] * 5
        async with (
            hub.dashboard(additional_headers={"x-forwarded-for": "192.0.2.1"}),
            hub.dashboard(additional_headers={"x-forwarded-for": "192.0.2.2"}),
        ):
            assert set(hub.hub.node.connections.admission._addresses) == {"192.0.2.1", "192.0.2.2"}


def test_check_16_what_a_hub_does_not_start_with(
    certs: Authority, strangers: Authority, tmp_path: Path
) -> None:
    def refused(**options: Any) -> str:
        with pytest.raises(ConfigError) as caught:
            server_context(HubSettings(**options))
        return f"{caught.value.detail} {caught.value.next_step}"

    pair = {"tls_cert_file": certs.file("server.pem"), "tls_key_file": certs.file("server.key")}
    assert server_context(HubSettings(host="0.0.0.0", **pair)) is not None  # type: ignore[arg-type]
    assert server_context(HubSettings(host="0.0.0.0", insecure=True)) is None
    for host in ("127.0.0.1", "::1", "localhost"):
        assert server_context(HubSettings(host=host)) is None
    for host in ("0.0.0.0", "::", "192.0.2.1", "hub.example", ""):
        assert "hub.insecure" in refused(host=host)
    open_key = tmp_path / "open.key"
    open_key.write_bytes(Path(certs.file("server.key")).read_bytes())
    os.chmod(open_key, 0o644)
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("nothing")
    assert "is not the key of" in refused(**pair | {"tls_key_file": strangers.file("server.key")})
    assert "expired" in refused(
        tls_cert_file=certs.file("ended.pem"), tls_key_file=_private(certs, tmp_path)
    )
    assert "chmod 600" in refused(**pair | {"tls_key_file": str(open_key)})
    assert "no certificate" in refused(**pair | {"tls_cert_file": str(nothing)})
    assert "no certificate" in refused(**pair, tls_client_ca_file=str(nothing))
    assert "cannot be read" in refused(**pair | {"tls_cert_file": str(tmp_path / "absent")})
    assert "tls_key_file is not" in refused(tls_cert_file=certs.file("server.pem"))
    assert "tls_cert_file is not" in refused(tls_key_file=certs.file("server.key"))
    assert "tls_cert_file is not" in refused(tls_client_ca_file=certs.file("ca.pem"))


def _private(certs: Authority, folder: Path) -> str:
    path = folder / "ended.key"
    path.write_bytes(Path(certs.file("ended.key")).read_bytes())
    path.chmod(0o600)
    return str(path)
