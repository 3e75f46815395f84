"""The section `backup` of the settings tree (`actors.core.settings`)."""

from typing import Annotated

import msgspec


class BackupSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Backups by workers: daily into `dir`, of which the newest `keep` stay, checked weekly; empty:
    none. `keys_dir` takes the keys, apart from it, encrypted under what is in `passphrase_file`.
    Both must be reachable from where workers run."""

    dir: str = ""
    keys_dir: str = ""
    passphrase_file: str = ""
    keep: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 14
