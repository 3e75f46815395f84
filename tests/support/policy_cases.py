"""The decisions that every engine must agree on: the cases beside the policy, and a generated grid
over roles, places and actions."""

import itertools
from typing import Any

from policy.decision.model import DecisionInput
from policy.engine.modules import read_tests
from policy.engine.rego_engine import evaluate

ROLES = (
    "guest",
    "viewer",
    "operator",
    "admin",
    "privacy",
    "auditor",
    "policy-admin",
    "ingester",
    "nobody",
)
ACTIONS = (
    "connect",
    "subscribe",
    "history",
    "presence",
    "publish",
    "ingest",
    "register",
    "cluster.operate",
    "deadletter.replay",
    "policy.change",
)
SCOPES: tuple[tuple[list[str], list[str] | None], ...] = (
    (["north"], None),
    (["*"], None),
    ([], ["gate"]),
    (["north"], ["yard"]),
    ([], None),
)
RESOURCES: tuple[dict[str, Any], ...] = (
    {"kind": "camera", "site": "north", "camera": "gate", "tags": []},
    {"kind": "camera", "site": "south", "camera": "yard", "tags": ["restricted"]},
    {"kind": "site", "site": "north"},
    {"kind": "fleet"},
    {"kind": "cluster"},
    {"kind": "policy"},
)


def written(rule: str) -> list[dict[str, Any]]:
    """`cases` or `obligations` of the Rego file ``authz_cases_test.rego``."""
    files = {name: text for name, text in read_tests().items() if name == "authz_cases_test.rego"}
    found = evaluate(files, f"eyrie/authz_cases/{rule}")
    assert isinstance(found, list)
    return found


def question(value: dict[str, Any]) -> DecisionInput:
    """A case's input as a question; what is missing is empty."""
    return DecisionInput(
        value.get("action", ""),
        value.get("subject", {}),
        value.get("resource", {}),
        value.get("context", {}),
    )


def grid() -> list[DecisionInput]:
    """Every action by every role (and the edge), in every scope, on every resource."""
    return [
        DecisionInput(
            action,
            {
                "typ": "edge" if role == "nobody" else "user",
                "roles": [role],
                "sites": sites,
                "cameras": cameras,
                "scopes": [],
            },
            resource,
        )
        for role, (sites, cameras), action, resource in itertools.product(
            ROLES, SCOPES, ACTIONS, RESOURCES
        )
    ]
