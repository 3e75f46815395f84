"""Identifiers and channel names: the only place that knows their alphabet.

Site and camera ids match ``[a-z0-9][a-z0-9_-]{0,63}``. ``\\Z`` and not ``$``: the latter accepts a
trailing newline.
"""

import re
from typing import Annotated

import msgspec

from actors.core.errors import InvalidId

ID_PATTERN = r"\A[a-z0-9][a-z0-9_-]{0,63}\Z"
SESSION_PATTERN = r"\A[A-Za-z0-9][A-Za-z0-9._:-]{0,63}\Z"
LABEL_PATTERN = r"\A[^\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]{1,64}\Z"

CameraId = Annotated[str, msgspec.Meta(pattern=ID_PATTERN, description="camera id")]
SiteId = Annotated[str, msgspec.Meta(pattern=ID_PATTERN, description="site id")]
SessionId = Annotated[
    str, msgspec.Meta(pattern=SESSION_PATTERN, description="edge session, named by the device")
]
Label = Annotated[
    str, msgspec.Meta(pattern=LABEL_PATTERN, description="label, 1..64 printable characters")
]
Seq = Annotated[
    int,
    msgspec.Meta(
        ge=1, le=2**53, description="position of an observation in its session: 1, 2, 3, …"
    ),
]

_ID = re.compile(ID_PATTERN)


def is_id(text: str) -> bool:
    """True when `text` is a valid site, camera, zone or line id."""
    return _ID.match(text) is not None


def require_id(text: str, kind: str) -> str:
    """Return `text`, or raise :class:`InvalidId` that names `kind` (``camera``, ``site``, …)."""
    if not is_id(text):
        raise InvalidId(f"{kind} id {text[:80]!r} does not match [a-z0-9][a-z0-9_-]{{0,63}}")
    return text
