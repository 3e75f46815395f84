"""What a denied request is told: what was asked for, and what the token lacks for it (pure).

Nothing of it depends on whether a named thing exists: action, kind of resource and the policy's
word alone.
"""

from actors.core.errors import Forbidden
from policy.decision.model import Decision, DecisionInput

# Kinds of resource that belong to no site, and the role of the packaged policy that is about
# nothing else (docs/policy.md#roles).
DEPLOYMENT = {"cluster": "operator", "policy": "policy-admin", "audit": "auditor"}
READERS = {"policy.read": "auditor"}


def refused(question: DecisionInput, decision: Decision) -> Forbidden:
    """The error for a deny."""
    return Forbidden(
        f"policy says no to {question.action}: {decision.reason}",
        hint=_missing(question, decision.reason),
    )


def _missing(question: DecisionInput, reason: str) -> str | None:
    action, kind = question.action, str(question.resource.get("kind", ""))
    if reason == "no_role":
        return f"None of the token's roles may do {action}; docs/policy.md says which roles may."
    if reason == "out_of_scope" and kind in DEPLOYMENT:
        role = READERS.get(action, DEPLOYMENT[kind])
        given = f"{role} without sites" if kind == "cluster" else role
        return (
            f"{action} belongs to no site: it needs a token for all sites ('*'), or the role "
            f"{given}."
        )
    if reason == "out_of_scope" and kind == "fleet":
        return "It shows every site: it needs a token for all sites ('*') that lists no cameras."
    if reason == "out_of_scope":
        return "The token is for other sites or cameras, or for none."
    return None
