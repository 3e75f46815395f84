"""The endpoints of tokens, a part of the table of a hub."""

from hub.rest import models as shapes
from hub.rest.people.revocations import Revoke
from hub.rest.people.sessions import PATH, OpenSession
from hub.rest.people.sign_in import SignIn
from hub.web.openapi import Answer, Endpoint

ORIGIN = "For pages: the request must name the hub's own `Origin`, or one of hub.allowed_origins."

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/v1/revocations",
        "listRevocations",
        "Tokens",
        "Revocations that hold",
        (Answer(200, "Here it is.", shapes.RevocationList),),
        action="token.revoke",
    ),
    Endpoint(
        "POST",
        "/v1/revocations",
        "revoke",
        "Tokens",
        "Take back a token, all of a subject, or a certificate",
        (Answer(201, "Taken back.", shapes.RevocationShown),),
        body=Revoke,
        action="token.revoke",
    ),
    Endpoint(
        "POST",
        "/v1/sign-in",
        "signIn",
        "Tokens",
        "Exchange the code of a link of `eyrie sign-in`, once, for its token",
        (Answer(200, "Here it is.", shapes.SignedIn),),
        body=SignIn,
        errors=(401, 403, 429, 503),
    ),
    Endpoint(
        "POST",
        PATH,
        "openSession",
        "Tokens",
        "Sign in by name and password: a session in a cookie, and its first ticket",
        (Answer(200, "Signed in.", shapes.SessionShown),),
        text=ORIGIN,
        body=OpenSession,
        errors=(401, 403, 429, 503),
    ),
    Endpoint(
        "POST",
        f"{PATH}/ticket",
        "renewTicket",
        "Tokens",
        "Another ticket for the session of the cookie",
        (Answer(200, "Here it is.", shapes.SessionShown),),
        text=ORIGIN,
        errors=(401, 403, 429, 503),
    ),
    Endpoint(
        "DELETE",
        PATH,
        "closeSession",
        "Tokens",
        "Sign out: the session, its tickets and its open sockets end",
        (Answer(204, "Signed out."),),
        text=ORIGIN,
        errors=(401, 403, 429, 503),
    ),
)
