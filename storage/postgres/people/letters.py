"""What was refused, as it is stored: ciphertext under a key of the keyring, as personal values are,
since nobody knows what lies in it. Reason and item are one text.

Keys are of the day of receiving and the camera that a letter names (class ``letters``). A letter
that an older release stored is as it was.
"""

import asyncio
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from actors.core.identifiers import is_id
from actors.core.times import from_us, to_us
from storage.ports.keyring import Key, Keyring, KeyScope
from storage.ports.privacy import Scope
from storage.postgres import rows as rows_of
from storage.postgres.pool import Database
from storage.postgres.statements import sql

CLASS = "letters"
SITE = "dead-letters"  # in the place of a site: a letter may be of none
NOBODY = "unnamed"  # in the place of a camera that is none
BATCH = 500  # letters changed by one statement
MAX_BYTES = 64 * 1_048_576  # of an item that is read back
MAGIC = b"\x00eyrie.letter.1\x00"
NONCE_BYTES = 12

Columns = list[list[Any]]


class LetterPlace(NamedTuple):
    """What a letter is bound to."""

    camera: str
    session: str
    code: str
    received_us: int


async def sealed(letters: Columns, at: Sequence[int], keyring: Keyring | None) -> Columns:
    """Parameters of a statement that stores letters, with their texts encrypted; without a keyring
    as they were. `at`: which columns hold camera, session, code, received_us, detail and raw.
    Raises Unavailable."""
    camera, session, code, received, detail, raw = at
    if keyring is None or not letters[0]:
        return letters
    rows = [
        LetterPlace(*one)
        for one in zip(
            *(letters[column] for column in (camera, session, code, received)), strict=True
        )
    ]
    keys = await keyring.current({_scope(one) for one in rows})
    texts = zip(rows, letters[detail], letters[raw], strict=True)
    made = [_sealed(one, said, item, keys[_scope(one)]) for one, said, item in texts]
    found = [list(column) for column in letters]
    found[detail], found[raw] = [""] * len(rows), made
    return found


async def opened(rows: Sequence[Any], keyring: Keyring | None) -> list[dict[str, Any]]:
    """Rows of `dead_letters` with reason and item as they came. Of one whose key was destroyed, or
    is not here, the reason says so and the item is empty. Raises Unavailable."""
    names = {name for row in rows if (name := key_of(row["raw"]))}
    secrets = await keyring.find(names) if keyring is not None and names else {}
    return [_opened(row, secrets) for row in rows]


def key_of(raw: bytes) -> str:
    """The key that a stored item is encrypted under; empty for one that is not."""
    if not raw.startswith(MAGIC):
        return ""
    length = raw[len(MAGIC)]
    return raw[len(MAGIC) + 1 : len(MAGIC) + 1 + length].decode("ascii", "replace")


async def erase_letters(database: Database, keyring: Keyring, scope: Scope, settle_s: float) -> int:
    """Empty the letters of `scope`, move others of the same keys to new ones, and destroy the old;
    how many were emptied. Again is harmless; `settle_s`: as of
    `storage.events.personal_erasure.erase_places`. Raises Unavailable."""
    statements = sql("dead_letters")
    first, last = from_us(scope.since_us), from_us(scope.until_us)
    days = (f"{first:%Y%m%d}", f"{last:%Y%m%d}")
    ids = [name for name in await keyring.ids() if _reaches(name, scope, days)]
    renewed = await keyring.renew(ids)
    if settle_s and last > datetime.now(UTC) - timedelta(days=1, hours=1) and ids:
        await asyncio.sleep(settle_s)
    emptied = 0
    while rows := await database.fetch(
        statements["empty"],
        list(scope.cameras),
        scope.since_us,
        scope.until_us,
        BATCH,
        writing=True,
    ):
        emptied += len(rows)
    await _move(database, keyring, scope, renewed)
    await keyring.destroy(ids)
    return emptied


async def _move(
    database: Database, keyring: Keyring, scope: Scope, renewed: Mapping[str, Key]
) -> None:
    statements = sql("dead_letters")
    secrets = await keyring.find(list(renewed))
    start = from_us(scope.since_us).replace(hour=0, minute=0, second=0, microsecond=0)
    after = 0
    while rows := await database.fetch(
        statements["of_days"],
        list(scope.cameras),
        to_us(start),
        scope.until_us + 86_400_000_000,
        after,
        BATCH,
    ):
        after = rows[-1]["id"]
        found = [
            (row["id"], row["raw"], fresh)
            for row in rows
            if (fresh := _moved(row, secrets, renewed)) is not None
        ]
        await database.fetch(statements["move"], *rows_of.columns(found, 3), writing=True)


def _moved(
    row: Any, secrets: Mapping[str, bytes | None], renewed: Mapping[str, Key]
) -> bytes | None:
    name = key_of(row["raw"])
    if name not in renewed or secrets.get(name) is None:
        return None
    said = _opened(row, secrets)
    return _sealed(_letter(row), said["detail"], said["raw"], renewed[name])


def _reaches(name: str, scope: Scope, days: tuple[str, str]) -> bool:
    day, _, camera, class_, _ = name.split("/")
    return class_ == CLASS and camera in scope.cameras and days[0] <= day <= days[1]


def _scope(letter: LetterPlace) -> KeyScope:
    camera = letter.camera if is_id(letter.camera) else NOBODY
    return KeyScope(f"{from_us(letter.received_us):%Y%m%d}", SITE, camera, CLASS)


def _letter(row: Any) -> LetterPlace:
    return LetterPlace(row["camera"], row["session"], row["code"], to_us(row["received"]))


def _sealed(letter: LetterPlace, detail: str, raw: bytes, key: Key) -> bytes:
    nonce, name = os.urandom(NONCE_BYTES), key.id.encode()
    said = detail.encode()
    plain = zlib.compress(len(said).to_bytes(4) + said + raw, 1)
    text = AESGCM(key.secret).encrypt(nonce, plain, _bound(letter, key.id))
    return MAGIC + bytes([len(name)]) + name + nonce + text


def _opened(row: Any, secrets: Mapping[str, bytes | None]) -> dict[str, Any]:
    found = dict(row)
    name = key_of(row["raw"])
    if not name:
        return found
    secret = secrets.get(name)
    if secret is None:
        why = "erased" if name in secrets else "its key is not on this machine"
        return found | {"detail": why, "raw": b""}
    body = row["raw"][len(MAGIC) + 1 + len(name) :]
    try:
        packed = AESGCM(secret).decrypt(
            body[:NONCE_BYTES], body[NONCE_BYTES:], _bound(_letter(row), name)
        )
        plain = zlib.decompressobj().decompress(packed, MAX_BYTES)
    except (InvalidTag, ValueError, zlib.error):
        return found | {"detail": "what is stored is not genuine", "raw": b""}
    length = int.from_bytes(plain[:4])
    return found | {"detail": plain[4 : 4 + length].decode(), "raw": plain[4 + length :]}


def _bound(letter: LetterPlace, key: str) -> bytes:
    return msgspec.json.encode(["eyrie.letter.1", *letter, key])


async def forget_letter_keys(database: Database, keyring: Keyring) -> int:
    """Destroy the keys of days and cameras of which no letter is left; how many. Raises
    Unavailable."""
    today = f"{datetime.now(UTC) - timedelta(days=1, hours=1):%Y%m%d}"
    old = [name for name in await keyring.ids() if f"/{CLASS}/" in name and name[:8] < today]
    gone: Iterable[str] = []
    if old:
        days = [to_us(datetime.strptime(name[:8], "%Y%m%d").replace(tzinfo=UTC)) for name in old]
        used = await database.fetch(sql("dead_letters")["used_days"], days)
        used_days = {row["day_us"] for row in used}
        gone = [name for name, day in zip(old, days, strict=True) if day not in used_days]
    return len(await keyring.destroy(list(gone)))
