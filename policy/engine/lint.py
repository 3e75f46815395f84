"""A linter for our Rego: what the embedded engine would load and then get wrong is refused before
(traps R6, R10, R12, R13).

Pure, on tokens. It demands packages under `eyrie`, exactly one `default allow := false` and every
entrypoint, v1 syntax, no function but those listed and the policy's own, no recursion, and no
`with` (it makes the embedded engine end its process). That no answer holds a string of the question
is the author's part. Where an `opa` binary exists, `opa check --strict` comes on top.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from policy.decision.bounds import ENTRYPOINTS, UNTIL

MAX_DEPTH = 32
MAX_SOURCE = 65_536
BUILTINS = frozenset(
    {
        "count",
        "object.get",
        "sum",
        "max",
        "min",
        "startswith",
        "endswith",
        "is_string",
        "is_array",
        "is_set",
        "is_object",
        "is_boolean",
        "is_number",
        "is_null",
    }
)
KEYWORDS = frozenset(
    {
        "package",
        "import",
        "default",
        "if",
        "contains",
        "else",
        "some",
        "every",
        "in",
        "not",
        "as",
        "with",
        "true",
        "false",
        "null",
        "input",
        "data",
    }
)

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r]+)|(?P<line>\n)|(?P<comment>\#[^\n]*)|(?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)"""  # noqa: E501
    r"""|(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)|(?P<number>[0-9][0-9.eE+-]*)|(?P<sign>:=|==|!=|<=|>=|.)"""
)


class LintFinding(NamedTuple):
    """One thing to mend."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


class Token(NamedTuple):
    """`kind` is string, name, number or sign; `first` when it opens its line; `depth` counts open
    brackets before it."""

    kind: str
    text: str
    line: int
    first: bool
    depth: int


def lint(sources: Mapping[str, str]) -> list[LintFinding]:
    """Findings in file order; empty when the policy may be loaded."""
    findings: list[LintFinding] = []
    parsed = {}
    for name in sorted(sources):
        if len(sources[name]) > MAX_SOURCE:
            findings.append(LintFinding(name, 1, f"longer than {MAX_SOURCE} characters"))
            continue
        parsed[name] = _tokens(sources[name])
        findings += _file(name, parsed[name])
    if not findings:
        findings = _packages(parsed)
    return findings


def defines(sources: Mapping[str, str], rule: str) -> bool:
    """Whether the package of the decisions has this rule, or a default of it."""
    for tokens in map(_tokens, sources.values()):
        if _package(tokens) == "eyrie.authz":
            after_default = {
                tokens[at + 1].text
                for at, token in enumerate(tokens[:-1])
                if token.text == "default" and token.first
            }
            if rule in _heads(tokens) | after_default:
                return True
    return False


def _tokens(source: str) -> list[Token]:
    found: list[Token] = []
    line, depth, first = 1, 0, True
    for match in _TOKEN.finditer(source):
        kind, text = str(match.lastgroup), match.group()
        if kind == "line":
            line, first = line + 1, True
        elif kind not in ("space", "comment"):
            depth -= text in ("}", "]", ")") and kind == "sign"
            found.append(Token(kind, text, line, first, depth))
            depth += text in ("{", "[", "(") and kind == "sign"
            line += text.count("\n")
            first = False
    return found


def _file(name: str, tokens: list[Token]) -> list[LintFinding]:
    findings = []
    package = _package(tokens)
    if package is None or (package != "eyrie" and not package.startswith("eyrie.")):
        findings.append(LintFinding(name, 1, "the package must be `eyrie` or below it"))
    heads = _heads(tokens)
    for at, token in enumerate(tokens):
        before = tokens[at - 1] if at else None
        after = tokens[at + 1] if at + 1 < len(tokens) else None
        text = _problem(token, before, after, heads)
        if text is not None:
            findings.append(LintFinding(name, token.line, text))
    if tokens and tokens[-1].depth < 0:
        findings.append(LintFinding(name, tokens[-1].line, "more brackets are closed than opened"))
    return findings


def _problem(
    token: Token, before: Token | None, after: Token | None, heads: set[str]
) -> str | None:
    if token.depth > MAX_DEPTH:
        return f"nested deeper than {MAX_DEPTH}"
    if token.kind == "name":
        if token.text == "with":
            return "`with` is for tests only"
        if (
            token.first
            and token.depth == 0
            and token.text == "import"
            and after is not None
            and not _may_import(after.text)
        ):
            return f"import of {after.text}: only rego.v1 and data.eyrie"
        if token.text == "data":
            return "data: only data.eyrie may be read, by its name"
        if token.text.startswith("data.") and not token.text.startswith("data.eyrie."):
            return f"{token.text}: only data.eyrie may be read"
        called = (
            after is not None
            and after.text == "("
            and after.line == token.line
            and token.text not in KEYWORDS
        )
        if called and token.text not in BUILTINS and token.text not in heads:
            return f"the function {token.text} is not allowed"
    if (
        token.text == "{"
        and token.kind == "sign"
        and token.depth == 0
        and before is not None
        and before.text
        not in (
            "if",
            ":=",
            "=",
            "else",
            "|",
            "&",
            "-",
            "in",
        )
    ):
        return "a rule body needs `if` (Rego v1)"
    return None


def _may_import(name: str) -> bool:
    return name == "rego.v1" or name.startswith("data.eyrie.") or name == "data.eyrie"


def _package(tokens: list[Token]) -> str | None:
    if len(tokens) > 1 and tokens[0].text == "package" and tokens[1].kind == "name":
        return tokens[1].text
    return None


def _heads(tokens: list[Token]) -> set[str]:
    return {
        t.text
        for t in tokens
        if t.kind == "name" and t.first and t.depth == 0 and t.text not in KEYWORDS
    }


def _packages(parsed: Mapping[str, list[Token]]) -> list[LintFinding]:
    """What spans files: defaults and recursion."""
    findings = []
    merged: dict[str, list[tuple[str, list[Token]]]] = {}
    for name, tokens in parsed.items():
        merged.setdefault(str(_package(tokens)), []).append((name, tokens))
    if "eyrie.authz" not in merged:
        return [LintFinding(next(iter(parsed), ""), 1, "no file has the package eyrie.authz")]
    for package, files in merged.items():
        defaults: dict[str, list[tuple[str, int, list[str]]]] = {}
        for name, tokens in files:
            for at, token in enumerate(tokens):
                if token.text == "default" and token.first and at + 3 < len(tokens):
                    value = [tokens[at + 2].text, tokens[at + 3].text]
                    defaults.setdefault(tokens[at + 1].text, []).append((name, token.line, value))
        for rule, places in defaults.items():
            if len(places) > 1:
                findings.append(
                    LintFinding(places[1][0], places[1][1], f"a second default of {rule}")
                )
        if package == "eyrie.authz" and (
            len(defaults.get("allow", [])) != 1 or defaults["allow"][0][2] != [":=", "false"]
        ):
            findings.append(LintFinding(files[0][0], 1, "`default allow := false` is missing"))
        if package == "eyrie.authz":
            defined = set(defaults).union(*(_heads(tokens) for _, tokens in files))
            if UNTIL not in defined and any(
                token.text == "input.now" for each in parsed.values() for token in each
            ):
                findings.append(
                    LintFinding(
                        files[0][0],
                        1,
                        f"input.now is read and {UNTIL} is missing: nobody would ask again in time",
                    )
                )
            if "revision" in defined:
                findings.append(
                    LintFinding(
                        files[0][0],
                        1,
                        "the rule revision is not for a policy to define: the product adds it",
                    )
                )
            findings += [
                LintFinding(files[0][0], 1, f"the rule {name} is missing")
                for name in ENTRYPOINTS
                if name not in defined
            ]
        findings += _recursion(package, files)
    return findings


def _recursion(package: str, files: list[tuple[str, list[Token]]]) -> list[LintFinding]:
    heads = set().union(*(_heads(tokens) for _, tokens in files))
    uses: dict[str, set[str]] = {head: set() for head in heads}
    for _, tokens in files:
        rule = None
        for token in tokens:
            if token.first and token.depth == 0:
                rule = (
                    token.text
                    if token.text in heads
                    else rule
                    if token.text in ("}", "else")
                    else None
                )
                continue
            if rule is not None and token.kind == "name":
                used = token.text.removeprefix(f"data.{package}.").split(".")[0]
                if used in heads:
                    uses[rule].add(used)
    for head in sorted(heads):
        seen: set[str] = set()
        stack = list(uses[head])
        while stack:
            used = stack.pop()
            if used == head:
                return [LintFinding(files[0][0], 1, f"the rule {head} uses itself")]
            if used not in seen:
                seen.add(used)
                stack += uses[used]
    return []
