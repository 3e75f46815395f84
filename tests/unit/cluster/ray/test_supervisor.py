"""Which process is ended for a supervisor that stands still."""

import pytest

from actors.supervision import Turn
from cluster.ray.supervisor import REPLACE_S, stands_still

TURN = Turn(20.0, "node-1", 77, 1_000)


def test_the_process_that_answered_last_is_ended_once_it_was_silent_for_long() -> None:
    assert stands_still(TURN, REPLACE_S, node="node-1", started=1_000)


@pytest.mark.parametrize(
    ("silent_s", "node", "started"),
    [
        (REPLACE_S - 0.1, "node-1", 1_000),
        (REPLACE_S, "node-2", 1_000),
        (REPLACE_S, "node-1", 2_000),
        (REPLACE_S, "node-1", None),
    ],
    ids=["not long", "of another node", "its pid was given out again", "gone already"],
)
def test_nobody_else_is(silent_s: float, node: str, started: int | None) -> None:
    assert not stands_still(TURN, silent_s, node=node, started=started)
