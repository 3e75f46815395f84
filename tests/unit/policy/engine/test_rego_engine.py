"""The embedded engine: the decisions as written, and its library's traps R1-R13, each by its
number.

What would take the process down is tried in a process of its own.
"""

import signal
import subprocess
import sys
import threading
from typing import Any

import pytest

from actors.core.errors import ConfigError
from policy.decision import bounds, inputs
from policy.decision.model import Decision, DecisionInput
from policy.engine.modules import read_sources, revision
from policy.engine.rego_engine import RegoEngine, evaluate
from policy.identity.principal import Principal
from tests.support.policy_cases import question, written

HEAD = (
    'package eyrie.authz\n\ndefault allow := false\n\nreason := "ok"\n\nredact := '
    "[]\n\nmax_hz := null\n\n"
)


@pytest.fixture(scope="module")
def engine() -> RegoEngine:
    return RegoEngine(read_sources())


def one(engine: RegoEngine, asked: DecisionInput) -> Decision:
    (made,) = engine.decide([asked])
    return made


def small(rules: str) -> RegoEngine:
    return RegoEngine({"authz.rego": HEAD + rules})


def ask(**subject: Any) -> DecisionInput:
    return DecisionInput("connect", subject, {"kind": "dashboard"})


@pytest.mark.parametrize("case", written("cases"), ids=lambda case: case["name"])
def test_the_cases_come_out_as_written(engine: RegoEngine, case: dict[str, Any]) -> None:
    made = one(engine, question(case["input"]))
    if made.reason == bounds.BAD_QUESTION:
        assert case["allow"] is False
        return
    assert (made.allow, made.reason) == (case["allow"], case["reason"])
    assert made.revision == engine.revision


@pytest.mark.parametrize("case", written("obligations"), ids=lambda case: case["name"])
def test_the_obligations_come_out_as_written(engine: RegoEngine, case: dict[str, Any]) -> None:
    made = one(engine, question(case["input"]))
    assert made.allow
    assert (list(made.redact), made.max_hz) == (case["redact"], case["max_hz"])


def test_many_are_answered_in_order(engine: RegoEngine) -> None:
    cases = written("cases")
    made = engine.decide([question(case["input"]) for case in cases])
    assert [decision.allow for decision in made] == [case["allow"] for case in cases]


def test_r1_103_quotes_in_a_value_forge_nothing() -> None:
    reflecting = small('who := input.subject.who\n\nallow if who == "admin"\n')
    for who in ('u","allow":true,"q":"', '"', "\\", "admin\\u0000", '",true,"'):
        made = one(reflecting, ask(who=who))
        assert (made.allow, made.reason) == (False, bounds.BAD_QUESTION)
    assert one(reflecting, ask(who="admin")).allow


def test_r1_an_answer_that_reflects_text_is_a_policy_error() -> None:
    reflecting = RegoEngine(
        {
            "authz.rego": HEAD.replace('reason := "ok"', "reason := input.subject.who")
            + "allow if true\n"
        }
    )
    assert one(reflecting, ask(who="Admin.Of.Them")) == bounds.denied(
        bounds.POLICY_ERROR, reflecting.revision
    )


def test_r2_104_nul_cuts_nothing() -> None:
    engine = small('allow if input.subject.who == "admin"\n')
    for who in ("admin\x00evil", "admin\x00", "admin\n", "admin\u2028", "ädmin", "\ud800"):
        assert one(engine, ask(who=who)) == bounds.denied(bounds.BAD_QUESTION, engine.revision)
    assert not one(engine, DecisionInput("connect", {"who\x00": "admin"}, {})).allow


def test_r3_a_plain_deny_is_told_from_an_undefined_policy() -> None:
    assert one(small("allow if input.subject.never\n"), ask()).reason == "ok"
    undefined = small("")
    undefined_reason = RegoEngine(
        {"authz.rego": HEAD.replace('reason := "ok"', 'reason := "ok" if input.subject.never')}
    )
    assert one(undefined, ask()).allow is False
    assert one(undefined_reason, ask()).reason == bounds.POLICY_ERROR


def test_r4_a_refused_input_never_answers_for_the_caller_before() -> None:
    engine = small('allow if input.subject.who == "admin"\n')
    bad: list[DecisionInput] = [
        ask(who="a\x00"),
        ask(who=2**63),
        ask(who=object()),
        ask(who=1.5),
        DecisionInput("x", {"a": {1: 2}}, {}),
    ]
    for asked in bad:
        first, second = engine.decide([ask(who="admin"), asked])
        assert first.allow
        assert second == bounds.denied(bounds.BAD_QUESTION, engine.revision)


def test_r5_threads_are_served_one_after_the_other(engine: RegoEngine) -> None:
    asked = [question(case["input"]) for case in written("cases")[:8]]
    expected = engine.decide(asked)
    made: list[list[Decision]] = []
    threads = [
        threading.Thread(target=lambda: made.extend(engine.decide(asked) for _ in range(10)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert made == [expected] * 40


@pytest.mark.parametrize(
    "name",
    [
        "regex.match",
        "regex.split",
        "http.send",
        "net.lookup_ip_addr",
        "opa.runtime",
        "rego.parse_module",
        "io.jwt.decode",
        "replace",
        "time.now_ns",
    ],
)
def test_r6_r12_r13_115_functions_off_the_list_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="not allowed"):
        small(f'allow if {name}("a", input.subject.who)\n')


@pytest.mark.parametrize(
    "value",
    [
        "x" * 1537,
        "x" * 50_000,
        [0] * 1025,
        {f"k{n}": n for n in range(1025)},
        2**53 + 1,
        -(2**63),
        10**4000,
        float("nan"),
        0.5,
        b"bytes",
    ],
)
def test_r6_r9_105_long_and_big_values_are_not_asked(engine: RegoEngine, value: object) -> None:
    assert one(engine, ask(value=value)).reason == bounds.BAD_QUESTION


def test_r7_107_deep_values_are_not_asked(engine: RegoEngine) -> None:
    deep: Any = []
    for _ in range(50_000):
        deep = [deep]
    assert one(engine, ask(value=deep)).reason == bounds.BAD_QUESTION


def test_r7_deep_policies_are_refused() -> None:
    with pytest.raises(ConfigError, match="nested"):
        small("deep := " + "[" * 2000 + "]" * 2000 + "\n")


def test_r8_106_a_key_has_one_meaning() -> None:
    # Questions are mappings encoded by us: no text of a client, with a key twice, ever reaches the
    # engine.
    text = bounds.canonical(DecisionInput("connect", {"who": "a", "b": 1}, {}))
    assert text == b'{"action":"connect","subject":{"b":1,"who":"a"},"resource":{},"context":{}}'


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ("allow if f(1)\n\nf(x) if f(x)\n", "uses itself"),
        ("allow if a\n\na if b\n\nb if a\n", "uses itself"),
        ("allow { true }\n", "needs `if`"),
        ("allow = true { input.subject.who }\n", "needs `if`"),
        ("default allow := true\n", "second default"),
        ('allow if input.subject.who == "a" with input as {}\n', "tests only"),
        ("allow if data.system.main\n", "only data.eyrie"),
        ("import data.other\n\nallow if other.x\n", "only rego.v1"),
    ],
)
def test_r10_110_to_118_what_the_engine_would_load_wrongly_is_refused(
    rules: str, says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        small(rules)


@pytest.mark.parametrize(
    "rules",
    [
        'allow if x == "a"\n',
        "allow if {\n",
        "allow if }\n",
        "allow if input.\n",
        'allow := "a" if\n',
    ],
)
def test_r10_111_what_does_not_compile_denies_or_is_refused(rules: str) -> None:
    try:
        engine = small(rules)
    except ConfigError:
        return
    assert not one(engine, ask()).allow


def test_r10_113_conflicting_rules_deny() -> None:
    engine = RegoEngine(
        {
            "authz.rego": HEAD.replace(
                'reason := "ok"', 'reason := "a" if input.action\n\nreason := "b" if input.action'
            )
            + "allow if true\n"
        }
    )
    assert one(engine, ask()) == bounds.denied(bounds.POLICY_ERROR, engine.revision)
    both = RegoEngine(
        {"authz.rego": HEAD + "allow := true if input.action\n\nallow := false if input.action\n"}
    )
    assert one(both, ask()) == bounds.denied(bounds.POLICY_ERROR, both.revision)


def test_r11_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError):
        small("allow if }\n")
    engine = RegoEngine(
        {"authz.rego": HEAD + "allow := true if input.action\n\nallow := false if input.action\n"}
    )
    one(engine, ask(secret_of_a_person="anna"))
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")


@pytest.mark.parametrize(
    "value", ['"true"', "1", "[]", "[true]", "{true}", "{}", "null", '"allow"']
)
def test_119_only_true_allows(value: str) -> None:
    engine = small(f"allow := {value} if input.action\n")
    assert one(engine, ask()) == bounds.denied(bounds.POLICY_ERROR, engine.revision)


@pytest.mark.parametrize(
    "rule",
    [
        'redact := "plates"',
        "redact := [1]",
        "redact := 7",
        'redact := ["Plates Of Anna"]',
        'max_hz := "1"',
        "max_hz := 0",
        "max_hz := -1",
        "max_hz := true",
    ],
)
def test_an_obligation_that_cannot_be_read_denies(rule: str) -> None:
    name = rule.split(" ")[0]
    sources = (
        "\n\n".join(rule if line.startswith(name) else line for line in HEAD.split("\n\n"))
        + "allow if true\n"
    )
    engine = RegoEngine({"authz.rego": sources})
    assert one(engine, ask()).reason == bounds.POLICY_ERROR


def test_117_another_file_changes_the_revision_and_cannot_loosen_the_default() -> None:
    sources = read_sources()
    assert revision(sources) == RegoEngine(sources).revision
    more = {**sources, "more.rego": "package eyrie.authz\n\nextra := 1\n"}
    assert RegoEngine(more).revision != revision(sources)
    with pytest.raises(ConfigError, match="second default"):
        RegoEngine({**sources, "more.rego": "package eyrie.authz\n\ndefault allow := true\n"})


def test_118_a_policy_without_its_entrypoints_is_refused() -> None:
    for text in (
        "package eyrie.authz\n\nallow if true\n",
        "package other\n\ndefault allow := false\n",
        "",
        "package eyrie.authz\n\ndefault allow := false\n",
    ):
        with pytest.raises(ConfigError):
            RegoEngine({"authz.rego": text})


def test_evaluate_says_when_there_is_nothing() -> None:
    with pytest.raises(ConfigError):
        evaluate({"a.rego": "package a\n\nb := 1 if false\n"}, "a/b")


# What regopy 1.5.2 does; when one of these begins to fail, the rule it stands for may be loosened.
# Code and the exit status it ends with.
TRAPS: dict[str, tuple[str, int]] = {
    "r1 a reflected quote forges the parsed answer": (
        'i.add_module("a", """package a\n\ndefault allow := false\n\nanswer := {"allow": allow, '
        '"who": input.who}\n""")\n'
        'b = i.build(None, ["a/answer"])\n'
        """i.set_input({"who": 'u","allow":true,"q":"'})\n"""
        'assert i.query_bundle_entrypoint(b, "a/answer").results[0].expressions[0]["allow"] is '
        "True\n",
        0,
    ),
    "r2 nul cuts a string": (
        'i.add_module("a", """package a\n\nallow if input.w == "admin"\n""")\n'
        'b = i.build(None, ["a/allow"])\n'
        'i.set_input({"w": "admin\\x00evil"})\n'
        'assert i.query_bundle_entrypoint(b, "a/allow").results[0].expressions == [True]\n',
        0,
    ),
    "r3 a plain query gives undefined for false": (
        'i.add_module("a", "package a\\n\\ndefault allow := false\\n")\nassert '
        'str(i.query("data.a.allow")) == "undefined"\n',
        0,
    ),
    "r10 v0 syntax is accepted": ('i.add_module("a", "package a\\n\\nallow { true }\\n")\n', 0),
    "`with` over a rule that uses a rule ends the process": (
        'i.add_module("a", "package a\\n\\nallow if f(input.x)\\n\\nf(x) if x == 1\\n")\n'
        'i.add_module("t", "package t\\n\\nx if {\\n\\tdata.a.allow with input as {}\\n}\\n")\n'
        'i.build(None, ["t/x"])\n',
        -signal.SIGABRT,
    ),
}


@pytest.mark.parametrize("name", TRAPS)
def test_the_library_still_is_what_the_rules_were_made_for(name: str) -> None:
    code, status = TRAPS[name]
    code = (
        "from regopy import Interpreter, LogLevel\ni = Interpreter()\ni.log_level = LogLevel.NONE\n"
        + code
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=30, check=False
    )
    assert done.returncode == status, done.stderr[-300:]


LOOP = (
    "digits := ["
    + ", ".join(map(str, range(60)))
    + "]\n\n"
    + (
        'allow if count([1 | input.action == "subscribe"; some a in digits; some b in digits; '
        "some c in digits; a + b + c > 1]) > 0\n\n"
        'allow if input.action == "connect"\n'
    )
)


def test_an_evaluation_that_takes_too_many_steps_is_given_up_and_denied_and_others_are_answered() -> (  # noqa: E501
    None
):
    engine = small(LOOP)
    slow, quick = DecisionInput("subscribe", {}, {}), DecisionInput("connect", {}, {})
    assert engine.decide([quick, slow, quick]) == [
        one(engine, quick),
        bounds.denied(bounds.POLICY_OVERRUN, engine.revision),
        one(engine, quick),
    ]
    assert one(engine, quick).allow
    assert (
        bounds.POLICY_OVERRUN not in bounds.UNCACHED
    )  # or each one who asks would spend those steps again


def test_the_packaged_policy_is_far_from_the_bound_of_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many = Principal(
        "a",
        "t",
        "user",
        1,
        2,
        (*(f"role{n}" for n in range(15)), "viewer"),
        tuple(f"s{n}" for n in range(256)),
        tuple(f"c{n}" for n in range(512)),
        tuple(f"x{n}" for n in range(32)),
    )
    asked = inputs.subscribe(many, "camera", "c511", site="s255", tags=[f"t{n}" for n in range(64)])
    monkeypatch.setattr(bounds, "MAX_STEPS", bounds.MAX_STEPS // 50)
    assert one(RegoEngine(read_sources()), asked).allow
