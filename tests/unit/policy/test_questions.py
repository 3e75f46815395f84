"""Questions carry what a decision needs and no more."""

from collections.abc import Callable

from policy import guard, questions
from policy.ports import Principal, Question
from policy.rego_engine import RegoEngine
from policy.sources import read_sources


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
    builders: list[Callable[[Principal], Question]] = [
        lambda who: questions.connect(who, to="dashboard"),
        lambda who: questions.subscribe(who, "camera", "gate", site="north", tags=["b", "a"]),
        lambda who: questions.subscribe(who, "fleet"),
        lambda who: questions.on_channel("history", who, "site", "north"),
    ]
    for build in builders:
        assert guard.canonical(build(ada)) == guard.canonical(build(ben))
        assert b"ada" not in (guard.canonical(build(ada)) or b"ada")


def test_own_notices_are_asked_about_without_a_name() -> None:
    ada = person("ada")
    assert questions.subscribe(ada, "user", "ada").resource == {"kind": "user", "own": True}
    assert questions.subscribe(ada, "user", "ben").resource == {"kind": "user", "own": False}


def test_what_is_different_makes_another_question() -> None:
    ada = person("ada")
    made = [
        questions.subscribe(ada, "camera", "gate", site="north"),
        questions.subscribe(ada, "camera", "gate", site="south"),
        questions.subscribe(ada, "camera", "dock", site="north"),
        questions.subscribe(ada, "camera", "gate", site="north", tags=["restricted"]),
        questions.subscribe(ada, "camera", "gate", site="north", purpose="safety"),
        questions.on_channel("history", ada, "camera", "gate", site="north"),
        questions.subscribe(ada, "site", "north"),
        questions.subscribe(ada, "fleet"),
        questions.subscribe(person("ada", roles=("admin",)), "fleet"),
        questions.subscribe(person("ada", cameras=()), "fleet"),
        questions.subscribe(person("ada", scopes=("pii:read",)), "fleet"),
        questions.subscribe(person("ada", typ="service"), "fleet"),
        questions.connect(ada, to="dashboard"),
        questions.connect(ada, to="edge"),
        questions.on_system("cluster.read", ada, "cluster"),
    ]
    assert len({guard.canonical(question) for question in made}) == len(made)


def test_what_the_builders_make_is_what_the_policy_reads() -> None:
    engine = RegoEngine(read_sources())
    ada = person("ada")
    device = person("dev-1", typ="edge", roles=(), sites=(), cameras=("gate",))
    admin = person("root", roles=("admin",), sites=("*",))
    expected = [
        (questions.connect(ada, to="dashboard"), True),
        (questions.connect(device, to="dashboard"), False),
        (questions.connect(device, to="edge"), True),
        (questions.connect(ada, to="edge"), True),
        (questions.ingest(device, "gate", site="north"), True),
        (questions.ingest(device, "dock", site="north"), False),
        (questions.ingest(ada, "gate", site="north"), False),
        (questions.register(device, "gate", site="default"), True),
        (questions.subscribe(ada, "camera", "gate", site="north"), True),
        (questions.subscribe(ada, "camera", "gate", site="south"), False),
        (questions.subscribe(ada, "site", "north"), True),
        (questions.subscribe(ada, "fleet"), False),
        (questions.subscribe(admin, "fleet"), True),
        (questions.on_system("cluster.operate", admin, "cluster"), True),
        (questions.on_system("policy.change", admin, "policy"), False),
        (questions.on_camera("registry.write", admin, "gate", site="north"), True),
    ]
    made = engine.decide([question for question, _ in expected])
    assert [decision.allow for decision in made] == [allow for _, allow in expected]


def test_roles_and_scopes_are_identifiers_and_different_ones_stay_different() -> None:
    words = ["viewer", "pii:read", 'u","allow":true,"q":"', "Wache Süd", "Wache%20S%C3%BCd", "夜" * 128, "a+b", "a b", "~"]
    seen = [questions.word(text) for text in words]
    assert seen[:2] == words[:2]
    assert len(set(seen)) == len(words)
    for role in words:
        asked = questions.connect(Principal("x", "t", "user", 0, 1, (role,), (), None, (role,)), to="dashboard")
        assert guard.canonical(asked) is not None
