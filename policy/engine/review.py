"""What a revision is asked before it comes into force: that no answer takes too long, and that its
activator is not locked out (pure).

The questions are those that the log of decisions holds, and one about each action for each of some
subjects.
"""

from collections.abc import Iterable, Sequence

import msgspec

from actors.core.errors import BadInput
from policy.decision import bounds, inputs
from policy.decision.model import Decision, DecisionInput
from policy.identity.principal import Principal
from storage.ports.policy import DecisionRow

LOG_ROWS = 2_000  # newest rows of the log that are looked at
MAX_SAMPLE = 200  # different questions of them
KEEPS = ("policy.read", "policy.change")  # whoever activates must keep these: a rollback needs both
ROLES = (
    "guest",
    "viewer",
    "operator",
    "admin",
    "privacy",
    "auditor",
    "policy-admin",
    "ingester",
)  # of the packaged policy

_SYSTEM = {
    "policy": ("policy.read", "policy.change", "token.revoke"),
    "audit": ("audit.read",),
    "privacy": ("privacy.read", "privacy.request", "privacy.approve", "privacy.hold"),
    "sink": ("sink.read", "sink.operate", "sink.change"),
    "cluster": ("cluster.read", "cluster.operate", "job.read", "job.operate"),
}
_CHANNEL = ("subscribe", "history", "presence", "publish")
_LETTERS = ("deadletter.read", "deadletter.replay", "deadletter.discard")
_CAMERA = ("ingest", "register", "registry.read", "registry.write", "alert.operate", *_LETTERS)
_question = msgspec.json.Decoder(DecisionInput)


def about_all_actions(subject: dict[str, object]) -> list[DecisionInput]:
    """One question of `subject` about each action and kind of thing."""
    camera: dict[str, object] = {"kind": "camera", "site": "any", "camera": "any", "tags": []}
    things: list[tuple[str, dict[str, object]]] = [
        ("connect", {"kind": "dashboard"}),
        ("connect", {"kind": "edge"}),
    ]
    things += [(action, {"kind": kind}) for kind, actions in _SYSTEM.items() for action in actions]
    scopes: tuple[dict[str, object], ...] = (
        camera,
        {"kind": "site", "site": "any"},
        {"kind": "fleet"},
        {"kind": "user", "own": True},
        {"kind": "user", "own": False},
    )
    things += [(action, scope) for action in _CHANNEL for scope in scopes]
    things += [(action, camera) for action in _CAMERA]
    things += [(action, {"kind": "fleet"}) for action in _LETTERS]  # those that name no camera
    things += [
        (action, {"kind": "site", "site": "any"}) for action in ("registry.read", "registry.write")
    ]
    return [DecisionInput(action, subject, thing) for action, thing in things]


def at_load() -> list[DecisionInput]:
    """What every revision is asked before an engine takes it: all actions, of somebody with every
    packaged role and of a device."""
    return about_all_actions(_subject("user", ROLES)) + about_all_actions(_subject("edge", ()))


def at_activation(asker: Principal, rows: Iterable[DecisionRow]) -> list[DecisionInput]:
    """What a revision is asked before `asker` puts it in force: each role for itself too, and a
    sample of the log (newest `rows` first)."""
    asked = [inputs.on_system(action, asker, "policy") for action in KEEPS]
    asked += at_load()
    for subject in [inputs.subject(asker), *(_subject("user", (role,)) for role in ROLES)]:
        asked += about_all_actions(subject)
    sample = {row.input_hash: row.input for row in reversed(list(rows))}
    return asked + [
        found for text in list(sample.values())[-MAX_SAMPLE:] if (found := _read(text)) is not None
    ]


def _read(text: str) -> DecisionInput | None:
    """A question of the log; None for what a release with other questions wrote there."""
    try:
        return _question.decode(text)
    except msgspec.MsgspecError:
        return None


def require_bounded(asked: Sequence[DecisionInput], decisions: Sequence[Decision]) -> None:
    """Raises BadInput when an answer took too many steps; it says which. `decisions` may end
    there."""
    for question, decision in zip(asked, decisions, strict=False):
        if decision.reason == bounds.POLICY_OVERRUN:
            raise BadInput(
                f"the policy is refused: more than {bounds.MAX_STEPS} steps to decide "
                f"{named(question)}"
            )


def lost(decisions: Sequence[Decision]) -> list[str]:
    """Which of KEEPS the asker of :func:`at_activation` would lose."""
    return [
        action for action, decision in zip(KEEPS, decisions, strict=False) if not decision.allow
    ]


def named(question: DecisionInput) -> str:
    """A question in a few words. Never a name: only what the log of decisions shows too."""
    roles = question.subject.get("roles")
    who = (
        "+".join(map(str, roles))
        if isinstance(roles, list) and roles
        else question.subject.get("typ", "somebody")
    )
    return (
        f"`{question.action[:64]}` on a {str(question.resource.get('kind', 'thing'))[:32]} "
        f"for {str(who)[:64]}"
    )


def _subject(typ: str, roles: Sequence[str]) -> dict[str, object]:
    return {"typ": typ, "roles": sorted(roles), "sites": ["*"], "cameras": None, "scopes": []}
