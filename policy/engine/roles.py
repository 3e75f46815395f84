"""The roles that a policy knows: the keys of its rule `grants`, as the packaged policy has it
(docs/policy.md, Roles)."""

from collections.abc import Mapping

from actors.core.errors import ConfigError
from policy.engine.rego_engine import evaluate

RULE = "eyrie/authz/grants"


def granted(sources: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Role → its actions. Empty for a policy without such a rule, of which nothing can be said.
    Blocks for some milliseconds."""
    try:
        found = evaluate(sources, RULE)
    except ConfigError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        str(role): frozenset(map(str, actions))
        for role, actions in found.items()
        if isinstance(actions, list)
    }
