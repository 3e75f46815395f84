"""The personal values of events on their way into PostgreSQL and out of it: encrypted, each bound
to its event, place, class and key. A row that is moved to another event opens nothing.
"""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from actors.core.errors import ConfigError
from actors.core.messages.commits import CommitRow
from actors.core.messages.personal import SALT_BYTES, PersonalValue
from storage.ports.keyring import Key, Keyring, KeyScope
from storage.postgres import rows as rows_of

NONCE_BYTES = 12
WIDTH = 8  # columns of a row of `event_personal`

Place = tuple[str, str, int]  # camera, epoch, offset


def scope_of(site: str, camera: str, received_us: int, class_: str) -> KeyScope:
    """Under which key a value goes: of the day of receiving, whatever the device's clock says."""
    return KeyScope(
        f"{datetime.fromtimestamp(received_us // 1_000_000, UTC):%Y%m%d}", site, camera, class_
    )


async def columns(rows: Sequence[CommitRow], keyring: Keyring | None) -> list[list[Any]] | None:
    """The parameters of `commit_whole` for the personal values of these rows; None: there are none.
    Raises Unavailable when the keyring does not answer: then nothing of them is committed."""
    events = [(row.camera, stored) for row in rows for stored in row.events if stored.personal]
    if not events:
        return None
    if keyring is None:
        raise ConfigError("there is no keyring, so no personal value can be stored")
    wanted = [
        (
            camera,
            stored,
            value,
            scope_of(stored.event.site, camera, stored.received_us, value.class_),
        )
        for camera, stored in events
        for value in stored.personal
    ]
    keys = await keyring.current({scope for *_, scope in wanted})
    found = []
    for camera, stored, value, scope in wanted:
        place, key = (camera, stored.event.epoch, stored.event.offset), keys[scope]
        found.append(
            (
                *place,
                stored.received_us,
                value.path,
                value.class_,
                key.id,
                sealed(place, value, key),
            )
        )
    return rows_of.columns(found, WIDTH)


def sealed(place: Place, value: PersonalValue, key: Key) -> bytes:
    """Nonce, then salt and value encrypted."""
    nonce = os.urandom(NONCE_BYTES)
    bound = _bound(place, value.path, value.class_, key.id)
    return nonce + AESGCM(key.secret).encrypt(nonce, value.salt + value.value, bound)


def opened(place: Place, path: str, class_: str, key: Key, text: bytes) -> PersonalValue | None:
    """The value; None for what was not encrypted for this place under this key."""
    bound = _bound(place, path, class_, key.id)
    try:
        plain = AESGCM(key.secret).decrypt(text[:NONCE_BYTES], text[NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):
        return None
    return PersonalValue(path, class_, plain[:SALT_BYTES], plain[SALT_BYTES:])


def _bound(place: Place, path: str, class_: str, key: str) -> bytes:
    return msgspec.json.encode(["eyrie.personal.1", *place, path, class_, key])
