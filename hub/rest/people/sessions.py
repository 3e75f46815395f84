"""``/v1/session``: people sign in with a password, get tickets for their session, sign out.

The browser's cookie is sent to these paths alone, and whoever uses it must be a page of ours: the
request names a known `Origin`, always.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from actors.core.errors import Forbidden, TooMany, Unauthorized, Unavailable
from actors.core.times import rfc3339
from hub.access import client_address
from hub.access.credentials import address_of
from hub.access.rate_limits import Limiter, place
from hub.web import endpoint
from hub.web.endpoint import OpenHandler
from policy.identity import passwords, sessions
from storage.ports.people import PeopleStore, Person, TicketHolder

log = logging.getLogger("eyrie.hub.sign_in")

PATH = "/v1/session"
MAX_BODY_BYTES = 4096
COMPUTING = 2  # passwords compared at once: 19 MiB and a core each
WAITING = 32  # further ones that wait for it
WRONG = "name or password is not right"
HINT = "`eyrie users password` sets another one."
OVER = "the session is over, or there is none"


class OpenSession(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who signs in."""

    user: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    password: Annotated[str, msgspec.Meta(min_length=1, max_length=passwords.MAX_CHARACTERS)]

    def __repr__(self) -> str:
        """Without the password: this may end in a log."""
        return "OpenSession()"


class Sessions:
    """The handlers. `known`: the origins whose pages may use them."""

    def __init__(
        self, people: PeopleStore | None, limiter: Limiter, known: Callable[[], frozenset[str]]
    ) -> None:
        self._people = people
        self._limiter = limiter
        self._known = known
        self._computing = asyncio.Semaphore(COMPUTING)
        self._waiting = 0

    def handlers(self) -> dict[str, OpenHandler]:
        """All of them by the ids of `hub.rest.people.token_endpoints`."""
        return {"openSession": self.open, "renewTicket": self.renew, "closeSession": self.close}

    async def open(self, request: Request) -> Response:
        """Sign in: a new session, and its first ticket. One of this browser's before it ends.

        Every try is counted, by address and by name, before the password is looked at.
        """
        secure = self._page(request)
        people = self._store()
        asked = await endpoint.body(request, OpenSession, limit=MAX_BODY_BYTES)
        await self._limiter.charge(
            ("address_passwords", place(address_of(request))), ("user_passwords", asked.user)
        )
        secret = await self._begun(people, await self._known_person(people, asked))
        if (before := self._cookie(request, secure)) is not None:
            await people.end(sessions.hashed(before))
        answer = await self._ticket(people, secret)
        answer.set_cookie(
            _name(secure),
            secret,
            max_age=int(sessions.LIFE_S),
            path=PATH,
            secure=secure,
            httponly=True,
            samesite="strict",
        )
        return answer

    @staticmethod
    async def _begun(people: PeopleStore, person: Person) -> str:
        """The secret of a new session."""
        session, secret = secrets.token_hex(16), sessions.new_secret()
        begun = await people.open(
            session,
            sessions.hashed(secret),
            person,
            life_s=sessions.LIFE_S,
            idle_s=sessions.IDLE_S,
        )
        if not begun:  # changed or disabled while the password was compared
            raise Unauthorized(WRONG, hint=HINT)
        log.info("%s signed in with a password (session %s)", person.name, session)
        return secret

    async def renew(self, request: Request) -> Response:
        """Another ticket for the session of the cookie."""
        secret = self._own(request)
        await self._limiter.charge(("address_requests", place(address_of(request))))
        return await self._ticket(self._store(), secret)

    async def close(self, request: Request) -> Response:
        """Sign out: the session is over on all hubs, its tickets too, and its open sockets close
        within seconds. Again is harmless."""
        secure, secret = self._page(request), self._own(request)
        await self._limiter.charge(("address_requests", place(address_of(request))))
        person = await self._store().end(sessions.hashed(secret))
        if person is not None:
            log.info("%s signed out", person)
        answer = endpoint.gone()
        answer.delete_cookie(
            _name(secure), path=PATH, secure=secure, httponly=True, samesite="strict"
        )
        return answer

    def _store(self) -> PeopleStore:
        if self._people is None:
            raise Unavailable("this hub has no database of people")
        return self._people

    def _page(self, request: Request) -> bool:
        """Whether the page that asks came by TLS, which its origin says, behind a proxy too. Raises
        Forbidden for a page of elsewhere."""
        origins = request.headers.getlist("origin")
        if not origins or not client_address.allowed(origins, self._known()):
            raise Forbidden(
                "a page of this origin may not sign in here",
                hint="Send the hub's own Origin; another one must be in hub.allowed_origins.",
            )
        return origins[0].lower().startswith("https:")

    def _own(self, request: Request) -> str:
        """The cookie of a page of ours. Raises Forbidden, and Unauthorized where there is none."""
        secret = self._cookie(request, self._page(request))
        if secret is None:
            raise Unauthorized(OVER, hint="Sign in.")
        return secret

    @staticmethod
    def _cookie(request: Request, secure: bool) -> str | None:
        """Over TLS only the cookie that nothing but TLS can set counts."""
        return request.cookies.get(_name(secure))

    async def _known_person(self, people: PeopleStore, asked: OpenSession) -> Person:
        person = await people.person(asked.user)
        if self._waiting >= WAITING:
            raise TooMany("many people sign in at this moment", retry_after_s=2.0)
        self._waiting += 1
        try:
            async with self._computing:
                right = await asyncio.to_thread(
                    passwords.matches, asked.password, None if person is None else person.password
                )
        finally:
            self._waiting -= 1
        if person is None or not right or person.disabled:
            raise Unauthorized(WRONG, hint=HINT)
        return person

    async def _ticket(self, people: PeopleStore, secret: str) -> Response:
        rest = sessions.new_secret()
        holder = await people.renew(
            sessions.hashed(secret),
            sessions.hashed(rest),
            idle_s=sessions.IDLE_S,
            ticket_s=sessions.TICKET_S,
            kept=sessions.KEPT,
        )
        if holder is None:
            raise Unauthorized(OVER, hint="Sign in.")
        return endpoint.answer(_shown(holder, sessions.TICKET_PREFIX + rest))


def _name(secure: bool) -> Literal["eyrie-session", "__Secure-eyrie-session"]:
    return sessions.SECURE_COOKIE if secure else sessions.COOKIE


def _shown(holder: TicketHolder, ticket: str) -> dict[str, object]:
    return {
        "ticket": ticket,
        "expires": rfc3339(holder.ticket_ends_s * 1_000_000),
        "user": holder.person,
        "roles": holder.roles,
        "sites": holder.sites,
        "ends": rfc3339(holder.ends_s * 1_000_000),
    }
