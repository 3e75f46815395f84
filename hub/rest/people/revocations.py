"""Tokens taken back, by REST: ``/v1/revocations``. The action is `token.revoke`; hubs follow within
seconds and close open sockets."""

import logging
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from actors.core.errors import BadInput
from actors.core.settings import AuthSettings
from actors.core.times import rfc3339
from hub.web import endpoint
from policy.audit import Auditor
from policy.identity.principal import Principal
from policy.identity.tokens import Subject
from storage.ports.policy import PolicyStore, Revocation

CLOCKS_S = 3600  # clocks of hubs and PostgreSQL may differ: so long a revocation outlives its token

log = logging.getLogger("eyrie.hub.policy")


class Revoke(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of them: the token `jti`, all tokens and certificates of `subject` issued until now, or
    the `certificate` of that SHA-256.

    `exp`, with `jti`: when what is revoked ends by itself (a token's claim, seconds since 1970);
    without it the revocation holds for ever, since a `jti` may as well be the id of a device's key
    or certificate. `reason` is for who reads the audit log.
    """

    jti: Subject | None = None
    subject: Subject | None = None
    certificate: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")] | None = None
    exp: Annotated[int, msgspec.Meta(ge=0, le=2**37)] | None = None
    reason: Annotated[str, msgspec.Meta(max_length=200)] = ""


class RevocationHandlers:
    """The handlers."""

    def __init__(
        self, store: PolicyStore, auditor: Auditor, auth: AuthSettings, now_s: Callable[[], float]
    ) -> None:
        self._store = store
        self._auditor = auditor
        self._auth = auth
        self._now_s = now_s

    async def list(self, request: Request, principal: Principal) -> Response:
        """Those that hold."""
        marks = await self._store.marks()
        return endpoint.answer({"revocations": [_shown(found) for found in marks.revocations]})

    async def add(self, request: Request, principal: Principal) -> Response:
        """Take back: `Revoke`. 201; again is harmless.

        A subject's tokens are revoked up to `auth.leeway_s` from now: an issuer whose clock is
        ahead may have dated them so.
        """
        asked = await endpoint.body(request, Revoke)
        if [asked.jti, asked.subject, asked.certificate].count(None) != 2:
            raise BadInput(
                "a revocation names a token by `jti`, all of a `subject`, or a `certificate`",
                hint="Give one of them.",
            )
        if asked.exp is not None and asked.jti is None:
            raise BadInput(
                "`exp` is the end of one token",
                hint="Leave it out, or name the token by its `jti`.",
            )
        now = int(self._now_s())
        if asked.jti is not None:
            revocation = Revocation(
                "jti", asked.jti, now, None if asked.exp is None else asked.exp + CLOCKS_S
            )
        elif asked.certificate is not None:
            revocation = Revocation("certificate", asked.certificate, now)
        else:
            revocation = Revocation("subject", str(asked.subject), now + int(self._auth.leeway_s))
        target = f"{revocation.kind}:{revocation.value}"
        await self._store.revoke(
            revocation, audit=self._auditor.record(principal, "token.revoke", target, asked.reason)
        )
        log.warning("policy: %s revoked by %s (token %s)", target, principal.sub, principal.jti)
        return endpoint.answer(_shown(revocation), status=201)


def _shown(revocation: Revocation) -> dict[str, Any]:
    return {
        "kind": revocation.kind,
        "value": revocation.value,
        "issued_before": rfc3339(revocation.before_s * 1_000_000),
        "until": None if revocation.until_s is None else rfc3339(revocation.until_s * 1_000_000),
    }
