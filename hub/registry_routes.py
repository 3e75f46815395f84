"""The routes that change what a deployment knows: sites, cameras, scenes, dead letters."""

from starlette.routing import BaseRoute

from hub import web
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
from policy.auditor import Auditor


def routes(context: HubContext, access: Access, cache: CameraCache, edges: EdgeAccess, auditor: Auditor) -> list[BaseRoute]:
    """All of them, under the tokens and decisions of `access`."""
    stores = context.stores
    desk = RegistryDesk(stores.registry, stores.cameras, context.directory, access, cache, edges, auditor)
    sites, cameras, scenes = Sites(desk, cache), Cameras(desk), Scenes(desk)
    counts = Counts(desk, context.directory)
    letters = DeadLetters(stores.dead_letters, stores.registry, context.directory, access, auditor)
    return [
        web.route(access, "/v1/sites", get=sites.all, post=sites.add),
        web.route(access, "/v1/sites/{site}", get=sites.read, put=sites.change, delete=sites.remove),
        web.route(access, "/v1/cameras", post=cameras.add),
        web.route(access, "/v1/cameras/{camera}", get=cameras.read, put=cameras.change, delete=cameras.remove),
        web.route(access, "/v1/cameras/{camera}/scene", get=scenes.read, put=scenes.change),
        web.route(access, "/v1/cameras/{camera}/counts/reset", post=counts.reset),
        *(
            web.route(
                access, f"/v1/cameras/{{camera}}/scene/{shape}", get=scenes.read_shape, put=scenes.change_shape,
                delete=scenes.remove_shape,
            )
            for shape in ("zones/{zone}", "lines/{line}")
        ),
        web.route(access, "/v1/dead-letters", get=letters.list),
        web.route(access, "/v1/dead-letters/{letter}", get=letters.read),
        web.route(access, "/v1/dead-letters/{letter}/replay", post=letters.replay),
        web.route(access, "/v1/dead-letters/{letter}/discard", post=letters.discard),
    ]  # fmt: skip
