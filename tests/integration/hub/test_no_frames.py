"""A device that is heard while its camera gives no frames, over the whole way from the edge socket
to a dashboard."""

from pathlib import Path

import msgspec

from actors.core.reasons import NO_FRAMES
from tests.support.camera_rig import settings_of
from tests.support.hub.whole_way import whole_way
from tests.support.servers.store_fixtures import Servers
from tests.support.waiting import until

STALE_AFTER_S = 5.0


async def test_a_camera_without_frames_is_shown_as_that_and_what_was_inside_as_unknown(
    servers: Servers, tmp_path: Path
) -> None:
    plain = settings_of(servers.settings.postgres.dsn, servers.settings.redis.url)
    camera = msgspec.structs.replace(plain.camera, stale_after_s=STALE_AFTER_S)
    async with whole_way(msgspec.structs.replace(plain, camera=camera), tmp_path) as way:
        await way.shows(None)
        assert way.state["unknown_since"] is None
        await way.acked()
        way.sending.clear()  # its client goes on to ping
        await way.shows(NO_FRAMES)
        await until(
            lambda: way.state["unknown_since"] is not None, what="when frames stopped is told"
        )
        assert way.state["unknown_since"] <= way.state["received"]
        way.sending.set()
        await way.shows(None)
        await until(lambda: way.state["unknown_since"] is None, what="what is there is known again")
