"""The endpoints of tokens, a part of the table of a hub."""

from hub.rest import models as shapes
from hub.rest.people.revocations import Revoke
from hub.rest.people.sign_in import SignIn
from hub.web.openapi import Answer, Endpoint

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
)
