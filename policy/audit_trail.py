"""The audit log's hashes and seals, pure: how an entry is made, and what proves that none was edited, deleted, moved or cut off.

A hash chain shows edits only to whoever knows its end, so the end is sealed (HMAC-SHA-256 under `policy.key_file`, each use with a label
of its own), as every entry is. Who can write to the database and has no key can therefore only put back an older end that was sealed
once, with the entries up to it. Against that a checkpoint is kept elsewhere: the log must still contain it.
"""

import base64
import hashlib
import hmac
from collections.abc import AsyncIterable

import msgspec

from actors.core.errors import BadInput
from storage.audit_ports import AuditDraft, AuditEntry, AuditHead, Seal

MAX_DETAIL = 500  # characters
MAX_FINDINGS = 20
NO_HASH = bytes(32)


class Checkpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The end of the log as it was once, to be kept outside the database; `hash` and `seal` in base64."""

    number: int
    hash: str
    seal: str


class Proof(msgspec.Struct):
    """`entries` were read; `findings` say what is wrong, the first ones of them all."""

    entries: int = 0
    findings: list[str] = msgspec.field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Nothing was found."""
        return not self.findings


def sealing(key: bytes, draft: AuditDraft) -> Seal:
    """What makes the next entry out of `draft`."""

    def seal(head: AuditHead, now_us: int) -> tuple[AuditEntry, AuditHead]:
        number, detail = head.number + 1, draft.detail[:MAX_DETAIL]
        hash = _hash(head.hash, number, now_us, draft.who, draft.token, draft.action, draft.target, detail)
        entry = AuditEntry(
            number, now_us, draft.who, draft.token, draft.action, draft.target, detail, hash, _mac(key, "entry", number, hash)
        )  # fmt: skip
        return entry, AuditHead(number, hash, _mac(key, "head", number, hash))

    return seal


def checkpoint(head: AuditHead) -> Checkpoint:
    """The end of the log, to be kept."""
    return Checkpoint(head.number, base64.b64encode(head.hash).decode(), base64.b64encode(head.seal).decode())


async def prove(log: AsyncIterable[AuditEntry | AuditHead], key: bytes, kept: Checkpoint | None = None) -> Proof:
    """Walk the whole log. Raises BadInput for a checkpoint that this key never sealed."""
    if kept is not None:
        _require_genuine(kept, key)
    proof = Proof()
    at, previous, head = 0, NO_HASH, None
    seen: bytes | None = NO_HASH if kept is not None and kept.number == 0 else None
    async for item in log:
        if isinstance(item, AuditHead):
            head = item
            continue
        proof.entries += 1
        if item.number != at + 1:
            _find(proof, f"after entry {at} comes {item.number}")
        expected = _hash(previous, item.number, item.time_us, item.who, item.token, item.action, item.target, item.detail)
        if not hmac.compare_digest(item.hash, expected):
            _find(proof, f"entry {item.number} is not what was chained to entry {at}")
        if not hmac.compare_digest(item.seal, _mac(key, "entry", item.number, item.hash)):
            _find(proof, f"entry {item.number} is not sealed with this deployment's key")
        if kept is not None and item.number == kept.number:
            seen = item.hash
        at, previous = item.number, item.hash
    if head is None:
        _find(proof, "the end of the log is missing")
    elif (head.number, head.hash) != (at, previous):
        _find(proof, f"the log ends with entry {at}, its end was sealed at {head.number}")
    elif head.number and not hmac.compare_digest(head.seal, _mac(key, "head", head.number, head.hash)):
        _find(proof, "the end of the log is not sealed with this deployment's key")
    if kept is not None and (seen is None or seen != base64.b64decode(kept.hash)):
        _find(proof, f"the checkpoint at entry {kept.number} is not in the log")
    return proof


def _require_genuine(kept: Checkpoint, key: bytes) -> None:
    try:
        hash, seal = base64.b64decode(kept.hash, validate=True), base64.b64decode(kept.seal, validate=True)
    except ValueError as error:
        raise BadInput("the checkpoint cannot be read") from error
    if kept.number and not hmac.compare_digest(seal, _mac(key, "head", kept.number, hash)):
        raise BadInput("the checkpoint is not sealed with this deployment's key", hint="Is it one of another deployment?")


def _find(proof: Proof, what: str) -> None:
    if len(proof.findings) < MAX_FINDINGS:
        proof.findings.append(what)


def _hash(previous: bytes, *fields: object) -> bytes:
    return hashlib.sha256(previous + msgspec.json.encode(fields)).digest()


def _mac(key: bytes, what: str, number: int, hash: bytes) -> bytes:
    return hmac.digest(key, b"eyrie.audit." + what.encode() + b"\0" + number.to_bytes(8, "big") + hash, hashlib.sha256)
