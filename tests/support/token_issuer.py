"""An issuer of tokens with its key, and two implementations of the token port over the same
files."""

import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc import jwk

from actors.core.settings import AuthSettings
from policy.decision.model import TokenVerifier
from policy.identity.keys import VerificationKeys
from policy.identity.tokens import LOCAL_KID, JwtVerifier, load_keys
from tests.support.second_tokens import SecondVerifier
from tests.support.tokens import auth_settings, b64

Signature = Callable[[bytes], bytes]


class Issuer:
    """One algorithm with its key, and both implementations over the same files."""

    def __init__(self, algorithm: str, folder: Path) -> None:
        self.algorithm, self.kid = algorithm, "k1"
        folder.mkdir()
        if algorithm == "HS256":
            self.auth, self.kid = auth_settings(folder), LOCAL_KID
            self.signing = load_keys(self.auth)
        else:
            self._private: Any = (
                ec.generate_private_key(ec.SECP256R1())
                if algorithm == "ES256"
                else rsa.generate_private_key(65_537, 2048)
            )
            public = _public_jwk(self._private.public_key())
            self.thumbprint = jwk.import_key(public).thumbprint()
            path = folder / "jwks.json"
            path.write_text(
                json.dumps({"keys": [{**public, "kid": "k1"}, {**public, "kid": self.thumbprint}]})
            )
            path.chmod(0o644)
            self.auth = AuthSettings(jwks_file=str(path))
            form = serialization.PrivateFormat.PKCS8
            pem = self._private.private_bytes(
                serialization.Encoding.PEM, form, serialization.NoEncryption()
            ).decode()
            self.signing = VerificationKeys(algorithm, {"k1": pem, self.thumbprint: pem})
        self.first: TokenVerifier = JwtVerifier(self.auth)
        self.second: TokenVerifier = SecondVerifier(self.auth)

    @property
    def header(self) -> dict[str, Any]:
        """What a good token of it begins with."""
        return {"alg": self.algorithm, "typ": "JWT", "kid": self.kid}

    def signature(self, data: bytes) -> bytes:
        """The genuine signature."""
        if self.algorithm == "HS256":
            return mac(self.signing.by_kid[LOCAL_KID])(data)
        if self.algorithm == "RS256":
            return bytes(self._private.sign(data, padding.PKCS1v15(), hashes.SHA256()))
        r, s = decode_dss_signature(self._private.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def public_forms(self) -> list[bytes]:
        """What a thief may take for the secret of HS256."""
        if self.algorithm == "HS256":
            return [b"", b"secret"]
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        public = self._private.public_key()
        encodings = (serialization.Encoding.PEM, serialization.Encoding.DER)
        return [
            *(public.public_bytes(encoding, form) for encoding in encodings),
            json.dumps(_public_jwk(public)).encode(),
            b"",
        ]


def mac(secret: bytes) -> Signature:
    """What signs with HMAC-SHA256 and `secret`."""

    def made(data: bytes) -> bytes:
        return hmac.digest(secret, data, "sha256")

    return made


def _public_jwk(public: Any) -> dict[str, str | list[str]]:
    numbers = public.public_numbers()
    if isinstance(public, rsa.RSAPublicKey):
        return {
            "kty": "RSA",
            "n": b64(numbers.n.to_bytes(256, "big")),
            "e": b64(numbers.e.to_bytes(3, "big")),
        }
    return {
        "kty": "EC",
        "crv": "P-256",
        "x": b64(numbers.x.to_bytes(32, "big")),
        "y": b64(numbers.y.to_bytes(32, "big")),
    }
