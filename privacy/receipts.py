"""SignedReceipt receipts of erasures, which anybody verifies with the public key alone.

The private key (Ed25519) lies in the folder of the keyring and is made when the first receipt is
signed; whoever needs to trust receipts gets the public one by another way (`eyrie privacy key`).
"""

import contextlib
import os
import secrets
import stat
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from actors.core.errors import BadInput, Unavailable
from policy.identity.atomic_files import write_whole

KEY_FILE = "receipts.key"
KEY_BYTES = 32
MAX_BYTES = 1_048_576  # of a receipt that is read

_TAG = b"eyrie.receipt.1\0"


class SignedReceipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A receipt with the key (hex) that signed it. What is signed is the receipt as JSON without
    spaces, its names in order."""

    receipt: dict[str, Any]
    key: str
    signature: str


def public_key(folder: Path) -> str:
    """The key that verifies this deployment's receipts, in hex. Raises Unavailable."""
    return _private(folder).public_key().public_bytes_raw().hex()


def sign(folder: Path, receipt: dict[str, Any]) -> str:
    """The signed receipt as JSON. Raises Unavailable."""
    private = _private(folder)
    signature = private.sign(_signed_bytes(receipt))
    signed = SignedReceipt(receipt, private.public_key().public_bytes_raw().hex(), signature.hex())
    return msgspec.json.encode(signed).decode()


def verify(text: bytes, key: str) -> dict[str, Any]:
    """The receipt, when `key` (hex) signed it. Raises BadInput."""
    try:
        found = msgspec.json.decode(text[:MAX_BYTES], type=SignedReceipt)
        signature = bytes.fromhex(found.signature)
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        raise BadInput(
            f"this is no receipt, or no key: {error}",
            hint="A receipt is what `eyrie privacy requests receipt` prints.",
        ) from error
    if found.key != key:
        raise BadInput(
            f"the receipt names another key, {found.key[:64]}",
            hint="Is it one of another deployment?",
        )
    try:
        public.verify(signature, _signed_bytes(found.receipt))
    except InvalidSignature as error:
        raise BadInput("the receipt is not what was signed") from error
    return found.receipt


def _signed_bytes(receipt: dict[str, Any]) -> bytes:
    return _TAG + msgspec.json.encode(receipt, order="deterministic")


def _private(folder: Path) -> Ed25519PrivateKey:
    path = folder / KEY_FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        with open(path, "rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise Unavailable(f"others may read {path}", hint=f"Run: chmod 600 {path}")
            secret = file.read(KEY_BYTES + 1)
    except OSError as error:
        raise Unavailable(
            f"the key of receipts {path} cannot be used: {error.strerror}",
            hint="Look at events.keyring_dir.",
        ) from error
    if len(secret) != KEY_BYTES:
        raise Unavailable(f"{path} is no key of receipts")
    return Ed25519PrivateKey.from_private_bytes(secret)


def _make(path: Path) -> None:
    """Whole or not at all; who is second takes the first one's."""
    fresh = path.with_name(f".{KEY_FILE}.{secrets.token_hex(4)}")
    write_whole(fresh, Ed25519PrivateKey.generate().private_bytes_raw())
    try:
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
