"""A revision beside the one in force: what it would have decided about what the log holds, counted
by action, role and site (pure)."""

from collections.abc import Sequence

import msgspec

from policy.actor.decision_log import obligations
from policy.decision import bounds
from policy.decision.model import Decision, DecisionInput
from storage.ports.policy import DecisionRow, Flip

MAX_GROUPS = 500  # of one shadow; what comes beyond is counted together
MAX_EXAMPLE = 4_000  # characters
OTHER = "other"

_question = msgspec.json.Decoder(DecisionInput)

Group = tuple[str, str, str, str]  # kind, action, role, site


def asked(rows: Sequence[DecisionRow]) -> list[DecisionInput]:
    """The questions of rows."""
    return [_question.decode(row.input) for row in rows]


def comparable(row: DecisionRow, revision: str) -> bool:
    """Whether a row tells what the revision in force decided by its rules."""
    return (
        row.revision == revision
        and row.rule not in bounds.UNCACHED
        and row.rule != bounds.BAD_QUESTION
    )


def compare(
    rows: Sequence[DecisionRow], decisions: Sequence[Decision], known: frozenset[Group]
) -> list[Flip]:
    """What comes out otherwise. `known` are the groups there are already."""
    counts: dict[Group, int] = {}
    examples: dict[Group, str] = {}
    for row, decision in zip(rows, decisions, strict=True):
        kind = kind_of(row, decision)
        if kind is None:
            continue
        group = (kind, row.action, row.role, row.site)
        if group not in known and group not in counts and len(known) + len(counts) >= MAX_GROUPS:
            group = (kind, OTHER, OTHER, OTHER)
        counts[group] = counts.get(group, 0) + 1
        examples.setdefault(group, _example(row, decision))
    return [Flip(*group, count=count, example=examples[group]) for group, count in counts.items()]


def kind_of(row: DecisionRow, decision: Decision) -> str | None:
    """How a decision differs; None when it does not."""
    if decision.reason == bounds.POLICY_ERROR:
        return "error"
    if decision.allow != row.allow:
        return "deny_to_allow" if decision.allow else "allow_to_deny"
    return "obligations" if row.allow and obligations(decision) != row.obligations else None


def _example(row: DecisionRow, decision: Decision) -> str:
    made = {
        "input": msgspec.Raw(row.input.encode()),
        "was": row.rule,
        "is": decision.reason,
        "obligations": [
            msgspec.Raw(row.obligations.encode()),
            msgspec.Raw(obligations(decision).encode()),
        ],
    }
    text = msgspec.json.encode(made).decode()
    return text if len(text) <= MAX_EXAMPLE else "{}"
