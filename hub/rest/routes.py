"""The handlers that change what a deployment knows: sites, cameras, scenes, dead letters."""

from hub.access.authorization import Access
from hub.access.context import HubContext
from hub.access.registry_cache import CameraCache
from hub.ingest.authorization import EdgeAccess
from hub.rest.alerts.handlers import AlertHandlers
from hub.rest.cameras import Cameras, Counts
from hub.rest.dead_letters import DeadLetters
from hub.rest.registry import RegistryChanges
from hub.rest.scenes import Scenes
from hub.rest.sites import Sites
from hub.web.endpoint import Handler
from policy.audit import Auditor


def handlers(
    context: HubContext, access: Access, cache: CameraCache, edges: EdgeAccess, auditor: Auditor
) -> dict[str, Handler]:
    """All of them by the ids of `hub.rest.table`, under the decisions of `access`."""
    stores = context.stores
    changes = RegistryChanges(
        stores.registry, stores.cameras, context.directory, access, cache, edges, auditor
    )
    sites, cameras, scenes = Sites(changes, cache), Cameras(changes), Scenes(changes)
    counts = Counts(changes, context.directory)
    letters = DeadLetters(stores.dead_letters, stores.registry, context.directory, access, auditor)
    return {
        "listSites": sites.all,
        "addSite": sites.add,
        "readSite": sites.read,
        "changeSite": sites.change,
        "removeSite": sites.remove,
        "addCamera": cameras.add,
        "readCamera": cameras.read,
        "changeCamera": cameras.change,
        "removeCamera": cameras.remove,
        "resetCounts": counts.reset,
        "readScene": scenes.read,
        "changeScene": scenes.change,
        "readZone": scenes.read_shape,
        "changeZone": scenes.change_shape,
        "removeZone": scenes.remove_shape,
        "readLine": scenes.read_shape,
        "changeLine": scenes.change_shape,
        "removeLine": scenes.remove_shape,
        "listDeadLetters": letters.list,
        "readDeadLetter": letters.read,
        "replayDeadLetter": letters.replay,
        "discardDeadLetter": letters.discard,
        **AlertHandlers(access, changes, stores.alerts, auditor, context.directory).all(),
    }
