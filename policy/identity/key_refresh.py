"""Keeps a verifier's keys current: a JWKS file is read again when it changed, a URL at intervals
and after an unknown `kid`.

When keys cannot be read the last good ones hold for `auth.jwks_keep_s`; then every token is refused
until they can be read again.
"""

import asyncio
import logging
import os
import time

from actors.core.errors import ConfigError
from actors.core.settings import AuthSettings
from policy.identity.tokens import JwtVerifier, load_keys

log = logging.getLogger("eyrie.policy.keys")

FILE_POLL_S = 1.0  # how often a key file is looked at, seconds


class KeyRefresher:
    """One per verifier, in its event loop. With the HS256 secret there is nothing to watch: a new
    secret needs a restart."""

    def __init__(
        self, verifier: JwtVerifier, auth: AuthSettings, *, file_poll_s: float = FILE_POLL_S
    ) -> None:
        self._verifier = verifier
        self._auth = auth
        self._every_s = file_poll_s if auth.jwks_file else auth.jwks_refresh_s
        self._unknown_s = file_poll_s if auth.jwks_file else auth.jwks_unknown_kid_s
        self._good_at = self._tried_at = time.monotonic()
        self._mark = _mark(auth.jwks_file)
        self._failing = False
        self._ended = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.reads = 0

    def start(self) -> None:
        """Watch, where there is something to watch. Needs a running loop."""
        if self._auth.jwks_file or self._auth.jwks_url:
            self._verifier.on_unknown_kid = self._wake.set
            self._task = asyncio.create_task(self._run(), name="key-watch")

    async def stop(self) -> None:
        """Watch no more. A read that is under way ends by itself."""
        self._ended = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while not self._ended:
            await self._rest(self._unknown_s if self._failing else self._every_s, wake=True)
            await self._rest(self._tried_at + self._unknown_s - time.monotonic(), wake=False)
            self._wake.clear()
            await self._look()

    async def _rest(self, seconds: float, *, wake: bool) -> None:
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await (self._wake.wait() if wake else asyncio.Event().wait())
        except TimeoutError:
            return

    async def _look(self) -> None:
        self._tried_at = time.monotonic()
        mark = _mark(self._auth.jwks_file)
        if self._auth.jwks_file and mark == self._mark and not self._failing:
            self._good_at = self._tried_at
            return
        self.reads += 1
        try:
            async with asyncio.timeout(
                2 * self._auth.jwks_timeout_s + 1.0
            ):  # a peer may dribble its header
                self._verifier.use(await asyncio.to_thread(load_keys, self._auth))
        except (ConfigError, TimeoutError) as error:
            self._failed(error)
            return
        if self._failing:
            log.info("the keys for tokens can be read again")
        self._failing = False
        self._mark = mark
        self._good_at = self._tried_at

    def _failed(self, error: Exception) -> None:
        if not self._failing:
            log.warning(
                "the keys for tokens cannot be read: %s; the last good ones hold for %g s",
                str(error) or "too late",
                self._auth.jwks_keep_s,
            )
        self._failing = True
        if time.monotonic() - self._good_at > self._auth.jwks_keep_s:
            self._verifier.use(None)


def _mark(path: str) -> tuple[int, int, int] | None:
    """What changes when the file does; None without a file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
