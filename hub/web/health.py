"""The answer of the health endpoints."""

import msgspec

SERVICE = "eyrie-hub"


class HubHealth(msgspec.Struct, frozen=True):
    """The answer of both endpoints. `instance` tells hubs of one deployment from any other program
    on a port.

    `notes` are troubles of the deployment that do not keep this hub from serving.
    """

    service: str
    instance: str
    hub: str
    ready: bool
    reasons: list[str] = []
    notes: list[str] = []
