"""How long personal values stay: the shortest rule that fits, pure."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.errors import ConfigError
from actors.core.settings import build
from privacy.keep_rules import KeepRules, grouped
from storage.ports.keyring import KeyScope

TODAY = date(2026, 12, 1)


def scope(class_: str, site: str = "north", camera: str = "gate") -> KeyScope:
    return KeyScope("20261101", site, camera, class_)


def test_the_shortest_that_fits_wins_however_wide_it_is() -> None:
    rules = KeepRules(["plates=30", "*@north=14", "names@north/gate=3", "text@*/yard=1", "names=9"])
    assert rules.days(scope("plates")) == 14
    assert rules.days(scope("plates", "south")) == 30
    assert rules.days(scope("names")) == 3
    assert rules.days(scope("names", "north", "yard")) == 9
    assert rules.days(scope("text", "south", "yard")) == 1
    assert rules.days(scope("faces", "south")) is None
    assert KeepRules(["*=1"]).days(scope("letters")) is None, "they go with their letters"


def test_a_day_goes_when_all_of_its_days_are_over() -> None:
    rules = KeepRules(["plates=2", "names=1"])
    keys = [f"2026{day}/north/gate/plates/1" for day in ("1201", "1130", "1129", "1128", "1127")]
    assert rules.over(keys, TODAY) == [keys[4], keys[3]]
    assert rules.over(keys, TODAY, late_days=1) == [keys[4]]
    assert rules.over(["20261130/north/gate/names/1"], TODAY) == []


def test_a_plan_says_what_stays_and_why() -> None:
    rules = KeepRules(["plates=1"])
    keys = [f"202611{day}/north/gate/plates/1" for day in (10, 20, 29)]
    (group,) = grouped(rules, keys, frozenset(keys[:1]), TODAY)
    assert (group.keys, group.held, group.late, group.oldest) == (3, 1, 1, "2026-11-10")


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=5),
    st.integers(0, 80),
    st.sampled_from(["plates", "names"]),
)
def test_more_rules_never_keep_anything_longer(days: list[int], age: int, class_: str) -> None:
    day = datetime.fromordinal(TODAY.toordinal() - age).replace(tzinfo=UTC)
    keys = [f"{day:%Y%m%d}/north/gate/{class_}/1"]
    gone = [KeepRules([f"{class_}={one}"]).over(keys, TODAY) for one in days]
    assert KeepRules([f"{class_}={one}" for one in days]).over(keys, TODAY) == max(gone)


@pytest.mark.parametrize(
    "wrong", ["plates", "plates=0", "plate=1", "plates@=1", "plates@No=1", "plates=1\n", "*@*/*=1"]
)
def test_a_rule_of_nonsense_is_refused_at_the_start(wrong: str) -> None:
    with pytest.raises(ConfigError, match="keep"):
        build({"personal": {"keep": [wrong]}})
