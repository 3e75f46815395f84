"""What takes time: operations are stored here and carried out by the supervisor; plans say what
they would do. See `cluster.supervisor.models`."""

import hashlib
import secrets

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from actors.core.errors import BadInput, Conflict, KeyReused
from cluster.api import models
from cluster.api.context import MAX_BODY_BYTES, ApiContext, find
from cluster.api.idempotency import key_of
from hub.web import endpoint
from policy.identity.principal import Principal
from storage.ports.cluster import Operation, RequestedOperation

NEWEST = 2**62
STATES = ("waiting", "running", "done", "failed", "cancelled")


class OperationHandlers:
    """The handlers."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    async def list(self, request: Request, principal: Principal) -> Response:
        """Newest first, a page at a time: ``?state=&before=&limit=``."""
        limit, state = endpoint.limit_of(request), request.query_params.get("state", "")
        if state and state not in STATES:
            raise BadInput(f"state is one of {', '.join(STATES)}")
        found = await self._context.store.operations(
            before=endpoint.number(request, "before", NEWEST), limit=limit, state=state
        )
        return endpoint.answer(
            models.OperationPage(
                [models.operation(one) for one in found],
                found[-1].number if len(found) == limit else None,
            )
        )

    async def read(self, request: Request, principal: Principal) -> Response:
        """One."""
        return endpoint.answer(models.operation(await self._operation(request)))

    async def ask(self, request: Request, principal: Principal) -> Response:
        """Ask for one. 202; what cannot be done is refused at once (409)."""
        key = key_of(request.headers.get("idempotency-key"))
        asked = await endpoint.body(request, models.NewOperation, limit=MAX_BODY_BYTES)
        params = asked.params.given()
        digest = hashlib.sha256(
            msgspec.json.encode([asked.kind, asked.target, params], order="sorted")
        ).digest()

        # What was asked for may be impossible once it is done: a repeated request is answered
        # before it is judged.
        if not key or not await self._context.store.remembers(principal.sub, key):
            plan = self._context.supervisor.plan(asked.kind, asked.target, params)
            if plan.problem:
                raise Conflict(
                    plan.problem,
                    hint=f"`eyrie cluster plan {asked.kind} …` shows what it would do.",
                )
        new = RequestedOperation(
            secrets.token_hex(8),
            asked.kind,
            asked.target,
            params,
            principal.sub,
            principal.jti,
            key,
            digest,
        )
        audit = self._context.record(
            principal,
            asked.kind,
            asked.target,
            msgspec.json.encode(params).decode() if params else "",
        )
        try:
            found, _ = await self._context.store.ask(new, audit=audit)
        except Conflict as error:
            raise KeyReused("this idempotency key came with another request") from error
        self._context.supervisor.wake()
        return endpoint.answer(
            models.operation(found), status=202, location=f"/v1/cluster/operations/{found.id}"
        )

    async def cancel(self, request: Request, principal: Principal) -> Response:
        """Begin nothing more of it; what is under way is finished. 409 when it is over."""

        async def work() -> Response:
            found = await self._operation(request)
            audit = self._context.record(
                principal, "cancel", found.id, f"{found.kind} {found.target}"
            )
            if not await self._context.store.cancel(found.id, who=principal.sub, audit=audit):
                raise Conflict(
                    f"operation {found.id} is over: {(await self._operation(request)).state}"
                )
            self._context.supervisor.wake()
            return endpoint.answer(models.operation(await self._operation(request)))

        return await self._context.answers.once(
            principal.sub,
            key_of(request.headers.get("idempotency-key")),
            request.url.path.encode(),
            work,
        )

    async def plan(self, request: Request, principal: Principal) -> Response:
        """A dry run of an operation or an order."""
        key = key_of(request.headers.get("idempotency-key"))
        asked = await endpoint.body(request, models.NewPlan, limit=MAX_BODY_BYTES)

        async def work() -> Response:
            return endpoint.answer(
                self._context.supervisor.plan(asked.kind, asked.target, asked.params.given())
            )

        return await self._context.answers.once(
            principal.sub, key, b"plan " + msgspec.json.encode(asked), work
        )

    async def _operation(self, request: Request) -> Operation:
        name = request.path_params["operation"]
        found = (
            await self._context.store.operation(name)
            if len(name) <= 64 and name.isalnum() and name.isascii()
            else None
        )
        return find([] if found is None else [found], name, lambda one: one.id, "operation")
