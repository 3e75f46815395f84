"""Who changed what, told to the audit log in the transaction of the change; without the record
there is no change."""

import base64
import hashlib
import hmac
from collections.abc import AsyncIterable
from pathlib import Path
from typing import Annotated

import msgspec

from actors.core.errors import BadInput, Conflict, Unavailable
from actors.core.times import rfc3339
from policy.identity.keys import read_secret
from policy.identity.principal import Principal
from storage.ports.audit_log import AuditDraft, AuditEntry, AuditHead, AuditLog, Seal
from storage.ports.policy import Audit

MAX_DETAIL = 500  # characters


MAX_FINDINGS = 20


NO_HASH = bytes(32)


VERIFY = "`eyrie audit log verify` says what is wrong."


RESTORED = (
    "unless you put back an older backup, somebody cut it off; if you did, keep this "
    "checkpoint elsewhere and remove audit-checkpoint.json"
)


class Checkpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The end of the log as it was once, to be kept outside the database; `hash` and `seal` in
    base64. `time`: RFC 3339, for people."""

    number: Annotated[int, msgspec.Meta(ge=0, le=2**62)]
    hash: str
    seal: str
    time: str = ""


class Proof(msgspec.Struct):
    """`entries` were read; `findings` say what is wrong, the first ones of them all."""

    entries: int = 0
    findings: list[str] = msgspec.field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Nothing was found."""
        return not self.findings


def beginning(key: bytes) -> Seal:
    """What makes entry 0 of a log that was never begun."""

    def seal(_head: AuditHead, now_us: int) -> tuple[AuditEntry, AuditHead]:
        return _sealed(key, 0, NO_HASH, now_us, AuditDraft("eyrie", "", "audit.begin", ""))

    return seal


def sealing(key: bytes, draft: AuditDraft) -> Seal:
    """What makes the next entry out of `draft`."""

    def seal(head: AuditHead, now_us: int) -> tuple[AuditEntry, AuditHead]:
        return _sealed(key, head.number + 1, head.hash, now_us, draft)

    return seal


def checkpoint(head: AuditHead, now_us: int) -> Checkpoint:
    """The end of the log, to be kept."""
    return Checkpoint(
        head.number,
        base64.b64encode(head.hash).decode(),
        base64.b64encode(head.seal).decode(),
        rfc3339(now_us),
    )


async def newer(
    log: AuditLog, key: bytes, kept: Checkpoint | None, now_us: int
) -> Checkpoint | None:
    """A checkpoint of where the log ends now; None when that is `kept`.

    Raises Conflict for a log that does not go on from `kept`, or whose end is not sealed, BadInput
    for a `kept` that this key never sealed.
    """
    head = await log.head()
    if head is None or not _is_sealed(head, key):
        raise Conflict(
            "the end of the audit log is missing or not sealed with this deployment's key",
            hint=VERIFY,
        )
    if kept is not None:
        hash = _require_genuine(kept, key)
        found = [
            entry.hash
            for entry in await log.before(kept.number + 1, 1)
            if entry.number == kept.number
        ]
        if found != [hash] or head.number < kept.number:
            raise Conflict(
                f"the audit log no longer contains the entry {kept.number} that was its end at "
                f"{kept.time}: {RESTORED}",
                hint=VERIFY,
            )
    return None if kept is not None and head.number == kept.number else checkpoint(head, now_us)


async def prove(
    log: AsyncIterable[AuditEntry | AuditHead], key: bytes, kept: Checkpoint | None = None
) -> Proof:
    """Walk the whole log; without `kept` an older end that was sealed once is not found. Raises
    BadInput for one that is not genuine."""
    wanted = None if kept is None else _require_genuine(kept, key)
    proof = Proof()
    at, previous, head, seen = -1, NO_HASH, None, None
    async for item in log:
        if isinstance(item, AuditHead):
            head = item
            continue
        proof.entries += 1
        if at == -1 and item.number == 1 and kept is not None and kept.number >= 1:
            at = 0  # begun before there was an entry 0
        if item.number != at + 1:
            _find(
                proof,
                f"after entry {at} comes {item.number}"
                if at >= 0
                else f"the log begins with entry {item.number}, not with 0",
            )
        expected = _hash(
            previous,
            item.number,
            item.time_us,
            item.who,
            item.token,
            item.action,
            item.target,
            item.detail,
        )
        if not hmac.compare_digest(item.hash, expected):
            _find(proof, f"entry {item.number} is not what was chained to entry {at}")
        if not hmac.compare_digest(item.seal, _mac(key, "entry", item.number, item.hash)):
            _find(proof, f"entry {item.number} is not sealed with this deployment's key")
        if kept is not None and item.number == kept.number:
            seen = item.hash
        at, previous = item.number, item.hash
    if head is None:
        _find(proof, "the end of the log is missing")
    elif at == -1:
        _find(proof, "the log is empty: it was emptied, or never begun")
    elif (head.number, head.hash) != (at, previous):
        _find(proof, f"the log ends with entry {at}, its end was sealed at {head.number}")
    elif not _is_sealed(head, key):
        _find(proof, "the end of the log is not sealed with this deployment's key")
    if kept is not None and seen != wanted:
        older = (
            f" of {kept.time}; {RESTORED}" if proof.sound else ""
        )  # a log that is whole but for its end, as a backup is
        _find(proof, f"the checkpoint at entry {kept.number} is not in the log{older}")
    return proof


def _require_genuine(kept: Checkpoint, key: bytes) -> bytes:
    """The hash in it."""
    try:
        hash, seal = (
            base64.b64decode(kept.hash, validate=True),
            base64.b64decode(kept.seal, validate=True),
        )
    except ValueError as error:
        raise BadInput("the checkpoint cannot be read") from error
    if not _is_sealed(AuditHead(kept.number, hash, seal), key):
        raise BadInput(
            "the checkpoint is not sealed with this deployment's key",
            hint="Is it one of another deployment?",
        )
    return hash


def _sealed(
    key: bytes, number: int, previous: bytes, now_us: int, draft: AuditDraft
) -> tuple[AuditEntry, AuditHead]:
    detail = draft.detail[:MAX_DETAIL]
    hash = _hash(
        previous, number, now_us, draft.who, draft.token, draft.action, draft.target, detail
    )
    entry = AuditEntry(
        number,
        now_us,
        draft.who,
        draft.token,
        draft.action,
        draft.target,
        detail,
        hash,
        _mac(key, "entry", number, hash),
    )
    return entry, AuditHead(number, hash, _mac(key, "head", number, hash))


def _is_sealed(head: AuditHead, key: bytes) -> bool:
    return hmac.compare_digest(head.seal, _mac(key, "head", head.number, head.hash))


def _find(proof: Proof, what: str) -> None:
    if len(proof.findings) < MAX_FINDINGS:
        proof.findings.append(what)


def _hash(previous: bytes, *fields: object) -> bytes:
    return hashlib.sha256(previous + msgspec.json.encode(fields)).digest()


def _mac(key: bytes, what: str, number: int, hash: bytes) -> bytes:
    return hmac.digest(
        key,
        b"eyrie.audit." + what.encode() + b"\0" + number.to_bytes(8, "big", signed=True) + hash,
        hashlib.sha256,
    )


class Auditor:
    """Makes the records. `key_file` holds the secret that seals; empty: nothing that must be
    recorded can be done here."""

    def __init__(self, log: AuditLog, key_file: str) -> None:
        self._log = log
        self._key_file = key_file

    def key(self) -> bytes:
        """The secret. Raises Unavailable where there is none."""
        if not self._key_file:
            raise Unavailable(
                "this deployment has no key that signs policies and audit records (policy.key_file)"
            )
        return read_secret(Path(self._key_file))

    def record(self, principal: Principal, action: str, target: str, detail: str = "") -> Audit:
        """What writes the record of one change by `principal`."""
        return self._log.writer(self._seal(principal, action, target, detail))

    async def announce(
        self, principal: Principal, action: str, target: str, detail: str = ""
    ) -> None:
        """Write the record by itself, before something is asked for that another process does in a
        transaction of its own.

        The entry then says that it was asked for. Raises Unavailable; then it must not be asked
        for.
        """
        await self._log.append(self._seal(principal, action, target, detail))

    def _seal(self, principal: Principal, action: str, target: str, detail: str) -> Seal:
        return sealing(self.key(), AuditDraft(principal.sub, principal.jti, action, target, detail))
