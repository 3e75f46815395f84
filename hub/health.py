"""Is this hub alive, and is it ready to take clients? Liveness fails slowly (the loop turns),
readiness fails fast and says why."""

from collections.abc import Callable, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hub.dashboards.node import Node
from hub.web.endpoint import OpenHandler
from hub.web.health import SERVICE, HubHealth


class HealthCheck:
    """`checks` and `notes` are further questions: each returns a reason not to be ready, or a note,
    or None."""

    def __init__(
        self,
        node: Node,
        instance: str,
        checks: list[Callable[[], str | None]],
        notes: Sequence[Callable[[], str | None]] = (),
    ) -> None:
        self._node = node
        self._instance = instance
        self._checks = checks
        self._notes = notes

    def live(self) -> HubHealth:
        """The process answers."""
        return HubHealth(SERVICE, self._instance, self._node.name, True)

    def ready(self) -> HubHealth:
        """Ready, or the reasons why not."""
        node = self._node
        reasons = []
        if node.connections.draining:
            reasons.append("draining")
        if node.tasks.failed:
            reasons.append(f"task {node.tasks.failed} has failed")
        if not node.reader.heard:
            reasons.append("Redis is not heard")
        reasons += [reason for check in self._checks if (reason := check()) is not None]
        notes = [note for ask in self._notes if (note := ask()) is not None]
        return HubHealth(SERVICE, self._instance, node.name, not reasons, reasons, notes)

    def handlers(self) -> dict[str, OpenHandler]:
        """Both, by the ids of `hub.rest.table`."""
        return {"live": _answering(self.live), "ready": _answering(self.ready)}


def _answering(ask: Callable[[], HubHealth]) -> OpenHandler:
    async def answer(_request: Request) -> Response:
        health = ask()
        return Response(
            msgspec.json.encode(health),
            status_code=200 if health.ready else 503,
            media_type="application/json",
            headers={"cache-control": "no-store"},
        )

    return answer
