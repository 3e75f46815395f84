"""All that REST has for requests of data subjects."""

from actors.core.settings import Settings
from hub.access.authorization import Access
from hub.access.context import HubStores
from hub.rest.people.access_bundles import AccessBundles
from hub.rest.people.privacy import PrivacyHandlers
from hub.rest.people.processing import ProcessingReads
from hub.web.endpoint import Handler
from policy.audit import Auditor


def handlers(
    stores: HubStores, settings: Settings, access: Access, auditor: Auditor
) -> dict[str, Handler]:
    """By id."""
    return {
        **PrivacyHandlers(stores.privacy, stores.registry, auditor).all(),
        **AccessBundles(stores.privacy, stores.events, access, auditor).all(),
        **ProcessingReads(settings, stores.registry, stores.sinks, stores.privacy).all(),
    }
