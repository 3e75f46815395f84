"""The handlers of the ways in for people: links that work once, passwords."""

from collections.abc import Callable

from hub.access.authorization import Access
from hub.access.context import HubContext
from hub.rest.people.sessions import Sessions
from hub.rest.people.sign_in import SignIns
from hub.web.endpoint import OpenHandler


def handlers(
    context: HubContext, access: Access, known: Callable[[], frozenset[str]]
) -> dict[str, OpenHandler]:
    """All of them by the ids of `hub.rest.people.token_endpoints`. `known`: the origins whose pages
    may use them."""
    return {
        "signIn": SignIns(context.sign_ins, access, known).exchange,
        **Sessions(context.people, access.limiter, known).handlers(),
    }
