"""Questions carry what a decision needs and no more."""

from collections.abc import Callable

from policy.decision import bounds, inputs
from policy.decision.model import DecisionInput
from policy.engine.modules import read_sources
from policy.engine.rego_engine import RegoEngine
from policy.identity.principal import Principal


def person(name: str, **changes: object) -> Principal:
    values: dict[str, object] = {
        "sub": name,
        "jti": f"{name}-1",
        "typ": "user",
        "iat": 1,
        "exp": 2,
        "roles": ("viewer",),
        "sites": ("north", "a"),
    }
    return Principal(**(values | changes))  # type: ignore[arg-type]


def test_two_people_with_equal_permissions_ask_the_same_question() -> None:
    ada, ben = person("ada"), person("ben", exp=9, sites=("a", "north"))
    builders: list[Callable[[Principal], DecisionInput]] = [
        lambda who: inputs.connect(who, to="dashboard"),
        lambda who: inputs.subscribe(who, "camera", "gate", site="north", tags=["b", "a"]),
        lambda who: inputs.subscribe(who, "fleet"),
        lambda who: inputs.on_channel("history", who, "site", "north"),
    ]
    for build in builders:
        assert bounds.canonical(build(ada)) == bounds.canonical(build(ben))
        assert b"ada" not in (bounds.canonical(build(ada)) or b"ada")


def test_own_notices_are_asked_about_without_a_name() -> None:
    ada = person("ada")
    assert inputs.subscribe(ada, "user", "ada").resource == {"kind": "user", "own": True}
    assert inputs.subscribe(ada, "user", "ben").resource == {"kind": "user", "own": False}


def test_what_is_different_makes_another_question() -> None:
    ada = person("ada")
    made = [
        inputs.subscribe(ada, "camera", "gate", site="north"),
        inputs.subscribe(ada, "camera", "gate", site="south"),
        inputs.subscribe(ada, "camera", "dock", site="north"),
        inputs.subscribe(ada, "camera", "gate", site="north", tags=["restricted"]),
        inputs.subscribe(ada, "camera", "gate", site="north", purpose="safety"),
        inputs.on_channel("history", ada, "camera", "gate", site="north"),
        inputs.subscribe(ada, "site", "north"),
        inputs.subscribe(ada, "fleet"),
        inputs.subscribe(person("ada", roles=("admin",)), "fleet"),
        inputs.subscribe(person("ada", cameras=()), "fleet"),
        inputs.subscribe(person("ada", scopes=("pii:read",)), "fleet"),
        inputs.subscribe(person("ada", typ="service"), "fleet"),
        inputs.connect(ada, to="dashboard"),
        inputs.connect(ada, to="edge"),
        inputs.on_system("cluster.read", ada, "cluster"),
    ]
    assert len({bounds.canonical(question) for question in made}) == len(made)


def test_what_the_builders_make_is_what_the_policy_reads() -> None:
    engine = RegoEngine(read_sources())
    ada = person("ada")
    device = person("dev-1", typ="edge", roles=(), sites=(), cameras=("gate",))
    admin = person("root", roles=("admin",), sites=("*",))
    expected = [
        (inputs.connect(ada, to="dashboard"), True),
        (inputs.connect(device, to="dashboard"), False),
        (inputs.connect(device, to="edge"), True),
        (inputs.connect(ada, to="edge"), True),
        (inputs.ingest(device, "gate", site="north"), True),
        (inputs.ingest(device, "dock", site="north"), False),
        (inputs.ingest(ada, "gate", site="north"), False),
        (inputs.register(device, "gate", site="default"), True),
        (inputs.subscribe(ada, "camera", "gate", site="north"), True),
        (inputs.subscribe(ada, "camera", "gate", site="south"), False),
        (inputs.subscribe(ada, "site", "north"), True),
        (inputs.subscribe(ada, "fleet"), False),
        (inputs.subscribe(admin, "fleet"), True),
        (inputs.on_system("cluster.operate", admin, "cluster"), True),
        (inputs.on_system("policy.change", admin, "policy"), False),
        (inputs.on_camera("registry.write", admin, "gate", site="north"), True),
    ]
    made = engine.decide([question for question, _ in expected])
    assert [decision.allow for decision in made] == [allow for _, allow in expected]


def test_roles_and_scopes_are_identifiers_and_different_ones_stay_different() -> None:
    words = [
        "viewer",
        "pii:read",
        'u","allow":true,"q":"',
        "Wache Süd",
        "Wache%20S%C3%BCd",
        "夜" * 128,
        "a+b",
        "a b",
        "~",
    ]
    seen = [inputs.word(text) for text in words]
    assert seen[:2] == words[:2]
    assert len(set(seen)) == len(words)
    for role in words:
        asked = inputs.connect(
            Principal("x", "t", "user", 0, 1, (role,), (), None, (role,)), to="dashboard"
        )
        assert bounds.canonical(asked) is not None
