"""HTTP ingest signed by a device's own key, against a hub over HTTP: what holds, every field
flipped, and what is sent again."""

import asyncio
import base64
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver, algorithms

from actors.core.errors import BadInput, ConfigError, NotFound
from cluster.cli.main import main
from edge.examples import signed_post
from edge.signing import RequestKey, read_key, signed
from policy.identity import device_keys
from policy.identity.revocations import Revocations
from storage.ports.policy import Revocation
from tests.support.doubles.actor_handles import FakeActor, FakeDirectory
from tests.support.hub.hub import TestHub, running_hub
from tests.support.hub.real_policy import real_policy
from tests.support.tokens import auth_settings

TIME = "2026-03-01T12:00:00Z"
COVERED = ("@method", "@authority", "@path", "content-type")


def body(first_seq: int = 1, session: str = "s1") -> bytes:
    return json.dumps(
        {
            "session": session,
            "first_seq": first_seq,
            "observations": [{"time": TIME, "objects": []}],
        }
    ).encode()


@dataclass
class Rig:
    """A hub that knows two devices' keys."""

    hub: TestHub
    file: Path
    ed25519: RequestKey
    hmac: RequestKey

    def url(self, camera: str = "cam") -> str:
        return f"http://127.0.0.1:{self.hub.port}/v1/cameras/{camera}/observations"

    async def send(
        self, headers: dict[str, str], sent: bytes, camera: str = "cam", method: str = "POST"
    ) -> httpx.Response:
        async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
            return await http.request(method, self.url(camera), content=sent, headers=headers)

    async def post(self, key: RequestKey, sent: bytes, camera: str = "cam") -> httpx.Response:
        return await self.send(signed(key, "POST", self.url(camera), sent), sent, camera)


@asynccontextmanager
async def serving(tmp_path: Path, **options: Any) -> AsyncIterator[Rig]:
    file = tmp_path / "devices.json"
    keys = [
        read_key(device_keys.make(file, "gate-box", ["cam", "cam-2"], algorithm="ed25519")),
        read_key(device_keys.make(file, "dock-box", ["cam"], algorithm="hmac-sha256")),
    ]
    auth = msgspec.structs.replace(auth_settings(tmp_path), device_keys_file=str(file))
    actor = FakeActor("actor-1")
    async with running_hub(
        tmp_path, auth=auth, directory=FakeDirectory(lambda name: actor), **options
    ) as hub:
        await hub.register("cam", "cam-2", "cam-3")
        yield Rig(hub, file, *keys)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with serving(tmp_path) as made:
        yield made


@pytest.mark.parametrize("kind", ["ed25519", "hmac"])
async def test_a_signed_post_needs_no_token_and_comes_from_the_device_of_its_key(
    rig: Rig, kind: str
) -> None:
    answered = await rig.post(getattr(rig, kind), body())
    assert (answered.status_code, answered.json()["seq"]) == (200, 1)
    subject = next(
        question.subject for question in rig.hub.policy.asked if question.action == "ingest"
    )
    assert (subject["typ"], subject["roles"], subject["sites"]) == ("edge", ["edge"], ["*"])
    assert subject["cameras"] == (["cam", "cam-2"] if kind == "ed25519" else ["cam"])


FLIPS: dict[str, dict[str, Any]] = {
    "another body": {"body": body(1, "s2")},
    "another camera": {"camera": "cam-2"},
    "another content type": {"content-type": "application/msgpack"},
    "another digest": {"content-digest": "sha-256=:" + base64.b64encode(bytes(32)).decode() + ":"},
    "another time": {"swap": ("created=", "created=1")},
    "another nonce": {"swap": ('nonce="', 'nonce="x')},
    "another key id": {"swap": ('keyid="', 'keyid="x')},
    "another algorithm": {"swap": ('alg="', 'alg="x')},
    "less covered": {"swap": ('"@path" ', "")},
    "another signature": {"signature": "eyrie=:" + base64.b64encode(bytes(64)).decode() + ":"},
    "no signature": {"signature": None},
    "no digest": {"content-digest": None},
    "no structured field": {"signature-input": "eyrie=("},
    "something more signed": {"swap": (";created=", ";more=1;created=")},
}


@pytest.mark.parametrize("flip", FLIPS, ids=lambda name: name.replace(" ", "-"))
@pytest.mark.parametrize("kind", ["ed25519", "hmac"])
async def test_check_30_every_field_of_a_signature_counts(rig: Rig, kind: str, flip: str) -> None:
    sent = body()
    headers = {
        name.lower(): value
        for name, value in signed(getattr(rig, kind), "POST", rig.url(), sent).items()
    }
    change = dict(FLIPS[flip])
    if (swap := change.pop("swap", None)) is not None:
        assert swap[0] in headers["signature-input"]
        headers["signature-input"] = headers["signature-input"].replace(*swap)
    sent, camera = change.pop("body", sent), change.pop("camera", "cam")
    changed = {name: value for name, value in (headers | change).items() if value is not None}
    answered = await rig.send(changed, sent, camera)
    assert (answered.status_code, answered.json()["title"]) == (401, "unauthorized")


async def test_check_30_the_method_is_signed_and_a_header_counts_once(rig: Rig) -> None:
    sent = body()
    put = signed(rig.ed25519, "PUT", rig.url(), sent)
    assert (await rig.send(put, sent)).status_code == 401
    async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
        for name in ("content-digest", "signature", "signature-input", "content-type"):
            once = [
                (found.lower(), value)
                for found, value in signed(rig.ed25519, "POST", rig.url(), sent).items()
            ]
            said = dict(once)[name]  # the second one says the same: no other check refuses it
            answered = await http.post(rig.url(), content=sent, headers=[*once, (name, said)])
            assert answered.status_code == 401, name


@pytest.mark.parametrize("left_out", COVERED)
async def test_check_30_a_good_signature_over_too_little_is_refused(
    rig: Rig, left_out: str
) -> None:
    covered = tuple(name for name in COVERED if name != left_out)
    assert (
        await rig.send(signed_at(rig.ed25519, rig.url(), body(), covered=covered), body())
    ).status_code == 401
    assert (await rig.send(signed_at(rig.ed25519, rig.url(), None), body())).status_code == 401, (
        "nothing says which body it is"
    )


async def test_check_30_the_key_decides_the_algorithm(rig: Rig) -> None:
    public = next(key for key in device_keys.read(rig.file) if key.keyid == rig.ed25519.keyid)
    forged = RequestKey(rig.ed25519.keyid, "hmac-sha256", public.key)  # the public key is no secret
    assert (await rig.post(forged, body())).status_code == 401


async def test_check_31_a_batch_sent_again_changes_nothing(rig: Rig) -> None:
    sent = body()
    headers = signed(rig.ed25519, "POST", rig.url(), sent)
    first = await rig.send(headers, sent)
    again = await rig.send(headers, sent)
    fresh = await rig.post(rig.ed25519, sent)
    assert [answer.status_code for answer in (first, again, fresh)] == [200, 200, 200]
    assert first.json() == again.json() == fresh.json(), "the ack of a duplicate"
    assert (await rig.send(headers, sent, "cam-2")).status_code == 401, (
        "to another camera of the same key"
    )


def signed_at(
    key: RequestKey,
    url: str,
    sent: bytes | None,
    *,
    age_s: float = 0.0,
    nonce: str | None = "a-nonce-of-16-ch",
    covered: tuple[str, ...] = COVERED,
) -> dict[str, str]:
    """Signed well, but at another time, with another nonce or over less than the client would
    choose; no digest without `sent`."""

    class Resolver(HTTPSignatureKeyResolver):
        def resolve_private_key(self, key_id: str) -> Any:
            return Ed25519PrivateKey.from_private_bytes(base64.b64decode(key.key))

    message = SimpleNamespace(method="POST", url=url, headers={"Content-Type": "application/json"})
    options: dict[str, Any] = {} if nonce is None else {"nonce": nonce}
    signer = HTTPMessageSigner(signature_algorithm=algorithms.ED25519, key_resolver=Resolver())
    created = datetime.now(UTC) - timedelta(seconds=age_s)
    signer.sign(
        message,
        key_id=key.keyid,
        created=created,
        covered_component_ids=covered,
        body=sent,
        **options,
    )
    return dict(message.headers)


@pytest.mark.parametrize(
    ("age_s", "status"), [(290.0, 200), (320.0, 401), (-290.0, 200), (-320.0, 401), (86_400.0, 401)]
)
async def test_check_31_a_request_is_good_for_five_minutes_around_its_time(
    rig: Rig, age_s: float, status: int
) -> None:
    assert (
        await rig.send(signed_at(rig.ed25519, rig.url(), body(), age_s=age_s), body())
    ).status_code == status


async def test_check_31_a_nonce_is_for_one_request(rig: Rig) -> None:
    url = rig.url()
    assert (await rig.send(signed_at(rig.ed25519, url, body(1)), body(1))).status_code == 200
    refused = await rig.send(signed_at(rig.ed25519, url, body(2)), body(2))
    assert (refused.status_code, "nonce" in refused.json()["detail"]) == (401, True)
    assert (
        await rig.send(signed_at(rig.ed25519, url, body(2), nonce="another-nonce"), body(2))
    ).status_code == 200
    for nonce in (None, "short", "x" * 129):
        assert (
            await rig.send(signed_at(rig.ed25519, url, body(3), nonce=nonce), body(3))
        ).status_code == 401


async def test_check_32_a_key_is_for_its_cameras_under_the_packaged_policy(tmp_path: Path) -> None:
    async with serving(tmp_path, decider=real_policy()) as rig:
        assert [
            (await rig.post(rig.ed25519, body(), camera)).status_code
            for camera in ("cam", "cam-2", "cam-3")
        ] == [200, 200, 403]
        assert [
            (await rig.post(rig.hmac, body(), camera)).status_code
            for camera in ("cam", "cam-2", "new-one")
        ] == [200, 403, 403]


async def test_a_key_that_is_dropped_or_revoked_holds_no_longer(rig: Rig) -> None:
    key = next(key for key in device_keys.read(rig.file) if key.keyid == rig.ed25519.keyid)
    assert (await rig.post(rig.ed25519, body())).status_code == 200
    for revocation in (
        Revocation("certificate", key.fingerprint, 0),
        Revocation("subject", "gate-box", int(time.time()) + 30),
    ):
        rig.hub.hub.revoked(Revocations([revocation]))
        assert (await rig.post(rig.ed25519, body())).status_code == 401
        assert (await rig.post(rig.hmac, body(), "cam")).status_code == 200, "nobody else"
    rig.hub.hub.revoked(Revocations([]))
    assert (await rig.post(rig.ed25519, body())).status_code == 200
    device_keys.drop(rig.file, rig.ed25519.keyid)

    async with asyncio.timeout(30):
        while (await rig.post(rig.ed25519, body())).status_code != 401:
            await asyncio.sleep(0.1)
    assert (await rig.post(rig.hmac, body(), "cam")).status_code == 200


async def test_the_example_posts_and_the_command_makes_its_key(
    rig: Rig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = ["--folder", str(tmp_path)]
    assert main(["keys", "device", "yard-box", "--camera", "cam-3", "--json", *folder]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["device_keys_file"] == str(rig.file)
    key = read_key(Path(made["key_file"]))
    found: list[tuple[int, str]] = []

    def post() -> tuple[int, str]:
        return signed_post.post(f"http://127.0.0.1:{rig.hub.port}", "cam-3", key, body())

    async with asyncio.timeout(30):  # the hub looks at the file once a second
        while not found or found[-1][0] != 200:
            found.append(await asyncio.to_thread(post))
            await asyncio.sleep(0.1)
    assert main(["keys", "devices", "--json", *folder]) == 0
    listed = json.loads(capsys.readouterr().out)["keys"]
    assert [entry["device"] for entry in listed] == ["gate-box", "dock-box", "yard-box"]
    assert main(["keys", "drop", key.keyid, *folder]) == 0
    assert main(["keys", "drop", key.keyid, *folder]) == 1
    assert "yard-box" not in capsys.readouterr().out.split("keys of devices")[-1]


def test_a_file_of_keys_that_cannot_be_used_holds_none(tmp_path: Path) -> None:
    file = tmp_path / "devices.json"
    device_keys.make(file, "gate-box", ["cam"], algorithm="hmac-sha256")
    keys = device_keys.DeviceKeys(str(file))
    (key,) = device_keys.read(file)
    assert keys.find(key.keyid, 0.0) == key
    os.chmod(file, 0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        device_keys.read(file)
    file.write_text("{}")
    assert keys.find(key.keyid, 2.0) is None
    assert keys.problem
    assert "secret" not in repr(key)
    assert key.key not in repr(key)
    with pytest.raises(BadInput):
        device_keys.make(tmp_path / "other.json", "gate box", ["cam"], algorithm="ed25519")
    device_keys.make(tmp_path / "other.json", "gate-box", ["cam"], algorithm="ed25519")
    with pytest.raises(NotFound):
        device_keys.drop(tmp_path / "other.json", "nobody")
    for change in ({"key": base64.b64encode(bytes(31)).decode()}, {"key": "!"}):
        file.write_bytes(msgspec.json.encode({"keys": [msgspec.structs.replace(key, **change)]}))
        os.chmod(file, 0o600)
        with pytest.raises(ConfigError):
            device_keys.read(file)
