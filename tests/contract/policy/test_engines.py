"""One suite for every engine: the embedded one, and a real OPA where there is one. They must
agree."""

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from actors.core.settings import OpaSettings
from policy.decision import bounds
from policy.decision.model import DecisionInput, Engine
from policy.engine.modules import PACKAGED, read_sources, revision
from policy.engine.opa_engine import OpaEngine
from policy.engine.rego_engine import RegoEngine
from tests.support.policy_cases import grid, question, written
from tests.support.servers.opa_server import MISSING, opa_binary, opa_server

BATCH = 100  # questions: an engine answers a batch within seconds or not at all


@pytest.fixture(scope="module", params=["regopy", pytest.param("opa", marks=pytest.mark.opa)])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    sources = read_sources()
    if request.param == "regopy":
        yield RegoEngine(sources)
        return
    binary = opa_binary()
    if binary is None:
        pytest.skip(MISSING)
    with opa_server(binary) as url:
        made = OpaEngine(OpaSettings(url=url, timeout_s=5.0), revision(sources))
        yield made
        made.close()


def test_the_cases(engine: Engine) -> None:
    cases = written("cases")
    made = [
        engine.decide([question(case["input"])])[0] for case in cases
    ]  # a batch has one deadline, whatever else the machine does
    wrong = [
        case["name"]
        for case, decision in zip(cases, made, strict=True)
        if (decision.allow, decision.reason) != (case["allow"], case["reason"])
    ]
    assert wrong == []
    assert (
        {decision.revision for decision in made} == {engine.revision} == {revision(read_sources())}
    )


def test_the_obligations(engine: Engine) -> None:
    cases = written("obligations")
    made = engine.decide([question(case["input"]) for case in cases])
    assert [(d.allow, list(d.redact), d.max_hz) for d in made] == [
        (True, case["redact"], case["max_hz"]) for case in cases
    ]


@pytest.mark.parametrize(
    "subject",
    [
        {"who": "a\x00"},
        {"who": "x" * 1537},
        {"n": 2**63},
        {"n": 1.5},
        {"who": '"'},
        {"deep": [[[[[[[[[[]]]]]]]]]]},
    ],
)
def test_questions_out_of_bounds_are_denied(engine: Engine, subject: dict[str, Any]) -> None:
    assert engine.decide([DecisionInput("connect", subject, {})]) == [
        bounds.denied(bounds.BAD_QUESTION, engine.revision)
    ]


def test_nothing_asked_is_nothing_answered(engine: Engine) -> None:
    assert engine.decide([]) == []


@pytest.mark.opa
def test_both_engines_agree_on_the_whole_grid() -> None:
    binary = opa_binary()
    if binary is None:
        pytest.skip(MISSING)
    sources, asked = read_sources(), grid()
    engine = RegoEngine(sources)
    embedded = [
        decision
        for at in range(0, len(asked), BATCH)
        for decision in engine.decide(asked[at : at + BATCH])
    ]
    with opa_server(binary) as url:
        served = OpaEngine(OpaSettings(url=url, timeout_s=5.0), revision(sources))
        answers = served.decide(asked)
        served.close()
    assert len(asked) > 1500
    assert [pair for pair in zip(asked, embedded, answers, strict=True) if pair[1] != pair[2]] == []
    assert 0.02 < sum(decision.allow for decision in embedded) / len(embedded) < 0.5


@pytest.mark.opa
def test_opa_itself_checks_and_tests_the_policy() -> None:
    binary = opa_binary()
    if binary is None:
        pytest.skip(MISSING)
    for command in (["check", "--strict"], ["test"], ["fmt", "--fail", "--list"]):
        done = subprocess.run(
            [binary, *command, str(PACKAGED)], capture_output=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


DAY = 86_400
BY_DAY = question(
    {
        "action": "subscribe",
        "subject": {
            "typ": "user",
            "roles": ["viewer"],
            "sites": ["north"],
            "cameras": None,
            "scopes": [],
        },
        "resource": {"kind": "camera", "site": "north", "camera": "gate", "tags": ["hours:day"]},
    }
)


@pytest.mark.parametrize(
    ("second", "allow", "until"),
    [
        (0, False, 21_600),
        (21_599, False, 21_600),
        (21_600, True, 72_000),
        (71_999, True, 72_000),
        (72_000, False, DAY + 21_600),
    ],
)
def test_a_time_window_and_how_long_the_decision_holds(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, second: int, allow: bool, until: int
) -> None:
    monkeypatch.setattr(engine, "_now", lambda: 20_000 * DAY + second + 0.9)
    (made,) = engine.decide([BY_DAY])
    assert (made.allow, made.valid_until) == (allow, 20_000 * DAY + until)
    (other,) = engine.decide(
        [
            question(
                {"action": "connect", "subject": BY_DAY.subject, "resource": {"kind": "dashboard"}}
            )
        ]
    )
    assert (other.allow, other.valid_until) == (True, None)
