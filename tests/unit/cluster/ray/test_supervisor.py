"""Which process is ended for a supervisor that stands still; one that Ray has started again opens
itself for whoever asks for its turn."""

from pathlib import Path

import pytest

from actors.core.errors import ConfigError
from actors.supervision import Turn
from cluster.ray.supervisor import REPLACE_S, RaySupervisor, stands_still

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


async def test_whoever_asks_for_its_turn_opens_it_and_hears_why_that_cannot_be(
    tmp_path: Path,
) -> None:
    """As Ray leaves it after a restart: constructed, and nothing else."""
    nowhere = tmp_path / "settings.json"
    with pytest.raises(ConfigError, match=nowhere.name):
        await RaySupervisor(str(nowhere)).turn()
