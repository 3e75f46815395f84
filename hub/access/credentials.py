"""What a request or socket shows of whoever opened it. Whether it is good is for
`hub.access.authorization` and `hub.ingest.authorization` to say."""

import msgspec
from starlette.requests import HTTPConnection

from hub.access.client_address import CERTIFICATE
from policy.identity.principal import Principal


class ShownCredentials(msgspec.Struct, frozen=True):
    """What a device shows of itself: its token, its certificate (DER; the chain was verified when
    the connection was made), its address.

    `signer`: whose signature of the request held; then the token is not looked at.
    """

    token: str | None
    certificate: bytes | None
    address: str
    signer: Principal | None = None


def shown_by(connection: HTTPConnection) -> ShownCredentials:
    """All of it."""
    certificate = connection.scope.get("state", {}).get(CERTIFICATE)
    return ShownCredentials(
        bearer(connection.headers.get("authorization")), certificate, address_of(connection)
    )


def address_of(connection: HTTPConnection) -> str:
    """Where it comes from (`hub.access.client_address` has settled that)."""
    return connection.client.host if connection.client is not None else ""


def bearer(header: str | None) -> str | None:
    """The token of an ``Authorization`` header, if there is one."""
    if header is None:
        return None
    scheme, _space, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
