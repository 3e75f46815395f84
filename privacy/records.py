"""What was erased, kept outside the database: in ``erasures`` in the folder of the keyring, one
file for each request, and its receipt beside it. Places and keys, never a value.

A database that is restored from before an erasure knows nothing of it: `privacy.replay` reads these
files at the start.
"""

import re
from pathlib import Path

import msgspec

from actors.core.errors import ConfigError, Unavailable
from policy.identity.atomic_files import write_whole
from storage.ports.privacy import RequestRow, Scope, ValuePlace

FOLDER = "erasures"
_ID = re.compile(r"[0-9a-f]{32}\Z")


class ErasureRecord(msgspec.Struct, frozen=True):
    """One erasure that was begun: whose, where, and under which keys its values lay."""

    id: str
    scope: Scope
    whole: bool
    purpose: str
    asked_by: str
    approved_by: str
    places: list[ValuePlace]
    keys: list[str]


def record_of(request: RequestRow, places: list[ValuePlace]) -> ErasureRecord:
    """Of a request that was begun."""
    return ErasureRecord(
        request.id,
        request.scope,
        request.whole,
        request.purpose,
        request.asked_by,
        request.approved_by,
        places,
        request.keys,
    )


def keep(folder: Path, record: ErasureRecord) -> None:
    """Write it, on disk when this returns. Raises Unavailable."""
    _write(_path(folder, record.id), msgspec.json.encode(record))


def keep_receipt(folder: Path, id: str, receipt: str) -> None:
    """The same of the receipt: the erasure is done."""
    _write(_path(folder, id).with_suffix(".receipt.json"), receipt.encode())


def receipt_of(folder: Path, id: str) -> str:
    """The receipt, or nothing."""
    try:
        return _path(folder, id).with_suffix(".receipt.json").read_text("utf-8")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise _unusable(folder, error) from error


def ids(folder: Path) -> list[str]:
    """Of all that are kept. Raises Unavailable."""
    try:
        return sorted(
            path.stem for path in (folder / FOLDER).glob("*.json") if _ID.match(path.stem)
        )
    except OSError as error:
        raise _unusable(folder, error) from error


def read(folder: Path, id: str) -> ErasureRecord:
    """One of them. Raises Unavailable."""
    try:
        return msgspec.json.decode(_path(folder, id).read_bytes(), type=ErasureRecord)
    except OSError as error:
        raise _unusable(folder, error) from error
    except msgspec.MsgspecError as error:
        raise Unavailable(
            f"the record of erasure {id} cannot be read: {error}",
            hint="Put the folder of the keyring back from its newest backup.",
        ) from error


def _path(folder: Path, id: str) -> Path:
    if not _ID.match(id):
        raise ValueError(f"{id[:80]!r} is no request")
    return folder / FOLDER / f"{id}.json"


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, data)
    except OSError as error:
        raise _unusable(path.parent.parent, error) from error
    except ConfigError as error:
        raise Unavailable(error.detail, hint="Look at events.keyring_dir.") from error


def _unusable(folder: Path, error: OSError) -> Unavailable:
    return Unavailable(
        f"the records of erasures in {folder} cannot be used: {error.strerror}",
        hint="Look at events.keyring_dir.",
    )
