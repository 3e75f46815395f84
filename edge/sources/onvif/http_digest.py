"""HTTP digest authentication, RFC 7616: MD5 and SHA-256, with ``qop=auth`` or none (pure)."""

import hashlib
import re

import msgspec

ALGORITHMS = {"MD5": "md5", "SHA-256": "sha256"}
_PART = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')


class DigestChallenge(msgspec.Struct, frozen=True):
    """What a server wants to have answered."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    opaque: str | None = None
    qop: bool = False


def challenge(values: list[str]) -> DigestChallenge | None:
    """The best of the ``WWW-Authenticate`` values that can be answered: SHA-256 before MD5."""
    found = []
    for value in values:
        scheme, _, rest = value.strip().partition(" ")
        if scheme.lower() != "digest" or not value.isprintable():
            continue
        parts = {name.lower(): text or bare for name, text, bare in _PART.findall(rest)}
        algorithm = parts.get("algorithm", "MD5").upper()
        words = [word.strip() for word in parts.get("qop", "").split(",") if word.strip()]
        if algorithm not in ALGORITHMS or "nonce" not in parts or (words and "auth" not in words):
            continue
        found.append(
            DigestChallenge(
                parts.get("realm", ""), parts["nonce"], algorithm, parts.get("opaque"), bool(words)
            )
        )
    return max(found, key=lambda one: one.algorithm == "SHA-256", default=None)


def answer(
    asked: DigestChallenge,
    path: str,
    login: tuple[str, str],
    once: str,
    count: int,
    method: str = "POST",
) -> str:
    """The ``Authorization`` of a request for `path`; `count`: how often this nonce was used, from
    1."""
    user, password = login

    def digest(text: str) -> str:
        return hashlib.new(
            ALGORITHMS[asked.algorithm], text.encode(), usedforsecurity=False
        ).hexdigest()

    secret, what = digest(f"{user}:{asked.realm}:{password}"), digest(f"{method}:{path}")
    number = f"{count:08x}"
    middle = f"{asked.nonce}:{number}:{once}:auth" if asked.qop else asked.nonce
    parts = {
        "username": user.replace("\\", "\\\\").replace('"', '\\"'),
        "realm": asked.realm,
        "nonce": asked.nonce,
        "uri": path,
        "response": digest(f"{secret}:{middle}:{what}"),
    }
    if asked.opaque is not None:
        parts["opaque"] = asked.opaque
    written = ", ".join(f'{name}="{value}"' for name, value in parts.items())
    written += f", algorithm={asked.algorithm}"
    if asked.qop:
        written += f', qop=auth, nc={number}, cnonce="{once}"'
    return f"Digest {written}"
