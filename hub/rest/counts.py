"""Line counts by REST: they are set to zero by an event, never in silence."""

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from actors.core.errors import Unavailable
from actors.core.identifiers import CameraId
from actors.ports import Directory
from hub.rest.cameras import camera_of
from hub.rest.registry import RegistryDesk
from hub.web import endpoint
from policy.decision.model import Principal


class Reset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which lines (all when missing), and why, for whoever reads the event."""

    lines: Annotated[list[CameraId], msgspec.Meta(min_length=1, max_length=64)] | None = None
    reason: Annotated[str, msgspec.Meta(max_length=120)] | None = None


class Counts:
    """The handler."""

    def __init__(self, desk: RegistryDesk, directory: Directory) -> None:
        self._desk = desk
        self._directory = directory

    async def reset(self, request: Request, principal: Principal) -> Response:
        """Let lines count from zero: `Reset`; ``{camera, event}`` once it is committed. Whoever may write the camera may."""
        record = await self._desk.camera("registry.write", principal, camera_of(request))
        asked = await endpoint.body(request, Reset)
        actor = (await self._directory.locate([record.camera])).get(record.camera)
        if actor is None:
            raise Unavailable(f"camera {record.camera} has no actor yet", hint="Try again in a moment.", retry_after_s=2.0)
        lines = "all lines" if asked.lines is None else f"lines {', '.join(asked.lines)}"
        await self._desk.auditor.announce(principal, "counts.reset", record.camera, lines)
        event = await actor.reset_counts(record.camera, asked.lines, asked.reason)
        self._desk.changed(principal, f"counts of camera {record.camera} reset: {event}")
        return endpoint.answer({"camera": record.camera, "event": event})
