"""What a revision is asked before it is put in force."""

from policy import review
from policy.ports import Principal
from storage.policy_ports import DecisionRow


def test_the_sample_of_the_log_leaves_out_what_is_no_question_of_this_release() -> None:
    known = '{"action":"subscribe","subject":{"typ":"user"},"resource":{"kind":"camera"}}'
    rows = [
        DecisionRow("r1", "subscribe", "", "", True, "", "{}", bytes([number]) * 32, text)
        for number, text in enumerate(["{}", known, "not json", '{"action":5}'])
    ]
    asker = Principal(sub="ada", jti="j1", typ="user", iat=0, exp=1, roles=("admin",))
    without = review.at_activation(asker, [])
    assert len(review.at_activation(asker, rows)) == len(without) + 1
