"""Dead letters by REST: list, look at, replay, discard. What a replay does is in
`actors.core.camera.dead_letters`."""

import base64
import contextlib
import logging
from typing import Annotated, Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from actors.core.errors import BadInput, Conflict, Forbidden, NotFound, Unavailable
from actors.core.identifiers import is_id, require_id
from actors.core.times import rfc3339
from actors.ports import Directory
from hub.access.authorization import Access, LetterAction, Redact
from hub.web import endpoint
from policy.audit import Auditor
from policy.identity.principal import Principal
from storage.ports.dead_letters import DeadLetterRow, DeadLetterStore
from storage.ports.registry import Registry

MAX_SCAN = 2_000  # letters looked at for one page; those that the asker may not see cost too
LONGEST_RAW = 262_144  # bytes of a raw item that are shown

log = logging.getLogger("eyrie.hub.dead_letters")

Status = Literal["new", "replayed", "discarded"]


class Discard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why it is not worth keeping as new."""

    reason: Annotated[str, msgspec.Meta(min_length=3, max_length=500)]


class DeadLetters:
    """The handlers. A letter of a deleted camera goes by its site and tags as they were; one that
    names no camera that was ever registered belongs to who may see the whole fleet."""

    def __init__(
        self,
        letters: DeadLetterStore,
        registry: Registry,
        directory: Directory,
        access: Access,
        auditor: Auditor,
    ) -> None:
        self._letters = letters
        self._registry = registry
        self._directory = directory
        self._access = access
        self._auditor = auditor

    async def list(self, request: Request, principal: Principal) -> Response:
        """By id, oldest first: ``?camera=&status=&after=&limit=``. The raw item is in the letter
        itself."""
        camera, status = request.query_params.get("camera"), request.query_params.get("status")
        if camera is not None:
            require_id(camera, "camera")
        if status not in (None, "new", "replayed", "discarded"):
            raise BadInput(
                f"status is new, replayed or discarded, not {status[:40]!r}"
                if status
                else "status is empty"
            )
        limit, after = endpoint.limit_of(request), endpoint.number(request, "after", 0)
        found: list[dict[str, Any]] = []
        seen, hides = 0, dict[str, Redact | None]()
        while seen < MAX_SCAN:
            rows = await self._letters.list(camera=camera, status=status, after=after, limit=limit)
            for row in rows:
                after, seen = row.id, seen + 1
                if row.camera not in hides:
                    hides[row.camera] = await self._hides(principal, row.camera)
                if (redact := hides[row.camera]) is not None:
                    found.append(_letter(row, redact))
                    if len(found) == limit:
                        return endpoint.answer({"dead_letters": found, "next": after})
            if len(rows) < limit:
                return endpoint.answer({"dead_letters": found})
        return endpoint.answer({"dead_letters": found, "next": after})

    async def read(self, request: Request, principal: Principal) -> Response:
        """One, with its raw item."""
        row, redact = await self._row(request, principal, "deadletter.read")
        return endpoint.answer({**_letter(row, redact), **_raw(row.raw, redact)})

    async def replay(self, request: Request, principal: Principal) -> Response:
        """Have the camera's actor replay it; ``{dead_letter, status, event}``. 409 when it is not
        new, or refused by today's rules too."""
        row, redact = await self._row(request, principal, "deadletter.replay")
        _require_new(row)
        if not is_id(row.camera):
            raise Conflict(
                "it names no camera, so nobody can replay it", hint="Discard it, saying why."
            )
        actor = (await self._directory.locate([row.camera])).get(row.camera)
        if actor is None and await self._registry.camera(row.camera) is None:
            raise Conflict(
                f"camera {row.camera} is not registered, so nobody can replay it",
                hint="Add the camera, or discard the letter.",
            )
        if actor is None:
            raise Unavailable(
                f"camera {row.camera} has no actor yet",
                hint="Try again in a moment.",
                retry_after_s=2.0,
            )
        await self._auditor.announce(
            principal, "deadletter.replay", str(row.id), f"camera {row.camera}"
        )
        try:
            event = await actor.replay(row.id, principal.sub)
        except Conflict as error:
            if redact:  # the reason may quote the item
                raise Conflict(
                    f"dead letter {row.id} is still refused, or replayed already",
                    hint="Discard it, saying why.",
                ) from error
            raise
        log.info(
            "dead letter %d of camera %s replayed by %s (token %s): %s",
            row.id,
            row.camera,
            principal.sub,
            principal.jti,
            event,
        )
        return endpoint.answer({"dead_letter": row.id, "status": "replayed", "event": event})

    async def discard(self, request: Request, principal: Principal) -> Response:
        """Mark it as not worth keeping, with a reason: `Discard`. The row stays."""
        row, _ = await self._row(request, principal, "deadletter.discard")
        asked = await endpoint.body(request, Discard)
        _require_new(row)
        audit = self._auditor.record(
            principal,
            "deadletter.discard",
            str(row.id),
            f"camera {row.camera or 'none'}: {asked.reason}",
        )
        if (
            await self._letters.mark(
                [row.id], "discarded", reason=asked.reason, by=principal.sub, audit=audit
            )
            == 0
        ):
            raise Conflict(f"dead letter {row.id} was handled at the same moment")
        log.info(
            "dead letter %d of camera %s discarded by %s (token %s): %s",
            row.id,
            row.camera,
            principal.sub,
            principal.jti,
            asked.reason,
        )
        return endpoint.answer({"dead_letter": row.id, "status": "discarded"})

    async def _row(
        self, request: Request, principal: Principal, action: LetterAction
    ) -> tuple[DeadLetterRow, Redact]:
        """The letter, and which classes are hidden from who asks."""
        text = request.path_params["letter"]
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0
        row = await self._letters.get(number)
        if row is not None:
            with contextlib.suppress(Forbidden):
                return row, await self._require(action, principal, row.camera)
        # Who may not see a letter learns nothing, not even which numbers there are.
        await self._access.require_fleet(action, principal)
        raise NotFound(
            f"there is no dead letter {text[:40]}", hint="GET /v1/dead-letters lists them."
        )

    async def _require(self, action: LetterAction, principal: Principal, camera: str) -> Redact:
        record = await self._registry.camera(camera, deleted=True) if is_id(camera) else None
        if record is None:
            redact = await self._access.require_fleet(action, principal)
            # A rule may name a camera that nobody has registered.
            named = (
                await self._access.require(action, principal, camera, "") if is_id(camera) else ()
            )
            return tuple(sorted({*redact, *named}))
        return await self._access.require(action, principal, camera, record.site, record.tags)

    async def _hides(self, principal: Principal, camera: str) -> Redact | None:
        """The classes that are hidden in letters of a camera; None: they are not to be seen."""
        try:
            return await self._require("deadletter.read", principal, camera)
        except Forbidden:
            return None


def _require_new(row: DeadLetterRow) -> None:
    if row.status != "new":
        raise Conflict(
            f"dead letter {row.id} was {row.status} already" + (f" by {row.by}" if row.by else "")
        )


def _letter(row: DeadLetterRow, redact: Redact) -> dict[str, Any]:
    """A letter without its item. The reason may quote what the item said: it goes where the item
    goes."""
    detail = {"redacted": redact[0]} if redact else row.detail
    shown: dict[str, Any] = {
        "id": row.id,
        "camera": row.camera,
        "session": row.session,
        "seq": row.seq,
        "code": row.code,
        "detail": detail,
        "received": rfc3339(row.received_us),
        "status": row.status,
        "bytes": len(row.raw),
    }
    return shown | {key: value for key, value in (("reason", row.reason), ("by", row.by)) if value}


def _raw(raw: bytes, redact: Redact) -> dict[str, Any]:
    """The item as it came. It was refused, so nobody knows what lies where in it: who may not see a
    class sees nothing of it."""
    if redact:
        return {"raw": {"redacted": redact[0]}}
    kept = raw[:LONGEST_RAW]
    try:
        return {"raw": kept.decode("utf-8")}
    except UnicodeDecodeError:
        return {"raw_base64": base64.b64encode(kept).decode("ascii")}
