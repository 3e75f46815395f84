"""The linter, where the engine's own tests do not reach it."""

import pytest

from policy.engine.lint import lint
from policy.engine.modules import read_sources

GOOD = (
    'package eyrie.authz\n\ndefault allow := false\n\nreason := "ok"\n\nredact := '
    "[]\n\nmax_hz := null\n"
)


def says(source: str) -> list[str]:
    return [str(finding) for finding in lint({"a.rego": source})]


def test_our_own_policy_passes() -> None:
    assert lint(read_sources()) == []
    assert says(GOOD) == []


def test_a_finding_names_file_and_line() -> None:
    assert says(GOOD + '\nallow if regex.match("a", input.action)\n') == [
        "a.rego:11: the function regex.match is not allowed"
    ]


@pytest.mark.parametrize(
    "package", ["other", "system", "eyriex", "eyrie_authz", '"a"', "data.system"]
)
def test_116_other_packages_are_refused(package: str) -> None:
    assert any("package" in text for text in says(GOOD.replace("eyrie.authz", package)))


def test_strings_and_comments_are_not_code() -> None:
    assert says(GOOD + '\nnames := {"http.send(": 1, `regex.match(`: 2} # with http.send(\n') == []


def test_helper_functions_and_packages_of_ours_may_be_used() -> None:
    helper = "package eyrie.shapes\n\nround(x) if x == 1\n"
    assert (
        lint(
            {
                "a.rego": GOOD + "\nallow if same(input.action)\n\nsame(x) if x == 1\n",
                "b.rego": helper,
            }
        )
        == []
    )


def test_a_default_that_allows_is_refused() -> None:
    for default in (
        "default allow := true",
        "default allow = false",
        "default allow := 0",
        "allow := false",
    ):
        assert any(
            "missing" in text for text in says(GOOD.replace("default allow := false", default))
        )


def test_recursion_over_two_files_is_found() -> None:
    files = {
        "a.rego": GOOD + "\nx if y\n",
        "b.rego": "package eyrie.authz\n\ny if data.eyrie.authz.x\n",
    }
    assert any("uses itself" in str(finding) for finding in lint(files))


def test_v0_bodies_of_every_form_are_refused() -> None:
    for rule in (
        "p { true }",
        "p[x] { x := 1 }",
        "p = 1 { true }",
        "p := 1 { true }",
        "f(x) { x }",
        "p if { true } else = 2 { true }",
    ):
        assert any("v1" in text for text in says(f"{GOOD}\n{rule}\n")), rule


def test_nonsense_and_size_are_refused_in_good_time() -> None:
    assert says("}" * 100)
    assert says("x" * 70_000) == ["a.rego:1: longer than 65536 characters"]
    assert says(GOOD + "\nx := " + "{" * 10_000)
    assert lint({})


def test_who_reads_the_time_says_how_long_a_decision_holds() -> None:
    timed = GOOD + "\nallow if input.now > 5\n"
    assert any("valid_until is missing" in text for text in says(timed))
    assert says(timed + "\ndefault valid_until := null\n") == []
    assert any("revision" in text for text in says(GOOD + '\nrevision := "mine"\n'))
