"""Signatures beside another implementation of Standard Webhooks."""

import base64
import time
from pathlib import Path

import pytest
import standardwebhooks
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from actors.core.errors import BadInput, ConfigError
from connectors.sinks import signatures
from connectors.sinks.sealed import OVERLAP_S, Secret, Secrets, key_of, seal, unseal

BODY = b'{"type":"x"}'


def test_both_secrets_sign_while_they_are_rotated() -> None:
    old, new = signatures.new_secret("hmac"), signatures.new_secret("hmac")
    now_s = time.time()
    rotated = Secrets((Secret(old),)).rotated(new, now_s)
    headers = signatures.signed(rotated.in_force(now_s + 10), "id@hook", int(now_s), BODY)
    for secret in (old, new):
        assert standardwebhooks.Webhook(secret).verify(BODY, headers) == {"type": "x"}
    late = now_s + OVERLAP_S + 1
    headers = signatures.signed(rotated.in_force(late), "id@hook", int(now_s), BODY)
    standardwebhooks.Webhook(new).verify(BODY, headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(old).verify(BODY, headers)


def test_an_ed25519_signature_is_of_id_timestamp_and_body() -> None:
    secret = signatures.new_secret("ed25519")
    headers = signatures.signed([secret], "id@hook", 1_700_000_000, BODY)
    shared = signatures.shareable(secret)
    assert shared.startswith("whpk_")
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(shared.removeprefix("whpk_")))
    version, _, signature = headers["webhook-signature"].partition(",")
    assert version == "v1a"
    public.verify(base64.b64decode(signature), b"id@hook.1700000000." + BODY)


def test_an_id_holds_no_dot() -> None:
    assert signatures.message_id("c1/e.1/2", "hook") == "c1/e%2E1/2@hook"
    assert signatures.message_id("c1/e%2E1/2", "hook") == "c1/e%252E1/2@hook"
    with pytest.raises(ValueError, match="dot"):
        signatures.signed([], "a.b", 0, BODY)


@pytest.mark.parametrize("text", ["", "secret", "whsec_", "whsec_!!", "whsec_AAAA", "whsk_AAAA"])
def test_what_is_no_secret_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        signatures.require_secret(text)


def test_secrets_are_unreadable_without_their_key_and_under_another_name(
    tmp_path: Path,
) -> None:
    key = key_of(tmp_path / "keyring")
    assert key_of(tmp_path / "keyring") == key
    assert (tmp_path / "keyring" / "sinks.key").stat().st_mode & 0o777 == 0o600
    secrets = Secrets((Secret("whsec_abc"),))
    sealed = seal(key, "hook", secrets)
    assert b"whsec" not in sealed
    assert unseal(key, "hook", sealed) == secrets
    for other in ((bytes(32), "hook"), (key, "other")):
        with pytest.raises(ConfigError, match="cannot be read"):
            unseal(*other, sealed)
