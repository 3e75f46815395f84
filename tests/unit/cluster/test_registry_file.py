"""The registry file: what it may say, what it changes, and that twice is once."""

import pytest

from actors.core.errors import BadInput, Conflict, StaleTag
from actors.core.messages.registry import CameraFields, SiteFields
from actors.core.scene.alert_rules import (
    AlertHours,
    AlertRule,
    Condition,
    HoursWindow,
    Occupancy,
)
from actors.core.scene.scene import Line, Place, Scene, Zone
from cluster.registry_file import (
    AddCamera,
    AddSite,
    FileCamera,
    FileSite,
    KnownCamera,
    KnownSite,
    RegisteredState,
    differences,
    parse,
    plan,
    to_toml,
)
from cluster.registry_target import StoreTarget, carry_out, compare
from tests.support.doubles.stores import memory_stores

FILE = b"""
[sites.north]
name = "North"
place = { lat = 52.5, lon = 13.4 }

[cameras.gate-1]
site = "north"
name = "Gate \\"one\\""
tags = ["outdoor"]

[cameras.gate-1.scene]
min_hits = 2

[cameras.gate-1.scene.zones.door]
points = [[0.1, 0.1], [0.4, 0.1], [0.4, 0.9]]

[sites.south]

[cameras.hall]
site = "south"
"""


def test_everything_is_new_against_an_empty_registry() -> None:
    steps = plan(parse(FILE), RegisteredState({}, {}))
    assert [step.what for step in steps] == [
        "site north",
        "site south",
        "camera gate-1",
        "camera hall",
    ]
    assert isinstance(steps[0].action, AddSite)
    gate = steps[2].action
    assert isinstance(gate, AddCamera)
    assert (gate.new.site, gate.new.tags, gate.new.scene.min_hits, list(gate.new.scene.zones)) == (
        "north",
        ["outdoor"],
        2,
        ["door"],
    )
    assert steps[2].lines == ["+ new in site north", "~ min_hits: 3 -> 2", "+ zones.door"]


async def test_applied_twice_is_applied_once() -> None:
    target = StoreTarget(memory_stores().registry)
    file = parse(FILE)
    await carry_out(await compare(file, target), target)
    assert await compare(file, target) == []
    changed = parse(
        FILE.replace(b"min_hits = 2", b"min_hits = 4")
        .replace(b"[0.4, 0.9]", b"[0.4, 0.8]")
        .replace(b'"outdoor"', b'"indoor"')
    )
    steps = await compare(changed, target)
    assert [(step.what, step.lines) for step in steps] == [
        ("camera gate-1", ['~ tags: ["outdoor"] -> ["indoor"]']),
        ("camera gate-1: scene", ["~ min_hits: 2 -> 4", "~ zones.door"]),
    ]
    await carry_out(steps, target)
    assert await compare(changed, target) == []


async def test_what_the_file_leaves_out_stays() -> None:
    target = StoreTarget(memory_stores().registry)
    await carry_out(await compare(parse(FILE), target), target)
    assert await compare(parse(b'[cameras.gate-1]\nsite = "north"\n'), target) == []
    (step,) = await compare(parse(b'[cameras.gate-1]\nsite = "north"\nname = "Other"\n'), target)
    await carry_out([step], target)
    known = await target.camera("gate-1")
    assert known is not None
    assert (known.fields.name, known.fields.tags, list(known.scene.zones)) == (
        "Other",
        ["outdoor"],
        ["door"],
    )


async def test_a_file_brings_a_deleted_camera_back_where_it_was_with_its_tags_and_nowhere_else() -> (  # noqa: E501
    None
):
    registry = memory_stores().registry
    target = StoreTarget(registry)
    await registry.register("gate-1", "north", tags=["restricted"])
    await registry.remove_camera("gate-1")
    steps = await compare(parse(b'[sites.south]\n[cameras.gate-1]\nsite = "south"\n'), target)
    with pytest.raises(Conflict, match="gate-1 is taken") as refused:
        await carry_out(steps, target)
    assert "another id" in refused.value.next_step
    here = parse(b'[cameras.gate-1]\nsite = "north"\n')
    await carry_out(await compare(here, target), target)
    assert await compare(here, target) == []
    known = await target.camera("gate-1")
    assert known is not None
    assert known.fields.tags == ["restricted"]


async def test_a_change_in_between_is_not_overwritten() -> None:
    registry = memory_stores().registry
    target = StoreTarget(registry)
    await carry_out(await compare(parse(FILE), target), target)
    steps = await compare(parse(FILE.replace(b"min_hits = 2", b"min_hits = 4")), target)
    await registry.set_scene("gate-1", b"{}")
    with pytest.raises(StaleTag, match="somebody else"):
        await carry_out(steps, target)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (b"[", "no TOML"),
        (b"\xff", "no TOML"),
        (b'[cameras.Gate]\nsite = "n"', "regex"),
        (b"[cameras.gate]\nname = 'x'", "site"),
        (b'[cameras.gate]\nsite = "n"\ncolour = "red"', "colour"),
        (b'[cameras.gate]\nsite = "n"\nscene.lost_after_s = nan', "lost_after_s"),
        (
            b'[cameras.g]\nsite = "n"\nscene.zones.z.points = '
            b"[[0.1,0.1],[0.9,0.9],[0.9,0.1],[0.1,0.9]]",
            "camera g: .*crosses",
        ),
        (b"#" * (17 * 1024 * 1024), "at most"),
    ],
)
def test_a_wrong_file_says_where(text: bytes, word: str) -> None:
    with pytest.raises(BadInput, match=word):
        parse(text)


def test_a_slip_of_the_keys_makes_no_site() -> None:
    """A camera's site is registered, or declared by the file; what it may have meant is told."""
    known = RegisteredState({"north": KnownSite(SiteFields(), "1")}, {})
    assert [step.what for step in plan(parse(b'[cameras.gate]\nsite = "north"\n'), known)] == [
        "camera gate"
    ]
    with pytest.raises(BadInput, match="nroth, which is not registered") as refused:
        plan(parse(b'[cameras.gate]\nsite = "nroth"\n'), known)
    assert "Is it north?" in refused.value.next_step
    assert "[sites.nroth]" in refused.value.next_step
    declared = plan(parse(b'[sites.nroth]\n[cameras.gate]\nsite = "nroth"\n'), known)
    assert [step.what for step in declared] == ["site nroth", "camera gate"]


def test_a_camera_does_not_move() -> None:
    known = KnownCamera("west", CameraFields(), Scene(), "1", "1")
    with pytest.raises(BadInput, match="registered in site west"):
        plan(parse(b'[cameras.gate]\nsite = "north"\n'), RegisteredState({}, {"gate": known}))


def test_differences_are_told_two_levels_deep() -> None:
    assert differences(
        {"a": 1, "zones": {"x": {}, "y": {"p": 1}}},
        {"a": 2, "b": 3, "zones": {"y": {"p": 2}, "z": {}}},
    ) == [
        "~ a: 1 -> 2",
        "+ b: 3",
        "- zones.x",
        "~ zones.y",
        "+ zones.z",
    ]


def test_what_is_shown_as_toml_is_read_back_the_same() -> None:
    scene = Scene(
        zones={"door": Zone([(0.1, 0.1), (0.5, 0.1), (0.5, 0.9)], labels=['per"son', "käse"])},
        lines={"l": Line([(0, 0), (1, 1)])},
        severities={"zone.entered/door": "critical"},
        alerts={
            "crowd": AlertRule(
                [Condition(occupancy=[Occupancy("door", over=4, labels=["person"])])],
                during=AlertHours("Europe/Berlin", [HoursWindow("22:00", "06:00", ["sat"])]),
            ),
            "forced": AlertRule([Condition(events=["alarm.*"])], clear_after_s="never"),
        },
        place=Place(name="Tor \\ 1", lat=1e-7),
    )
    camera = KnownCamera("north", CameraFields(name='Gate "one"', tags=["a", "b"]), scene, "1", "1")
    again = parse(
        to_toml({"north": SiteFields(name="N", place=Place(lat=1.0))}, {"gate-1": camera}).encode()
    )
    assert again.cameras == {"gate-1": FileCamera("north", 'Gate "one"', ["a", "b"], scene)}
    assert again.sites == {"north": FileSite("N", Place(lat=1.0))}
