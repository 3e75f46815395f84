"""Names a server does not go by, answers without their headers, and secrets where they are shown or
lie about (attack 12)."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization

from actors.core.settings import HubSettings, MetricsSettings, Settings
from cluster.cli.main import main
from cluster.launcher.node_metrics import MetricsServer
from edge.signing import read_key, signed
from hub.server.http_protocol import BoundedHttp
from hub.web.security_headers import SecurityHeaders
from policy.identity import certificate_authority, device_keys
from storage.embedded.data_dir import DataDir
from tests.support.certificates import Authority
from tests.support.cluster.cluster_api import running_api
from tests.support.doubles.actor_handles import FakeActor, FakeDirectory
from tests.support.hub.hub import TestHub, running_hub
from tests.support.tokens import auth_settings

EVERY = (
    "content-security-policy",
    "x-content-type-options",
    "x-frame-options",
    "referrer-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
)
UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: "
    "13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=="
)
PREFLIGHT = ("Origin: https://wall.example", "Access-Control-Request-Method: GET")
COMMAND = '{"session":"s","data":"{}"}'
CONNECT = '{"id":1,"connect":{"token":"x"}}'


async def head(
    port: int, request: str, tls: ssl.SSLContext | None = None
) -> tuple[int, dict[str, str]]:
    """Status and headers of the answer to these bytes."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None
    )
    try:
        writer.write(request.encode("latin-1"))
        async with asyncio.timeout(30):
            answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    finally:
        writer.close()
    first, *lines = answer.strip().split("\r\n")
    names = [line.partition(":")[0].lower() for line in lines]
    assert len(names) == len(set(names)), f"a header twice: {answer}"
    return int(first.split()[1]), {
        name: line.partition(":")[2].strip() for name, line in zip(names, lines, strict=True)
    }


def get(path: str, host: str, *more: str) -> str:
    return "\r\n".join([f"GET {path} HTTP/1.1", f"Host: {host}", *more, "", ""])


HOSTS = {
    "localhost": True,
    "127.0.0.1": True,
    "[::1]": True,
    "LOCALHOST:1": True,
    "eyrie.example": True,
    "eyrie.example:8443": True,
    "a.wall.example": True,
    "b.a.wall.example": True,
    "wall.example": False,
    "evilwall.example": False,
    "evil.example": False,
    "localhost.evil.example": False,
    "eyrie.example.evil.example": False,
    "127.0.0.1.evil.example": False,
    "10.0.0.5": False,
    "[::ffff:127.0.0.1]": True,
    "0.0.0.0": False,
}
PATHS = {
    "REST": ("/health/live", ""),
    "the console": ("/", ""),
    "the dashboard socket": ("/connection/websocket", UPGRADE),
    "the edge socket": ("/v1/edge", UPGRADE + "\r\nSec-WebSocket-Protocol: eyrie.edge.v1+json"),
    "SSE": ("/connection/sse?cf_connect=x", ""),
}


async def test_attack_12_a_name_that_is_not_ours_is_answered_by_no_way(tmp_path: Path) -> None:
    names = ["eyrie.example", "*.wall.example"]
    async with (
        running_hub(tmp_path, hub=HubSettings(port=0, allowed_hosts=names)) as hub,
        running_api(tmp_path) as api,
    ):
        for path, more in PATHS.values():
            for host, ours in HOSTS.items():
                status, _ = await head(hub.port, get(path, host, *filter(None, [more])))
                assert (status != 421) is ours, (path, host)
        for port in (hub.hub.private_port, api.server.port):
            assert (await head(port, get("/health/live", "evil.example")))[0] == 421
            assert (await head(port, get("/health/live", f"localhost:{port}")))[0] == 200
        absolute = get("http://evil.example/health/live", "localhost")
        assert [(await head(port, absolute))[0] for port in (hub.port, api.server.port)] == [
            400,
            400,
        ], "a target names a server too"


async def test_attack_12_metrics_of_a_node_go_by_its_names_too(tmp_path: Path) -> None:
    data = DataDir(tmp_path / "data")
    data.path.mkdir(mode=0o700)
    metrics = MetricsServer(data, Settings(metrics=MetricsSettings(port=0)))
    metrics.start()
    try:
        port = int(metrics.url.rpartition(":")[2].partition("/")[0])
        for host, expected in (("evil.example", 421), ("a b", 400), (f"127.0.0.1:{port}", 200)):
            status, headers = await head(port, get("/metrics", host))
            assert (status, [name for name in EVERY if name not in headers]) == (expected, []), host
        status, headers = await head(
            port, get("/metrics", "localhost", *(f"X-{number}: 1" for number in range(200)))
        )
        assert (status, [name for name in EVERY if name not in headers]) == (431, []), (
            "what the library answers by itself"
        )
    finally:
        metrics.stop()


WAYS = {
    "REST": (200, get("/health/live", "localhost")),
    "the console": (200, get("/", "localhost")),
    "nothing there": (404, get("/v1/nothing", "localhost")),
    "another method": (405, get("/v1/cameras", "localhost").replace("GET", "DELETE")),
    "no token": (401, get("/v1/cameras", "localhost")),
    "a preflight": (200, get("/v1/cameras", "localhost", *PREFLIGHT).replace("GET /", "OPTIONS /")),
    "another name": (421, get("/", "evil.example")),
    "a socket of another name": (421, get("/connection/websocket", "evil.example", UPGRADE)),
    "a malformed name": (400, get("/", "a b")),
    "no HTTP": (400, "BAD\r\n\r\n"),
    "two lengths": (
        400,
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ),
    "too many headers": (431, get("/", "localhost", *(f"X-{number}: 1" for number in range(200)))),
    "a socket with too many headers": (
        431,
        get("/v1/edge", "localhost", UPGRADE, *(f"X-{number}: 1" for number in range(200))),
    ),
    "a header that does not end": (408, "GET / HTTP/1.1\r\nHost: localhost\r\nX-"),
    "a socket of another origin": (
        403,
        get("/connection/websocket", "localhost", UPGRADE, "Origin: https://evil.example"),
    ),
    "a socket in no known language": (
        400,
        get("/connection/websocket", "localhost", UPGRADE, "Sec-WebSocket-Protocol: x"),
    ),
    "a socket without a key": (
        400,
        get("/connection/websocket", "localhost", *UPGRADE.split("\r\n")[:3]),
    ),
    "a socket where there is none": (403, get("/v1/nothing", "localhost", UPGRADE)),
    "SSE": (
        200,
        get("/connection/sse?cf_connect=%7B%22id%22%3A1%2C%22connect%22%3A%7B%7D%7D", "localhost"),
    ),
    "HTTP streaming": (
        200,
        "POST /connection/http_stream HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
        f"{len(CONNECT)}\r\n\r\n{CONNECT}",
    ),
    "a stream of another origin": (
        403,
        get("/connection/sse?cf_connect=x", "localhost", "Origin: https://evil.example"),
    ),
    "a command to nobody": (
        404,
        "POST /emulation HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
        f"{len(COMMAND)}\r\n\r\n{COMMAND}",
    ),
}


@asynccontextmanager
async def serving(
    folder: Path, *, tls: bool
) -> AsyncIterator[tuple[TestHub, ssl.SSLContext | None]]:
    settings, context = HubSettings(port=0, allowed_origins=["https://wall.example"]), None
    if tls:
        certificate_authority.init(folder / "certs", days=1)
        certificate_authority.server(folder / "certs", ["127.0.0.1", "localhost"], days=1)
        authority = Authority(folder / "certs")
        settings, context = (
            authority.hub(allowed_origins=["https://wall.example"]),
            authority.client(),
        )
    async with running_hub(folder, hub=settings) as hub:
        yield hub, context


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_attack_12_every_answer_has_its_headers_by_whichever_way_it_leaves(
    tmp_path: Path, tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedHttp, "header_s", 0.5)
    async with serving(tmp_path, tls=tls) as (hub, context):

        async def look(way: str, expected: int, request: str) -> None:
            status, headers = await head(hub.port, request, context)
            assert status == expected, way
            assert not [name for name in EVERY if name not in headers], way
            assert ("strict-transport-security" in headers) is tls, way

        for way, (expected, request) in WAYS.items():
            await look(way, expected, request)

        async def broken(*_arguments: object) -> None:
            raise RuntimeError("a mistake of ours")

        monkeypatch.setattr(SecurityHeaders, "__call__", broken)
        await look("a mistake of ours", 500, get("/health/live", "localhost"))
        await look("a mistake of ours on a socket", 500, get("/v1/edge", "localhost", UPGRADE))


async def test_attack_12_a_signed_request_is_for_the_server_it_names(tmp_path: Path) -> None:
    file = tmp_path / "devices.json"
    key = read_key(device_keys.make(file, "gate-box", ["cam"], algorithm="ed25519"))
    auth = msgspec.structs.replace(auth_settings(tmp_path), device_keys_file=str(file))
    actor = FakeActor("actor-1")
    settings = HubSettings(port=0, allowed_hosts=["a.example", "b.example"])
    async with running_hub(
        tmp_path, auth=auth, hub=settings, directory=FakeDirectory(lambda name: actor)
    ) as hub:
        await hub.register("cam")
        body = json.dumps(
            {
                "session": "s1",
                "first_seq": 1,
                "observations": [{"time": "2026-03-01T12:00:00Z", "objects": []}],
            }
        )
        path = "/v1/cameras/cam/observations"
        made = signed(key, "POST", f"http://a.example{path}", body.encode())
        lines = [f"{name}: {value}" for name, value in made.items()]
        for host, expected in (("b.example", 401), ("a.example:81", 401), ("a.example", 200)):
            request = "\r\n".join(
                [
                    f"POST {path} HTTP/1.1",
                    f"Host: {host}",
                    f"Content-Length: {len(body)}",
                    *lines,
                    "",
                    body,
                ]
            )
            assert (await head(hub.port, request))[0] == expected, host


SECRETS = [
    ("EYRIE_POSTGRES_DSN", "host=db password = 'hun ter2' dbname=eyrie"),
    ("EYRIE_POSTGRES_DSN", "host=db password=hunter2"),
    ("EYRIE_POSTGRES_DSN", "host = db sslpassword = hunter2"),
    ("EYRIE_POSTGRES_DSN", "postgresql://eyrie:hun@ter2@db/eyrie"),
    ("EYRIE_POSTGRES_DSN", "postgresql://eyrie:hun/ter2@db/eyrie"),
    ("EYRIE_POSTGRES_DSN", "postgresql://db/eyrie?user=a&password=hunter2"),
    ("EYRIE_REDIS_URL", "redis://:hun ter2@cache"),
    ("EYRIE_REDIS_URL", "redis://cache?auth=hunter2"),
    ("EYRIE_REDIS_URL", "unix:///run/redis.sock?password=hunter2"),
    ("EYRIE_OPA_URL", "https://opa:hunter2@opa.example"),
    ("EYRIE_AUTH_JWKS_URL", "https://id.example/keys?sig=hunter2"),
    ("EYRIE_AUTH_JWKS_URL", "https://user:hunter2@id.example/keys"),
    ("EYRIE_HUB_ALLOWED_ORIGINS", "https://user:hunter2@wall.example"),
]


@pytest.mark.parametrize(("name", "value"), SECRETS)
def test_attack_12_config_shows_no_secret_of_an_address(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    for options in ([], ["--json"], ["--changed"]):
        main(["config", *options])
        told = "".join(capsys.readouterr())
        assert not [part for part in ("hunter2", "hun ter2", "ter2", "hun") if part in told], told


def test_attack_12_the_key_of_the_authority_is_not_with_the_hubs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--data-dir", str(tmp_path / "data")]
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("p" * 40 + "\n")
    passphrase.chmod(0o600)
    assert main(["certs", "init", *where, "--passphrase-file", str(passphrase)]) == 0
    assert main(["certs", "server", *where]) == 2, "without the passphrase"
    assert main(["certs", "server", *where, "--passphrase-file", str(passphrase)]) == 0
    capsys.readouterr()
    found = [path for path in tmp_path.rglob("*.key") if path.name == "ca.key"]
    assert [path.parent for path in found] == [tmp_path / "data-authority"]
    assert not list((tmp_path / "data").rglob("ca.key"))
    with pytest.raises(TypeError):
        serialization.load_pem_private_key(found[0].read_bytes(), None)
    with contextlib.suppress(OSError):
        found[0].rename(tmp_path / "data" / "certs" / "ca.key")
    assert main(["certs", "device", "box", *where, "--passphrase-file", str(passphrase)]) == 2
    assert "mv " in capsys.readouterr().err, "where an older release left it"
