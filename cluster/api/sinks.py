"""Sinks by REST, over the management that the command line uses."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from actors.core.errors import Forbidden
from actors.core.identifiers import require_id
from cluster.api import sink_models as shapes
from cluster.api.context import MAX_BODY_BYTES, ApiContext, page
from cluster.api.idempotency import key_of
from connectors.sinks import management as desks
from connectors.sinks import signatures
from connectors.sinks import spec as specs
from connectors.sinks.management import SinkManagement
from hub.web import endpoint
from policy.identity.principal import Principal
from storage.ports.background.sinks import SinkRow


class SinkHandlers:
    """The handlers. Who is limited to sites or cameras learns of no sink that reaches beyond,
    whatever policy is in force."""

    def __init__(self, context: ApiContext) -> None:
        self._store = context.sinks
        self._places = context.places
        self._auditor = context.auditor
        self._answers = context.answers

    async def list(self, request: Request, principal: Principal) -> Response:
        """By name: ``?after=&limit=``."""
        seen = [row for row in await self._store.all() if _seen(principal, row)]
        rows, following = page(request, seen, lambda row: row.name)
        management = self._management(principal)
        shown = [await management.status(row) for row in rows]
        return endpoint.answer(shapes.SinkPage(shown, following))

    async def read(self, request: Request, principal: Principal) -> Response:
        """One: ``?camera=``."""
        row = await self._row(request, principal)
        camera = request.query_params.get("camera")
        if camera is not None:
            require_id(camera, "camera")
        return endpoint.answer(await self._management(principal).show(row, camera))

    async def make(self, request: Request, principal: Principal) -> Response:
        """A new one, that may have no more than its maker."""
        asked = await endpoint.body(request, shapes.NewSink, limit=MAX_BODY_BYTES)
        to = dict(msgspec.to_builtins(asked.to))
        scheme: signatures.Scheme = to.pop("scheme", "hmac")
        view, filter = msgspec.to_builtins(asked.view), msgspec.to_builtins(asked.filter)
        values = {"to": to, "view": view, "filter": filter}
        spec = specs.parse(values)
        if not specs.covered(principal, spec.view):
            raise Forbidden("this sink would reach beyond your sites and cameras")
        if more := specs.beyond(principal, spec.view):
            raise Forbidden(
                f"this sink would have {more}, which you have not",
                hint="Who has them may make it, or the machine's operator by `eyrie sinks make`.",
            )

        async def work() -> Response:
            shown = await self._management(principal).make(
                asked.name,
                values,
                secret=signatures.new_secret(scheme),
                from_start=asked.from_start,
                paused=asked.paused,
            )
            made = shapes.SinkMade(asked.name, shown)
            return endpoint.answer(made, status=201, location=f"/v1/sinks/{asked.name}")

        return await self._once(request, principal, asked, work)

    async def test(self, request: Request, principal: Principal) -> Response:
        """One message now; that somebody asked for it is recorded before."""
        row = await self._row(request, principal)

        async def work() -> Response:
            await self._auditor.announce(principal, "sink.test", row.name)
            answer = await self._management(principal).test(row)
            good = 200 <= answer.status < 300
            return endpoint.answer(shapes.SinkTested(good, answer.status, answer.detail))

        return await self._once(request, principal, None, work)

    async def pause(self, request: Request, principal: Principal) -> Response:
        """Nothing is lost as long as events are kept."""
        row = await self._row(request, principal)
        why = await endpoint.body(request, shapes.SinkWhy, limit=MAX_BODY_BYTES)
        await self._management(principal).set_state(row.name, "paused", "pause", why.reason)
        return endpoint.answer(shapes.SinkNow(row.name, "paused"))

    async def resume(self, request: Request, principal: Principal) -> Response:
        """Also one that its receiver disabled."""
        row = await self._row(request, principal)
        await self._management(principal).set_state(row.name, "active", "resume")
        return endpoint.answer(shapes.SinkNow(row.name, "active"))

    async def retry(self, request: Request, principal: Principal) -> Response:
        """Now."""
        row, camera = await self._row(request, principal), request.path_params["camera"]

        async def work() -> Response:
            await self._management(principal).retry(row.name, camera)
            return endpoint.answer(shapes.Retried(camera))

        return await self._once(request, principal, None, work)

    async def skip(self, request: Request, principal: Principal) -> Response:
        """One event."""
        row, camera = await self._row(request, principal), request.path_params["camera"]
        why = await endpoint.body(request, shapes.SkipWhy, limit=MAX_BODY_BYTES)

        async def work() -> Response:
            epoch, offset = await self._management(principal).skip(row.name, camera, why.reason)
            return endpoint.answer(shapes.Skipped(camera, epoch, offset))

        return await self._once(request, principal, why, work)

    async def replay(self, request: Request, principal: Principal) -> Response:
        """A range of one camera; what the sink may have now is what goes out."""
        row, camera = await self._row(request, principal), request.path_params["camera"]
        asked = await endpoint.body(request, shapes.NewReplay, limit=MAX_BODY_BYTES)

        async def work() -> Response:
            management = self._management(principal)
            made = await management.replay(row, camera, asked.first, asked.last or 0, asked.epoch)
            told = shapes.ReplayMade(made.id, camera, made.epoch, made.next, made.last)
            return endpoint.answer(told, status=202)

        return await self._once(request, principal, asked, work)

    async def rotate(self, request: Request, principal: Principal) -> Response:
        """The receiver's part is shown this once."""
        row = await self._row(request, principal)
        asked = await endpoint.body(request, shapes.RotateAsked, limit=MAX_BODY_BYTES)

        async def work() -> Response:
            fresh = signatures.new_secret(asked.scheme)
            shown = await self._management(principal).rotate(row, fresh)
            return endpoint.answer(shapes.SinkMade(row.name, shown))

        return await self._once(request, principal, asked, work)

    async def delete(self, request: Request, principal: Principal) -> Response:
        """Nothing more goes out."""
        row = await self._row(request, principal)
        await self._management(principal).delete(row.name)
        return endpoint.gone()

    async def _row(self, request: Request, principal: Principal) -> SinkRow:
        name = request.path_params["sink"]
        row = await self._store.get(name)
        if row is None or not _seen(principal, row):
            raise desks.missing(name)
        return row

    def _management(self, principal: Principal) -> SinkManagement:
        return SinkManagement(
            self._store,
            Path(self._places.keyring),
            self._places.receivers,
            who=principal.sub,
            record=lambda action, target, detail: self._auditor.record(
                principal, action, target, detail
            ),
        )

    async def _once(
        self,
        request: Request,
        principal: Principal,
        asked: object,
        work: Callable[[], Awaitable[Response]],
    ) -> Response:
        key = key_of(request.headers.get("idempotency-key"))
        said = request.url.path.encode() + b" " + msgspec.json.encode(asked)
        return await self._answers.once(principal.sub, key, said, work)


def _seen(principal: Principal, row: SinkRow) -> bool:
    return specs.covered(principal, specs.parse(row.spec).view)
