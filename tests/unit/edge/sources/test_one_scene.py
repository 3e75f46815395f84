"""The same scene by every way in gives the same zone and line events."""

from collections import Counter

import pytest

from actors.core.camera.journal import Journal
from actors.core.camera.tracks import Picture
from actors.core.messages.observations import Observation
from actors.core.scene.compiled import SceneRules
from actors.core.times import to_us
from tests.support.sources.scene import ORIGINS, SCENE

Happened = tuple[str, str | None, str | None, str]


def events(said: list[Observation]) -> Counter[Happened]:
    """What the core makes of them: (type, place, track, direction)."""
    picture, journal = Picture(SceneRules(SCENE)), Journal("yard", "home", "e", 0, b"")
    found: Counter[Happened] = Counter()
    for seq, seen in enumerate(said, 1):
        moment = to_us(seen.time)
        journal.moment("s", seq, time_us=moment, stream_us=moment, received_us=moment)
        picture.frame(seen.objects or [], journal)
        for event, _, _ in journal.waiting:
            direction = str(event.data.get("direction", ""))
            found[event.type, event.zone or event.line, event.track, direction] += 1
        journal.waiting.clear()
    assert picture.tracks == {}
    return found


WANTED: Counter[Happened] = Counter(
    {
        ("track.started", None, "7", ""): 1,
        ("track.started", None, "8", ""): 1,
        ("zone.entered", "middle", "7", ""): 1,
        ("zone.entered", "middle", "8", ""): 1,
        ("zone.exited", "middle", "7", ""): 1,
        ("zone.exited", "middle", "8", ""): 1,
        ("line.crossed", "gate", "7", "out"): 1,
        ("line.crossed", "gate", "8", "in"): 1,
        ("track.ended", None, "7", ""): 1,
        ("track.ended", None, "8", ""): 1,
    }
)


@pytest.mark.parametrize("origin", ORIGINS)
def test_every_way_in_gives_the_same_events(origin: str) -> None:
    assert events(ORIGINS[origin]()) == WANTED
