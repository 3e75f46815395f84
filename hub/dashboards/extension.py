"""Where a deployment adds to the commands of its dashboards what a hub does not know
(`hub.compat.extension`)."""

from collections.abc import Callable, Mapping

from hub.dashboards.connection import Commands, Dashboard
from hub.dashboards.connection_limits import Admission
from hub.dashboards.connection_state import ConnectionLimits
from hub.protocol.channels import Channel
from hub.web.endpoint import OpenHandler


class Extension:
    """This one adds nothing: each method answers with what the hub has by itself."""

    def parser(self, own: Callable[[str], Channel]) -> Callable[[str], Channel]:
        """Channel names; `own` knows those of the hub and raises NotFound for others."""
        return own

    def limits(self, own: ConnectionLimits) -> ConnectionLimits:
        """Bounds of a connection."""
        return own

    def commands(self, own: Commands, admission: Admission) -> Commands:
        """The commands; what they do not know goes on to `own`. `admission` counts users."""
        return own

    def admits(self, dashboard: Dashboard) -> bool:
        """Whether it let this connection in: then no policy is asked about it."""
        return False

    def handlers(self, name: str, release: str) -> Mapping[str, OpenHandler]:
        """HTTP handlers by the ids of optional rows of `hub.special_table`. `name` is the hub's,
        `release` Eyrie's."""
        return {}

    async def run(self) -> None:
        """What it does by itself, until cancelled or done."""
