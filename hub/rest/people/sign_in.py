"""``POST /v1/sign-in``: a code that works once becomes a token. The code is the credential: no
other is asked for."""

import logging
from collections.abc import Callable
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from actors.core.errors import BadInput, Forbidden, Unauthorized, Unavailable
from actors.core.times import rfc3339
from hub.access import client_address
from hub.access.authorization import Access
from hub.access.credentials import address_of
from hub.access.rate_limits import place
from hub.web import endpoint
from policy.identity import sign_in
from storage.ports.rate_limits import SignInStore

log = logging.getLogger("eyrie.hub.sign_in")

MAX_BODY_BYTES = 1024
USED = "the link was used already, is older than ten minutes, or is none"


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `code` of a link."""

    code: Annotated[str, msgspec.Meta(pattern=sign_in.CODE_PATTERN)]


class SignIns:
    """The handler. `known`: the origins whose pages may use it."""

    def __init__(
        self, store: SignInStore | None, access: Access, known: Callable[[], frozenset[str]]
    ) -> None:
        self._store = store
        self._access = access
        self._known = known

    async def exchange(self, request: Request) -> Response:
        """The token that a code hands over, as long as it still holds, and until when it does.

        Only failures are counted, and only failures are refused for it: no bound of an address is
        drained by who shows nothing good, so nobody can keep those out who come from the same one.
        """
        if not client_address.allowed(request.headers.getlist("origin"), self._known()):
            raise Forbidden(
                "a page of this origin may not sign in here",
                hint="Its origin is missing in hub.allowed_origins.",
            )
        if self._store is None:
            raise Unavailable("this hub has no Redis, which keeps codes of sign-ins")
        try:
            code = (await endpoint.body(request, SignIn, limit=MAX_BODY_BYTES)).code
            sealed = await self._store.pop(sign_in.name_of(code))
            if sealed is None:
                raise Unauthorized(USED, hint="Make another one: `eyrie sign-in`.")
            token = sign_in.opened(code, sealed)
            principal = self._access.verify(token)
        except (BadInput, Unauthorized):
            await self._access.limiter.failed(place(address_of(request)), "")
            raise
        log.info("%s signed in by a link (token %s)", principal.sub, principal.jti)
        return endpoint.answer({"token": token, "expires": rfc3339(principal.exp * 1_000_000)})
