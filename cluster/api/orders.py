"""What is changed at once: each handler writes one order to the store, with its audit record in the
same transaction, and wakes the supervisor. Repeating any of them is harmless, so they need no
idempotency key.
"""

from starlette.requests import Request
from starlette.responses import Response

from actors.core.errors import BadInput, Conflict, NotFound
from actors.core.identifiers import is_id, require_id
from cluster.api import models
from cluster.api.context import MAX_BODY_BYTES, ApiContext, find
from cluster.supervisor.models import SCALED
from hub.web import endpoint
from policy.identity.principal import Principal
from storage.ports.cluster import Density, Order, OrderKind, Scale, WantedShape

MAX_DENSITIES = 1_000  # sites with a density of their own


class OrderHandlers:
    """The handlers."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    # nodes

    async def cordon(self, request: Request, principal: Principal) -> Response:
        """Give a node nothing new; what is there stays."""
        node = find(
            self._context.supervisor.snapshot().nodes,
            request.path_params["node"],
            lambda node: node.id,
            "node",
        )
        why = await endpoint.body(request, models.Why, limit=MAX_BODY_BYTES)
        audit = self._context.record(principal, "cordon", node.id, why.reason)
        await self._context.store.cordon(node.id, reason=why.reason, who=principal.sub, audit=audit)
        return self._woken(models.CordonShown(node.id, True))

    async def uncordon(self, request: Request, principal: Principal) -> Response:
        """Use a node again, also one that is away now."""
        node = request.path_params["node"]
        known = {view.id for view in self._context.supervisor.snapshot().nodes}
        cordoned = {cordon.node for cordon in (await self._context.store.orders()).cordons}
        if node not in known | cordoned:
            raise NotFound(
                f"there is no node {node[:80]}", hint="`eyrie cluster nodes` lists what there is."
            )
        await self._context.store.uncordon(
            node, audit=self._context.record(principal, "uncordon", node)
        )
        return self._woken(models.CordonShown(node, False))

    # cameras and sites

    async def quarantine(self, request: Request, principal: Principal) -> Response:
        """Keep a camera from running until it is released."""
        camera = await self._camera(request)
        why = await endpoint.body(request, models.Why, limit=MAX_BODY_BYTES)
        audit = self._context.record(principal, "quarantine", camera, why.reason)
        if not await self._context.store.quarantine(
            camera, reason=why.reason, who=principal.sub, audit=audit
        ):
            raise NotFound(f"there is no camera {camera}")
        return self._woken(models.QuarantineShown(camera, True))

    async def release(self, request: Request, principal: Principal) -> Response:
        """End a quarantine, whoever made it, and forget the failures."""
        camera = await self._camera(request)
        await self._context.store.release(
            camera, audit=self._context.record(principal, "release", camera)
        )
        return self._woken(models.QuarantineShown(camera, False))

    async def pause_camera(self, request: Request, principal: Principal) -> Response:
        """Take nothing in of a camera; its edge keeps what it sees."""
        return await self._pause(
            request, principal, "camera", await self._camera(request), paused=True
        )

    async def resume_camera(self, request: Request, principal: Principal) -> Response:
        """Take in again."""
        return await self._pause(
            request, principal, "camera", await self._camera(request), paused=False
        )

    async def pause_site(self, request: Request, principal: Principal) -> Response:
        """The same for all cameras of a site."""
        return await self._pause(request, principal, "site", await self._site(request), paused=True)

    async def resume_site(self, request: Request, principal: Principal) -> Response:
        """Take in again; a camera paused by itself stays so."""
        return await self._pause(
            request, principal, "site", await self._site(request), paused=False
        )

    async def place(self, request: Request, principal: Principal) -> Response:
        """Say where a camera shall be."""
        camera = await self._camera(request)
        asked = await endpoint.body(request, models.Placement, limit=MAX_BODY_BYTES)
        if asked.node:
            find(
                self._context.supervisor.snapshot().nodes, asked.node, lambda node: node.id, "node"
            )
        detail = f"alone {asked.alone}, node {asked.node or 'any'}"
        order = await self._context.store.order(
            "camera",
            camera,
            alone=asked.alone,
            node=asked.node,
            reason=asked.reason,
            who=principal.sub,
            audit=self._context.record(principal, "place", camera, detail),
        )
        return self._woken(_order(order))

    async def placement(self, request: Request, principal: Principal) -> Response:
        """What is ordered for a camera."""
        camera = await self._camera(request)
        ordered = {
            (order.kind, order.id): order for order in (await self._context.store.orders()).orders
        }
        return endpoint.answer(_order(ordered.get(("camera", camera), Order("camera", camera))))

    # the shape

    async def shape(self, request: Request, principal: Principal) -> Response:
        """What should run, with its ETag."""
        shown = await self._shape()
        return endpoint.answer(shown, version=shown.version)

    async def change_shape(self, request: Request, principal: Principal) -> Response:
        """Change it; If-Match."""
        now = await self._shape()
        expected = endpoint.require_match(request, now.version)
        asked = await endpoint.body(request, models.NewShape, limit=MAX_BODY_BYTES)
        wanted = WantedShape(
            asked.hubs or now.hubs,
            asked.policies or now.policies,
            asked.density or now.density,
            asked.workers or now.workers,
        )
        _require_sound(wanted)
        detail = (
            f"hubs {_scale(wanted.hubs)}, policies {_scale(wanted.policies)}, workers "
            f"{_scale(wanted.workers)}, density {_density(wanted.density)}"
        )
        audit = self._context.record(principal, "shape", "cluster", detail)
        version = await self._context.store.want(
            wanted,
            expected=now.version if expected is None else expected,
            who=principal.sub,
            audit=audit,
        )
        if version is None:
            raise endpoint.stale("the shape")
        self._context.supervisor.wake()
        shown = models.shape_shown(version, wanted)
        return endpoint.answer(shown, version=version)

    async def make_room(self, request: Request, principal: Principal) -> Response:
        """Ask for a larger cluster."""
        asked = await endpoint.body(request, models.Room, limit=MAX_BODY_BYTES)
        await self._context.auditor.announce(
            principal, "cluster.room", "cluster", f"{asked.cameras} cameras"
        )
        await self._context.room.request_resources(asked.cameras)
        return endpoint.answer(asked)

    async def _shape(self) -> models.ShapeShown:
        stored = (await self._context.store.orders()).wanted
        if stored is None:  # the settings', as the supervisor reads them
            return models.shape_shown(0, self._context.supervisor.snapshot().wanted)
        return models.shape_shown(stored.version, stored.wanted)

    async def _pause(
        self, request: Request, principal: Principal, kind: OrderKind, name: str, *, paused: bool
    ) -> Response:
        why = (
            await endpoint.body(request, models.Why, limit=MAX_BODY_BYTES)
            if paused
            else models.Why()
        )
        audit = self._context.record(
            principal, "pause" if paused else "resume", f"{kind}:{name}", why.reason
        )
        order = await self._context.store.order(
            kind, name, paused=paused, reason=why.reason, who=principal.sub, audit=audit
        )
        return self._woken(_order(order))

    async def _camera(self, request: Request) -> str:
        camera = require_id(request.path_params["camera"], "camera")
        if await self._context.registry.camera(camera) is None:
            raise NotFound(
                f"there is no camera {camera}", hint="`eyrie cluster cameras` lists those that run."
            )
        return camera

    async def _site(self, request: Request) -> str:
        site = require_id(request.path_params["site"], "site")
        if await self._context.registry.site(site) is None:
            raise NotFound(f"there is no site {site}")
        return site

    def _woken(self, shown: object) -> Response:
        self._context.supervisor.wake()
        return endpoint.answer(shown)


def _require_sound(wanted: WantedShape) -> None:
    """Raises BadInput for a shape that nothing can have, Conflict for one that locks everybody
    out."""
    for name in SCALED:
        scale = wanted.scale(name)
        if not scale.min <= scale.max:
            raise BadInput(f"{name}: min {scale.min} is more than max {scale.max}")
        if scale.auto and not scale.min <= scale.count <= scale.max:
            raise BadInput(
                f"{name}: count {scale.count} is not between min {scale.min} and max {scale.max}"
            )
        if name == "workers" and scale.auto:
            raise BadInput("workers are not scaled by load")
        if name != "workers" and (scale.count < 1 or (scale.auto and scale.min < 1)):
            raise Conflict(
                f"without {name} nobody can ask for anything any more",
                hint="At least one of each must run.",
            )
    if len(wanted.density.sites) > MAX_DENSITIES:
        raise BadInput(f"at most {MAX_DENSITIES} sites have a density of their own")
    for site in wanted.density.sites:
        if not is_id(site):
            raise BadInput(f"density: {site[:80]!r} is no id of a site")


def _order(order: Order) -> models.OrderShown:
    return models.OrderShown(
        order.kind, order.id, order.paused, order.alone, order.node, order.reason, order.who
    )


def _scale(scale: Scale) -> str:
    return f"{scale.count} ({scale.min} to {scale.max}{', auto' if scale.auto else ''})"


def _density(density: Density) -> str:
    own = "".join(f", {site} {number}" for site, number in sorted(density.sites.items())[:10])
    return f"{density.default}{own}{', adaptive' if density.adaptive else ''}"
