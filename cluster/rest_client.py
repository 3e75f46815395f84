"""REST of a hub or of the cluster for commands: blocking, one connection per request, errors of the
family out of problem details."""

import http.client
import ssl
from urllib.parse import urlsplit

import msgspec

from actors.core.errors import (
    BadInput,
    Conflict,
    EyrieError,
    Forbidden,
    KeyReused,
    NotFound,
    StaleTag,
    TooMany,
    Unauthorized,
    Unavailable,
)

TIMEOUT_S = 15.0
HUB = "the hub"
MAX_ANSWER_BYTES = 16 * 1024 * 1024

_ERRORS: dict[int, type[EyrieError]] = {
    400: BadInput,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: StaleTag,
    422: KeyReused,
    429: TooMany,
    503: Unavailable,
}


class HubAnswer(msgspec.Struct, frozen=True):
    """A good answer; `etag` is empty where there is none."""

    body: bytes
    etag: str


class _Problem(msgspec.Struct):
    detail: str = ""
    hint: str = ""


class HubRest:
    """`url` is ``http://host:port`` (or https); `token` a user's; `tls` says whom to trust (None:
    as the system does).

    `who` is what messages call the other side.
    """

    def __init__(
        self, url: str, token: str, tls: ssl.SSLContext | None = None, *, who: str = HUB
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            port = 8000 if who == HUB else 8001
            raise BadInput(
                f"{url} is no address of {who}", hint=f"Write it like http://127.0.0.1:{port}."
            )
        self._parts = parts
        self._token = token
        self._tls = tls
        self._who = who

    def get(self, path: str) -> HubAnswer | None:
        """Read; None for 404. Raises the family's errors."""
        try:
            return self.send("GET", path)
        except NotFound:
            return None

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        etag: str = "",
        key: str = "",
        timeout_s: float = TIMEOUT_S,
    ) -> HubAnswer:
        """One request; `body` is sent as JSON, `etag` as If-Match, `key` as Idempotency-Key.

        Raises the family's errors, Unavailable when there is no answer.
        """
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        if etag:
            headers["If-Match"] = etag
        if key:
            headers["Idempotency-Key"] = key
        content = None
        if body is not None:
            content = msgspec.json.encode(body)
            headers["Content-Type"] = "application/json"
        host, port = str(self._parts.hostname), self._parts.port
        connection = (
            http.client.HTTPSConnection(host, port, timeout=timeout_s, context=self._tls)
            if self._parts.scheme == "https"
            else http.client.HTTPConnection(host, port, timeout=timeout_s)
        )
        try:
            connection.request(method, self._parts.path.rstrip("/") + path, content, headers)
            response = connection.getresponse()
            found = response.read(MAX_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                f"{self._who} at {self._parts.netloc} does not answer: {error}",
                hint="Does it run? `eyrie status` tells.",
            ) from error
        finally:
            connection.close()
        if response.status >= 400:
            raise _error(response.status, found, self._who)
        return HubAnswer(found, response.headers.get("ETag", ""))


def _error(status: int, body: bytes, who: str) -> EyrieError:
    try:
        problem = msgspec.json.decode(body, type=_Problem)
    except msgspec.MsgspecError:
        problem = _Problem()
    kind = _ERRORS.get(status, EyrieError)
    return kind(problem.detail or f"{who} answers {status}", hint=problem.hint or None)
