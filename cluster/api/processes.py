"""Processes while they run: another log level for a while, and a profile, both undone by
themselves."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from actors.core.errors import TooMany
from cluster.api import models
from cluster.api.context import MAX_BODY_BYTES, ApiContext, find
from cluster.api.idempotency import key_of
from hub.web import endpoint
from policy.identity.principal import Principal

MAX_PROFILES = 4  # at the same time


class Processes:
    """The handlers."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._profiles = 0

    async def level(self, request: Request, principal: Principal) -> Response:
        """The log level now."""
        process = self._process(request)
        return self._shown(process, await self._context.inspector.log_level(process))

    async def set_level(self, request: Request, principal: Principal) -> Response:
        """Another one for a while."""
        process = self._process(request)
        asked = await endpoint.body(request, models.NewLevel, limit=MAX_BODY_BYTES)
        await self._context.auditor.announce(
            principal, "cluster.log_level", process, f"{asked.level} for {asked.for_s:g} s"
        )
        return self._shown(
            process, await self._context.inspector.set_log_level(process, asked.level, asked.for_s)
        )

    async def reset_level(self, request: Request, principal: Principal) -> Response:
        """That of the settings again."""
        process = self._process(request)
        await self._context.auditor.announce(
            principal, "cluster.log_level", process, "as the settings say"
        )
        return self._shown(process, await self._context.inspector.set_log_level(process, "", 0.0))

    async def profile(self, request: Request, principal: Principal) -> Response:
        """Sample it; the answer comes when that is done."""
        process = self._process(request)
        key = key_of(request.headers.get("idempotency-key"))
        asked = await endpoint.body(request, models.NewProfile, limit=MAX_BODY_BYTES)

        async def work() -> Response:
            if self._profiles >= MAX_PROFILES:
                raise TooMany(
                    f"{MAX_PROFILES} profiles are taken at once", retry_after_s=asked.for_s
                )
            self._profiles += 1
            try:
                await self._context.auditor.announce(
                    principal, "cluster.profile", process, f"{asked.for_s:g} s"
                )
                found = await self._context.inspector.profile(process, asked.for_s, asked.hz)
            finally:
                self._profiles -= 1
            shown = msgspec.convert(
                {"process": process, "for_s": asked.for_s, **found}, models.ProfileShown
            )
            return endpoint.answer(shown)

        return await self._context.answers.once(
            principal.sub, key, f"profile {process} ".encode() + msgspec.json.encode(asked), work
        )

    def _process(self, request: Request) -> str:
        name = str(request.path_params["process"])
        now = self._context.supervisor.snapshot()
        names = {
            "supervisor",
            *(actor.name for actor in now.actors),
            *(service.name for service in now.services),
        }
        return find(names, name, str, "process")

    @staticmethod
    def _shown(process: str, found: dict[str, object]) -> Response:
        return endpoint.answer(msgspec.convert({"process": process, **found}, models.LevelShown))
