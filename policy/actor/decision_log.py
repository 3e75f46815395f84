"""The log of decisions: what was asked (masked), by which revision and rule it was decided. Pure
but for its lock-free queue.

What a hub answers out of its cache is the same decision again and is not logged again.
"""

import hashlib
from collections import deque
from collections.abc import Sequence

import msgspec

from policy.decision import bounds
from policy.decision.model import Decision, DecisionInput
from storage.ports.policy import DecisionRow

MAX_WAITING = 20_000  # decisions
BATCH = 2_000  # rows of one write
MASK = "masked"

# What a policy may be asked about and is no name of a person. Anything else is masked.
KNOWN = {
    "subject": frozenset({"typ", "roles", "sites", "cameras", "scopes"}),
    "resource": frozenset({"kind", "site", "camera", "tags", "own"}),
    "context": frozenset({"purpose"}),
}


class DecisionQueue:
    """Decisions on their way to the log: one thread puts, another takes. Full: the new ones are
    counted and dropped."""

    def __init__(self, limit: int = MAX_WAITING) -> None:
        self.dropped = 0  # since the last row that was written
        self._limit = limit
        self._waiting: deque[tuple[DecisionInput, Decision]] = deque()

    def add(self, questions: Sequence[DecisionInput], decisions: Sequence[Decision]) -> None:
        """Never waits."""
        for pair in zip(questions, decisions, strict=True):
            if len(self._waiting) >= self._limit:
                self.dropped += 1
            else:
                self._waiting.append(pair)

    def take(self, limit: int = BATCH) -> list[DecisionRow]:
        """The oldest, as rows; the first of them carries what was dropped until now."""
        pairs = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        rows = [row_of(question, decision) for question, decision in pairs]
        if rows:
            dropped, self.dropped = self.dropped, 0
            rows[0] = msgspec.structs.replace(rows[0], dropped=dropped)
        return rows

    def lost(self, rows: Sequence[DecisionRow]) -> None:
        """They were taken and could not be written."""
        self.dropped += len(rows) + sum(row.dropped for row in rows)


def row_of(question: DecisionInput, decision: Decision) -> DecisionRow:
    """A decision as a row."""
    whole = bounds.canonical(question) or b""  # out of bounds: it is not kept at all
    roles, site = question.subject.get("roles"), question.resource.get("site")
    if not isinstance(roles, list) or not whole:
        roles = []
    return DecisionRow(
        revision=decision.revision,
        action=question.action if whole else "",
        role="+".join(map(str, roles)) or str(question.subject.get("typ", "") if whole else ""),
        site=site if whole and isinstance(site, str) else "",
        allow=decision.allow,
        rule=decision.reason,
        obligations=obligations(decision),
        input_hash=hashlib.sha256(whole).digest(),
        input=msgspec.json.encode(masked(question), order="deterministic").decode()
        if whole
        else "{}",
    )


def obligations(decision: Decision) -> str:
    """What binds whoever carries it out, as JSON that can be compared."""
    return msgspec.json.encode(
        {"max_hz": decision.max_hz, "redact": sorted(decision.redact)}
    ).decode()


def masked(question: DecisionInput) -> dict[str, object]:
    """The question with everything masked that is not known to be harmless."""
    parts = {
        "subject": question.subject,
        "resource": question.resource,
        "context": question.context,
    }
    return {"action": question.action} | {
        name: {
            key if key in KNOWN[name] else MASK: value if key in KNOWN[name] else MASK
            for key, value in part.items()
        }
        for name, part in parts.items()
    }
