"""Jobs and schedules by REST: look, run now, cancel, replay, discard, pause. Every change has its
audit record in its own transaction."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from actors.core.errors import BadInput, Conflict, NotFound
from cluster.api import job_models as shapes
from cluster.api.context import MAX_BODY_BYTES, ApiContext
from cluster.api.idempotency import key_of
from hub.web import endpoint
from policy.identity.principal import Principal
from storage.ports.background.jobs import JOB_STATES, MAX_NAME, JobRow
from storage.ports.background.schedules import ScheduleRow
from storage.ports.policy import Audit


class JobHandlers:
    """The handlers."""

    def __init__(self, context: ApiContext) -> None:
        self._jobs = context.jobs
        self._schedules = context.schedules
        self._auditor = context.auditor
        self._answers = context.answers

    async def list(self, request: Request, principal: Principal) -> Response:
        """The newest first: ``?state=&kind=&before=&limit=``."""
        asked = request.query_params
        state = next((one for one in JOB_STATES if one == asked.get("state")), None)
        if "state" in asked and state is None:
            raise BadInput(f"state is one of {', '.join(JOB_STATES)}")
        kind, limit = asked.get("kind"), endpoint.limit_of(request)
        if kind is not None and not 1 <= len(kind) <= MAX_NAME:
            raise BadInput(f"kind has 1 to {MAX_NAME} characters")
        rows = await self._jobs.list(
            state=state,
            kind=kind,
            before=endpoint.number(request, "before", 0) or None,
            limit=limit,
        )
        return endpoint.answer(shapes.page(rows, limit))

    async def read(self, request: Request, principal: Principal) -> Response:
        """One, with arguments, progress and result."""
        return endpoint.answer(shapes.job(await self._job(request)))

    async def cancel(self, request: Request, principal: Principal) -> Response:
        """A ready one at once; the worker of a running one is asked to stop."""
        why = (await endpoint.body(request, shapes.JobWhy, limit=MAX_BODY_BYTES)).reason

        async def act(id: int, audit: Audit) -> bool:
            return bool(await self._jobs.cancel(id, reason=why, audit=audit))

        return await self._change(request, principal, "cancel", act, why)

    async def replay(self, request: Request, principal: Principal) -> Response:
        """Try a dead one again, with all its attempts."""

        async def act(id: int, audit: Audit) -> bool:
            return await self._jobs.replay(id, audit=audit)

        return await self._change(request, principal, "replay", act)

    async def discard(self, request: Request, principal: Principal) -> Response:
        """Put a dead one away."""
        why = (await endpoint.body(request, shapes.JobWhy, limit=MAX_BODY_BYTES)).reason

        async def act(id: int, audit: Audit) -> bool:
            return await self._jobs.discard(id, reason=why, audit=audit)

        return await self._change(request, principal, "discard", act, why)

    async def schedules(self, request: Request, principal: Principal) -> Response:
        """By name."""
        rows = await self._schedules.all()
        return endpoint.answer(shapes.ScheduleList([shapes.schedule(row) for row in rows]))

    async def schedule(self, request: Request, principal: Principal) -> Response:
        """One."""
        return endpoint.answer(shapes.schedule(await self._schedule(request)))

    async def run(self, request: Request, principal: Principal) -> Response:
        """Its job now, beside its slots."""
        name = (await self._schedule(request)).schedule.name

        async def work() -> Response:
            audit = self._auditor.record(principal, "schedule.run", name)
            job = await self._schedules.run_now(name, who=principal.sub, audit=audit)
            if not job:
                raise Conflict(
                    f"a job of {name} is alive already", hint="GET /v1/jobs shows how far it is."
                )
            made = shapes.JobMade(name, job)
            return endpoint.answer(made, status=202, location=f"/v1/jobs/{job}")

        return await self._once(request, principal, "", work)

    async def pause(self, request: Request, principal: Principal) -> Response:
        """Make no jobs."""
        return await self._pause(request, principal, paused=True)

    async def resume(self, request: Request, principal: Principal) -> Response:
        """Go on with the next slot to come."""
        return await self._pause(request, principal, paused=False)

    async def _pause(self, request: Request, principal: Principal, *, paused: bool) -> Response:
        name = (await self._schedule(request)).schedule.name
        what = "schedule.pause" if paused else "schedule.resume"
        audit = self._auditor.record(principal, what, name)
        await self._schedules.pause(name, paused, audit=audit)
        return await self.schedule(request, principal)

    async def _change(
        self,
        request: Request,
        principal: Principal,
        what: str,
        act: Callable[[int, Audit], Awaitable[bool]],
        why: str = "",
    ) -> Response:
        row = await self._job(request)

        async def work() -> Response:
            audit = self._auditor.record(principal, f"job.{what}", str(row.id), why or row.kind)
            if not await act(row.id, audit):
                raise await self._refused(row.id, what)
            return await self.read(request, principal)

        return await self._once(request, principal, why, work)

    async def _once(
        self,
        request: Request,
        principal: Principal,
        why: str,
        work: Callable[[], Awaitable[Response]],
    ) -> Response:
        key = key_of(request.headers.get("idempotency-key"))
        asked = f"{request.url.path} {why}".encode()
        return await self._answers.once(principal.sub, key, asked, work)

    async def _job(self, request: Request) -> JobRow:
        text = request.path_params["job"]
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0
        row = await self._jobs.get(number) if number else None
        if row is None:
            raise NotFound(f"there is no job {text[:40]}", hint="GET /v1/jobs lists them.")
        return row

    async def _refused(self, id: int, what: str) -> Conflict:
        row = await self._jobs.get(id)
        return Conflict(
            f"job {id} is {row.state if row else 'gone'}", hint=f"There is nothing to {what}."
        )

    async def _schedule(self, request: Request) -> ScheduleRow:
        name = request.path_params["schedule"]
        for row in await self._schedules.all():
            if row.schedule.name == name:
                return row
        raise NotFound(
            f"there is no schedule {name[:80]}", hint="GET /v1/schedules lists what there is."
        )
