"""A second implementation of the token port (`policy.decision.model.TokenVerifier`), for
differential tests: joserfc and a JSON schema.

Only the reading of key files is shared with the first; header, signature, times and claims are
judged by other people's code.
"""

import json
from collections.abc import Callable
from typing import Any

import jsonschema
from joserfc import jwk, jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jws import JWSRegistry

from actors.core.errors import Expired, Unauthorized
from actors.core.settings import AuthSettings
from policy.identity.keys import VerificationKeys
from policy.identity.principal import Principal, TokenType
from policy.identity.tokens import LOCAL_KID, MAX_TOKEN_BYTES, load_keys
from tests.support.tokens import b64

_ID = {"type": "string", "pattern": r"\A[a-z0-9][a-z0-9_-]{0,63}\Z"}
_SECOND = {"type": "integer", "minimum": 0, "maximum": 2**40}


def _text(most: int) -> dict[str, Any]:
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": most,
        "pattern": "\\A[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]*\\Z",
    }


def _list(items: dict[str, Any], most: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "maxItems": most}


SCHEMA = {
    "type": "object",
    "required": ["iss", "aud", "sub", "jti", "iat", "exp", "typ"],
    "properties": {
        "iss": {"type": "string"},
        "aud": {"anyOf": [{"type": "string"}, _list({"type": "string"}, 8)]},
        "sub": _text(255),
        "jti": _text(255),
        "iat": _SECOND,
        "exp": _SECOND,
        "nbf": _SECOND,
        "typ": {"enum": ["user", "edge", "service"]},
        "roles": _list(_text(128), 16),
        "sites": _list({"anyOf": [_ID, {"const": "*"}]}, 256),
        "cameras": {"anyOf": [_list(_ID, 512), {"type": "null"}]},
        "scopes": _list(_text(128), 32),
    },
}
_SHAPE = jsonschema.Draft202012Validator(SCHEMA)


class SecondVerifier:
    """`policy.decision.model.TokenVerifier` by joserfc. Reads its keys when it is made."""

    def __init__(self, auth: AuthSettings) -> None:
        keys = load_keys(auth)
        self._auth = auth
        self._registry = JWSRegistry(algorithms=[keys.algorithm], strict_check_header=False)
        self._keys = {kid: imported(keys, kid) for kid in keys.by_kid}

    def verify(
        self, text: object, *, typ: TokenType | tuple[TokenType, ...], now_s: float
    ) -> Principal:
        if not isinstance(text, str) or len(text) > MAX_TOKEN_BYTES:
            raise Unauthorized("no token")
        try:
            token = jwt.decode(text, self._key, registry=self._registry)
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise Unauthorized(str(error)) from error
        if token.header.get("typ", "JWT") != "JWT" or "crit" in token.header:
            raise Unauthorized("a header that is not taken")
        return self._principal(token.claims, (typ,) if isinstance(typ, str) else typ, now_s)

    def _key(self, obj: Any) -> Any:
        kid = obj.headers().get("kid", LOCAL_KID)
        if not isinstance(kid, str) or kid not in self._keys:
            raise Unauthorized("an unknown key")
        return self._keys[kid]

    def _principal(
        self, claims: dict[str, Any], wanted: tuple[TokenType, ...], now_s: float
    ) -> Principal:
        auth = self._auth
        if (error := next(_SHAPE.iter_errors(claims), None)) is not None:
            raise Unauthorized(error.message)
        rules = jwt.JWTClaimsRegistry(
            now=int(now_s),
            leeway=int(auth.leeway_s),
            iss={"essential": True, "value": auth.issuer},
            aud={"essential": True, "value": auth.audience},
            typ={"essential": True, "values": [str(kind) for kind in wanted]},
        )
        try:
            rules.validate({name: value for name, value in claims.items() if name != "exp"})
            longest = auth.edge_lifetime_s if claims["typ"] == "edge" else auth.user_lifetime_s
            if not 0 < claims["exp"] - claims["iat"] <= longest:
                raise Unauthorized("it lives too long")
            jwt.JWTClaimsRegistry(now=int(now_s)).validate_exp(claims["exp"])
        except ExpiredTokenError as error:
            raise Expired("it is over") from error
        except JoseError as error:
            raise Unauthorized(str(error)) from error
        cameras = claims.get("cameras")
        return Principal(
            claims["sub"],
            claims["jti"],
            claims["typ"],
            int(claims["iat"]),
            int(claims["exp"]),
            tuple(claims.get("roles", ())),
            tuple(claims.get("sites", ())),
            None if cameras is None else tuple(cameras),
            tuple(claims.get("scopes", ())),
        )


def imported(keys: VerificationKeys, kid: str) -> Any:
    """A secret, PEM or JWK of `keys` as a key of joserfc."""
    material = keys.by_kid[kid]
    if keys.algorithm == "HS256":
        return jwk.OctKey.import_key(material)
    return (jwk.ECKey if keys.algorithm == "ES256" else jwk.RSAKey).import_key(material)


def second_sign(keys: VerificationKeys, claims: dict[str, Any], *, kid: str = LOCAL_KID) -> str:
    """`policy.decision.model.TokenSigner` by joserfc."""
    return jwt.encode(
        {"alg": keys.algorithm, "kid": kid},
        claims,
        imported(keys, kid),
        algorithms=[keys.algorithm],
    )


def token_text(payload: Any, header: Any, signature: Callable[[bytes], bytes]) -> str:
    """A token over any payload and header (bytes go in as they are), signed by `signature` of the
    bytes to be signed."""
    parts = [
        b64(part if isinstance(part, bytes) else json.dumps(part).encode())
        for part in (header, payload)
    ]
    signed = ".".join(parts)
    return f"{signed}.{b64(signature(signed.encode()))}"
