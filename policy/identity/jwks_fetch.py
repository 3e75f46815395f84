"""One bounded read of an identity provider's JWKS by HTTP: size, whole time, and where a redirect
may lead."""

import http.client
import ipaddress
import time
import urllib.error
import urllib.request
from typing import IO
from urllib.parse import urljoin, urlsplit

from actors.core.errors import ConfigError
from policy.identity.keys import MAX_JWKS_BYTES, VerificationKeys, parse_jwks

CHUNK = 16_384


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to the same scheme, host and port: keys from elsewhere are somebody
    else's."""

    max_redirections = 2

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if urlsplit(urljoin(req.full_url, newurl))[:2] != urlsplit(req.full_url)[:2]:
            raise ConfigError(f"{req.full_url} redirects to another host")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch_jwks(url: str, timeout_s: float) -> VerificationKeys:
    """The keys at `url`, read within about `timeout_s` (no wait for a byte exceeds it, nor do all
    together by more than one such wait).

    Blocks: call it in a thread. `https` only, plain `http` to loopback alone; environment proxies
    are not used. Raises ConfigError for whatever keeps the keys away.
    """
    check_url(url)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _SameHost())
    end = time.monotonic() + timeout_s
    body = b""
    try:
        with opener.open(
            urllib.request.Request(url, headers={"accept": "application/json"}), timeout=timeout_s
        ) as answer:
            while chunk := answer.read1(CHUNK):
                body += chunk
                if len(body) > MAX_JWKS_BYTES:
                    raise ConfigError(f"the keys of {url} are longer than {MAX_JWKS_BYTES} bytes")
                if time.monotonic() > end:
                    raise ConfigError(f"the keys of {url} did not come within {timeout_s:g} s")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ConfigError(f"the keys of {url} cannot be read: {type(error).__name__}") from error
    return parse_jwks(body, url)


def check_url(url: str) -> None:
    """Raises ConfigError for an address that keys must not come from: not https and not loopback,
    or with a password in it."""
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise ConfigError(
            "auth.jwks_url holds a user name or password", hint="Public keys need none."
        )
    if parts.hostname and (
        parts.scheme == "https" or (parts.scheme == "http" and _loopback(parts.hostname))
    ):
        return
    raise ConfigError(
        f"auth.jwks_url {url!r} is not https", hint="Plain http is taken from loopback only."
    )


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
