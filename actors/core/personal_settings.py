"""The section `personal` of the settings tree (`actors.core.settings`)."""

from typing import Annotated

import msgspec

_ID = "[a-z0-9][a-z0-9_-]{0,63}"
KEEP_PATTERN = rf"\A(\*|faces|names|plates|text|unknown)(@(\*|{_ID})(/{_ID})?)?=[1-9][0-9]{{0,3}}\Z"
KeepRule = Annotated[
    str, msgspec.Meta(pattern=KEEP_PATTERN, description="CLASS[@SITE[/CAMERA]]=DAYS")
]


class PersonalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long personal values stay, by class, site and camera, in whole days (UTC, of receiving):
    ``plates=30``, ``*@north=14``, ``names@north/gate=3``, ``text@*/gate=1``; the shortest that fits
    wins, none keeps them longer than `events.keep_days`, and a hold wins over all."""

    keep: list[KeepRule] = []
