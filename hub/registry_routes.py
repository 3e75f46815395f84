"""The handlers that change what a deployment knows: sites, cameras, scenes, dead letters."""

from hub.access import Access
from hub.camera_cache import CameraCache
from hub.context import HubContext
from hub.counts import Counts
from hub.dead_letters import DeadLetters
from hub.edge_access import EdgeAccess
from hub.registry_cameras import Cameras
from hub.registry_desk import RegistryDesk
from hub.registry_scenes import Scenes
from hub.registry_sites import Sites
from hub.web import Handler
from policy.auditor import Auditor


def handlers(context: HubContext, access: Access, cache: CameraCache, edges: EdgeAccess, auditor: Auditor) -> dict[str, Handler]:
    """All of them by the ids of `hub.rest_table`, under the decisions of `access`."""
    stores = context.stores
    desk = RegistryDesk(stores.registry, stores.cameras, context.directory, access, cache, edges, auditor)
    sites, cameras, scenes = Sites(desk, cache), Cameras(desk), Scenes(desk)
    counts = Counts(desk, context.directory)
    letters = DeadLetters(stores.dead_letters, stores.registry, context.directory, access, auditor)
    return {
        "listSites": sites.all, "addSite": sites.add, "readSite": sites.read, "changeSite": sites.change, "removeSite": sites.remove,
        "addCamera": cameras.add, "readCamera": cameras.read, "changeCamera": cameras.change, "removeCamera": cameras.remove,
        "resetCounts": counts.reset, "readScene": scenes.read, "changeScene": scenes.change,
        "readZone": scenes.read_shape, "changeZone": scenes.change_shape, "removeZone": scenes.remove_shape,
        "readLine": scenes.read_shape, "changeLine": scenes.change_shape, "removeLine": scenes.remove_shape,
        "listDeadLetters": letters.list, "readDeadLetter": letters.read, "replayDeadLetter": letters.replay,
        "discardDeadLetter": letters.discard,
    }  # fmt: skip
