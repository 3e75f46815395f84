"""The compatibility profile as an extension of a hub's commands (`hub.dashboards.extension`)."""

from collections.abc import Callable, Mapping

from hub.compat.commands import CompatibleCommands
from hub.compat.plain_channels import PlainChannels
from hub.compat.server_api import ServerApi
from hub.dashboards.connection import Commands, Dashboard
from hub.dashboards.connection_limits import Admission
from hub.dashboards.connection_state import ConnectionLimits
from hub.dashboards.extension import Extension
from hub.protocol.channels import Channel
from hub.web.endpoint import OpenHandler


class Compatibility(Extension):
    """Plain channels, loose tokens, and the server API where the profile has a key for it."""

    def __init__(self, plain: PlainChannels) -> None:
        self._plain = plain

    def parser(self, own: Callable[[str], Channel]) -> Callable[[str], Channel]:
        """The profile knows the hub's channels itself: it was made with their parser."""
        return self._plain.profile.parse

    def limits(self, own: ConnectionLimits) -> ConnectionLimits:
        return self._plain.profile.limits(own)

    def commands(self, own: Commands, admission: Admission) -> Commands:
        return CompatibleCommands(self._plain, own, admission)

    def admits(self, dashboard: Dashboard) -> bool:
        return self._plain.knows(dashboard)

    def handlers(self, name: str, release: str) -> Mapping[str, OpenHandler]:
        if not self._plain.profile.api_key:
            return {}
        return {"serverApi": ServerApi(self._plain, name=name, release=release).answer}

    async def run(self) -> None:
        await self._plain.run()
