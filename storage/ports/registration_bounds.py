"""How many cameras a device may bring about by itself, and a site take (pure)."""

import msgspec

from actors.core.errors import TooManyCameras

FULL_S = 10.0  # seconds after which a refused registration is worth another try


class RegistrationBound(msgspec.Struct, frozen=True):
    """How many cameras `device` (a token's subject) may register in all, and how many a site may
    have for one more to be registered."""

    device: str
    per_device: int
    per_site: int


def require_room(bound: RegistrationBound, of_device: int, site: str, of_site: int) -> None:
    """Raises TooManyCameras where either number has reached its bound."""
    if of_device >= bound.per_device:
        raise TooManyCameras(
            f"this device has registered {of_device} cameras, as many as it may",
            retry_after_s=FULL_S,
        )
    if of_site >= bound.per_site:
        raise TooManyCameras(
            f"site {site} has {of_site} cameras, as many as devices may register",
            retry_after_s=FULL_S,
        )
