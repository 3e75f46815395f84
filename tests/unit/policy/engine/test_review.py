"""What a revision is asked before it comes into force is all that anybody may be asked later: its
tables against those of the routes."""

from typing import Literal, get_args, get_origin, get_type_hints

from cluster.api import endpoints as cluster_table
from hub.access.authorization import SYSTEM, Access, CameraAction, LetterAction
from hub.rest import table
from hub.special_table import SPECIALS
from policy.decision import inputs
from policy.engine import review
from policy.identity.principal import Principal
from storage.ports.policy import DecisionRow


def words(hint: object) -> set[str]:
    """The strings of a Literal, or of a union of them."""
    return {
        word
        for part in get_args(hint)
        for word in ([part] if isinstance(part, str) else words(part))
    }


def test_every_action_of_every_route_is_asked_of_a_revision() -> None:
    routes = {endpoint.action for endpoint in (*table.ENDPOINTS, *cluster_table.ENDPOINTS)}
    routes |= {action for special in SPECIALS for action in special.actions}
    asked = {question.action for question in review.about_all_actions({})}
    assert len(routes) > 10
    assert routes - {""} <= asked


def test_every_action_is_asked_about_every_kind_of_thing_that_it_may_be_done_to() -> None:
    channel, site = get_type_hints(inputs.on_channel), get_type_hints(Access.require_site)
    assert get_origin(site["action"]) is Literal
    possible: set[tuple[str, str]] = {*SYSTEM.items()}
    possible |= {(action, "camera") for action in words(CameraAction)} | {("ingest", "camera")}
    possible |= {(action, "fleet") for action in words(LetterAction)}
    possible |= {(action, "site") for action in words(site["action"])}
    possible |= {
        (action, scope) for action in words(channel["action"]) for scope in words(channel["scope"])
    }
    possible |= {("connect", kind) for kind in words(get_type_hints(inputs.connect)["to"])}
    asked = {
        (question.action, str(question.resource["kind"]))
        for question in review.about_all_actions({})
    }
    assert possible - asked == set(), "nobody asks a revision about these before it decides"
    assert asked - possible == set(), "these are never asked: the table is old"


def test_the_sample_of_the_log_leaves_out_what_is_no_question_of_this_release() -> None:
    known = '{"action":"subscribe","subject":{"typ":"user"},"resource":{"kind":"camera"}}'
    rows = [
        DecisionRow("r1", "subscribe", "", "", True, "", "{}", bytes([number]) * 32, text)
        for number, text in enumerate(["{}", known, "not json", '{"action":5}'])
    ]
    asker = Principal(sub="ada", jti="j1", typ="user", iat=0, exp=1, roles=("admin",))
    without = review.at_activation(asker, [])
    assert len(review.at_activation(asker, rows)) == len(without) + 1
