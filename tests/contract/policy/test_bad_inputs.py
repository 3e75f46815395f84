"""Bad policies and bad inputs, 103 to 119 of the list, each by its number and on both engines:
refused when it is loaded, or denied.

What a policy is loaded by is the linter, then the engine. 107, 108, 109 and 115 would kill or stall
an engine, so they must end at the linter or at the guard. 120 is in
`tests/unit/policy/engine/test_modules.py`, `tests/integration/policy/test_revisions.py` and
`tests/integration/security/test_bundles.py`, 121 in `tests/unit/policy/engine/test_opa_engine.py`.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from actors.core.errors import ConfigError
from actors.core.settings import OpaSettings
from policy.decision import bounds
from policy.decision.model import Decision, DecisionInput, Engine
from policy.engine.lint import lint
from policy.engine.modules import read_sources, revision
from policy.engine.opa_engine import OpaEngine
from policy.engine.rego_engine import RegoEngine
from tests.support.servers.opa_server import MISSING, opa_binary, opa_server

HEAD = (
    'package eyrie.authz\n\ndefault allow := false\n\nreason := "ok"\n\nredact := '
    "[]\n\nmax_hz := null\n\n"
)
ADMIN = 'allow if input.subject.who == "admin"\n'

Load = Callable[[dict[str, str]], Engine]


@pytest.fixture(scope="module", params=["regopy", pytest.param("opa", marks=pytest.mark.opa)])
def load(request: pytest.FixtureRequest) -> Iterator[Load]:
    """Brings a policy to an engine as the product does. Raises ConfigError for one that is
    refused."""
    if request.param == "regopy":
        yield RegoEngine
        return
    binary = opa_binary()
    if binary is None:
        pytest.skip(MISSING)
    made: list[OpaEngine] = []

    def push(sources: dict[str, str]) -> Engine:
        if findings := lint(sources):
            raise ConfigError("; ".join(map(str, findings)))
        engine = OpaEngine(OpaSettings(url=url, timeout_s=5.0), revision(sources))
        made.append(engine)
        engine.push(sources)
        return engine

    with opa_server(binary, None) as url:
        yield push
        for engine in made:
            engine.close()


def asked(who: Any = "admin", **more: Any) -> DecisionInput:
    return DecisionInput("connect", {"who": who, **more}, {"kind": "dashboard"})


def one(engine: Engine, question: DecisionInput) -> Decision:
    (made,) = engine.decide([question])
    return made


def deep(levels: int) -> Any:
    value: Any = "admin"
    for _ in range(levels):
        value = [value]
    return value


# Inputs to a policy that lets `admin` in and nobody else.
INPUTS: dict[str, DecisionInput] = {
    "103 a quote that would forge an answer": asked('u","allow":true,"q":"'),
    "103 a quote that would end the term": asked('admin" } # '),
    "104 NUL behind the name": asked("admin\x00evil"),
    "104 NUL in a key": DecisionInput("connect", {"who\x00": "admin"}, {}),
    "105 2^63": asked("admin", n=2**63),
    "105 -2^63 - 1": asked("admin", n=-(2**63) - 1),
    "105 10^4000": asked("admin", n=10**4000),
    "106 a key that is there twice after escapes": DecisionInput(
        "connect", {"who": "nobody", "\u0077ho ": "admin"}, {}
    ),
    "107 50,000 deep": asked(deep(50_000)),
    "107 nine deep": asked(deep(9)),
    "108 a text of 50,000": asked("a" * 50_000),
    "a list instead of the name": asked(["admin"]),
    "an object instead of the name": asked({"admin": "admin"}),
    "a number that looks like none": asked(float("nan")),
}


@pytest.mark.parametrize("question", INPUTS.values(), ids=INPUTS)
def test_103_to_108_a_bad_input_is_denied(load: Load, question: DecisionInput) -> None:
    engine = load({"authz.rego": HEAD + ADMIN})
    before, made, after = engine.decide([asked(), question, asked()])
    assert (before.allow, made.allow, after.allow) == (True, False, True)


# Rules that must not be loaded.
REFUSED: dict[str, str] = {
    "108 a regular expression that never ends": 'allow if regex.match("^(a|a)*$", '
    "input.subject.who)\n",
    "109 a text that is replaced for ever": 'allow if replace(input.subject.who, "a", "aa") == '
    '"b"\n',
    "110 a rule that uses itself": "allow if a\n\na if b\n\nb if a\n",
    "110 a function that calls itself": "allow if f(1)\n\nf(x) if f(x)\n",
    "112 a second default": "default allow := true\n",
    "114 a body of v0": "allow { true }\n",
    "114 a set of v0": "redacted[x] { x := 1 }\n",
    "115 a request to somewhere": 'allow if http.send({"method": "get", "url": '
    '"http://127.0.0.1"}).status_code == 200\n',
    "115 a look into the engine": "allow if opa.runtime().env\n",
    "116 another package's data": "allow if data.system.main\n",
    "116 another package by a path": 'allow if data["../system"].x\n',
    "116 everything there is": "allow if count(data) > 0\n",
    "`with` outside of a test": "allow if a with input as {}\n\na if input\n",
}


@pytest.mark.parametrize("rules", REFUSED.values(), ids=REFUSED)
def test_108_to_116_a_bad_policy_is_refused(load: Load, rules: str) -> None:
    with pytest.raises(ConfigError):
        load({"authz.rego": HEAD + rules})


# Whole policies that must not be loaded.
POLICIES: dict[str, dict[str, str]] = {
    "116 a package of the engine's": {"authz.rego": HEAD.replace("eyrie.authz", "system")},
    "116 a package with a path in it": {
        "authz.rego": HEAD.replace("eyrie.authz", 'eyrie["../authz"]')
    },
    "117 a file that sets another default": {
        "authz.rego": HEAD + ADMIN,
        "more.rego": "package eyrie.authz\n\ndefault allow := true\n",
    },
    "117 a file that names the revision": {
        "authz.rego": HEAD + ADMIN,
        "more.rego": 'package eyrie.authz\n\nrevision := "other"\n',
    },
    "118 no default": {"authz.rego": HEAD.replace("default allow := false", "allow if false")},
    "118 a default that allows": {
        "authz.rego": HEAD.replace("default allow := false", "default allow := true")
    },
    "118 no entrypoint": {"authz.rego": "package eyrie.authz\n\ndefault allow := false\n"},
    "118 nothing": {"authz.rego": ""},
}


@pytest.mark.parametrize("sources", POLICIES.values(), ids=POLICIES)
def test_116_to_118_a_policy_out_of_its_place_is_refused(
    load: Load, sources: dict[str, str]
) -> None:
    with pytest.raises(ConfigError):
        load(sources)


def test_117_the_revision_says_that_a_file_was_added(load: Load) -> None:
    sources = {"authz.rego": HEAD + ADMIN}
    more = {**sources, "more.rego": "package eyrie.authz\n\nallow if input.action\n"}
    assert one(load(sources), asked("nobody")).allow is False
    added = load(more)
    assert one(added, asked("nobody")).allow, (
        "what is uploaded decides: it is reviewed, signed and named by its hash"
    )
    assert added.revision != revision(sources)


# Rules that load somewhere and must deny.
DENIED: dict[str, str] = {
    "111 a variable that nobody bound": 'allow if x == "a"\n',
    "113 two values of one rule": "allow := true if input.action\n\nallow := false if "
    "input.subject\n",
    "119 a text": 'allow := "true" if input.action\n',
    "119 a number": "allow := 1 if input.action\n",
    "119 an empty list": "allow := [] if input.action\n",
    "119 a list of true": "allow := [true] if input.action\n",
    "119 a set of true": "allow := {true} if input.action\n",
    "119 an object": 'allow := {"allow": true} if input.action\n',
    "119 null": "allow := null if input.action\n",
}


@pytest.mark.parametrize("rules", DENIED.values(), ids=DENIED)
def test_111_to_119_what_is_no_plain_true_denies_or_is_refused(load: Load, rules: str) -> None:
    try:
        engine = load({"authz.rego": HEAD + rules})
    except ConfigError:
        return
    made = one(engine, asked())
    assert not made.allow
    assert made.reason in (bounds.POLICY_ERROR, bounds.POLICY_UNAVAILABLE, "ok")


def test_a_good_policy_is_loaded_after_all_of_it(load: Load) -> None:
    sources = read_sources()
    assert load(sources).revision == revision(sources)
