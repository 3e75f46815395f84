"""The metrics of a process of camera actors are figures that it tells of itself."""

from typing import Any

from actors.core.messages.object_faults import LEFT_OUT, MENDED
from actors.metrics import ABOUT, collect


class Told:
    """What `describe` gives."""

    def describe(self) -> dict[str, Any]:
        """Two cameras, one commit under way."""
        counts = {
            "commits": 4,
            "rows": 8,
            "observations": 80,
            "events": 2,
            "not_moved": 1,
            "unknown": 0,
            "renewals": 0,
            "new_one": 5,
        }
        faults = {"clipped": 7}
        return {
            "cameras": 2,
            "waiting": 3,
            "loop_age_s": 0.25,
            "commit_age_s": 0.5,
            "counts": counts,
            "object_faults": faults,
        }


def test_figures_become_metrics_and_one_that_nobody_explained_does_not() -> None:
    found = {family.samples[0].name: family.samples[0].value for family in collect(Told())}
    assert found["eyrie_actor_cameras"] == 2
    assert found["eyrie_actor_loop_age_seconds"] == 0.25
    assert found["eyrie_actor_observations_total"] == 80
    assert found["eyrie_actor_not_moved_total"] == 1
    assert len(found) == len(ABOUT) + 1


def test_objects_that_were_wrong_are_counted_by_reason_of_which_there_are_few() -> None:
    (family,) = [family for family in collect(Told()) if family.name == "eyrie_actor_object_faults"]
    found = {sample.labels["reason"]: sample.value for sample in family.samples}
    assert found.keys() == LEFT_OUT | MENDED
    assert {reason: count for reason, count in found.items() if count} == {"clipped": 7}
