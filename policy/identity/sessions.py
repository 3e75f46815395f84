"""Sessions of people: the secret in their browser's cookie, and short tickets had for it. Pure.

A ticket is what requests and sockets show in place of a token. The cookie is good for nothing but
tickets, so no page of elsewhere can act by it.
"""

import hashlib
import secrets
from typing import Final

from policy.identity.principal import Principal
from storage.ports.people import TicketHolder

SECRET_BYTES = 32
TICKET_PREFIX = "eyrie-ticket."
TICKET_S = 600.0  # seconds a ticket is good for
IDLE_S = 12 * 3600.0  # a session that is not used for so long is over
LIFE_S = 7 * 86_400.0  # and every one after that
KEPT = 31  # tickets of one session beside the newest: its tabs
MAX_SHOWN = 256  # characters of a ticket that are looked at

COOKIE: Final = "eyrie-session"
SECURE_COOKIE: Final = "__Secure-eyrie-session"


def new_secret() -> str:
    """The secret of a new session, or the rest of a ticket."""
    return secrets.token_urlsafe(SECRET_BYTES)


def hashed(secret: str) -> bytes:
    """What is kept of it. No salt is needed: nobody guesses 32 random bytes."""
    return hashlib.sha256(b"eyrie.session\0" + secret.encode(errors="replace")).digest()


def is_ticket(token: object) -> bool:
    """Whether a credential is a ticket, good or not."""
    return isinstance(token, str) and token.startswith(TICKET_PREFIX) and len(token) <= MAX_SHOWN


def principal_of(holder: TicketHolder) -> Principal:
    """Who shows a ticket: as a user's token of the same claims would say it."""
    return Principal(
        holder.person,
        holder.session,
        "user",
        holder.begun_s,
        holder.ticket_ends_s,
        tuple(holder.roles),
        tuple(holder.sites),
    )
