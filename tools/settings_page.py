"""Write `docs/settings.md` from the settings tree itself. Run by ``make docs``; a test says when
the page is out of date."""

import sys
import typing
from pathlib import Path
from typing import Any

import msgspec

from actors.core.settings import sections

HEAD = """# Settings

Made by `make docs` from `actors/core/settings.py`; do not edit.

One tree, written in `eyrie.toml` as `[section]` and `key`, or in the environment as `EYRIE_<SECTION>_<KEY>`; the environment wins.
An unknown section or key is refused, with the nearest name that exists. `eyrie config` prints what is in force, with secrets hidden.
Secrets are never settings: a setting names the file that holds one. Durations are seconds.
"""  # noqa: E501


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for name, section in sections().items():
        parts.append(f"\n## [{name}]\n\n{' '.join((section.__doc__ or '').split())}\n")
        parts.append("\n| key | environment | value | default |\n|---|---|---|---|\n")
        parts += [row(name, field) for field in msgspec.structs.fields(section)]
    return "".join(parts)


def row(section: str, field: msgspec.structs.FieldInfo) -> str:
    """One line of a section's table."""
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    shown = msgspec.json.encode(default).decode() if default != "" else "empty"
    return (
        f"| `{field.name}` | `EYRIE_{section.upper()}_{field.name.upper()}` | "
        f"{kind(field.type)} | `{shown}` |\n"
    )


def kind(annotation: Any) -> str:
    """A type in words, with its limits."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        base, *metas = typing.get_args(annotation)
        limits = [
            words for meta in metas if isinstance(meta, msgspec.Meta) for words in limits_of(meta)
        ]
        return f"{kind(base)} {' and '.join(limits)}".strip()
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" for value in typing.get_args(annotation))
    if origin is list:
        return f"list of {kind(typing.get_args(annotation)[0])}"
    return {bool: "true or false", int: "whole number", float: "number", str: "text"}.get(
        annotation, str(annotation)
    )


def limits_of(meta: msgspec.Meta) -> list[str]:
    """The bounds of a value in words."""
    words = [
        ("more than", meta.gt),
        ("at least", meta.ge),
        ("less than", meta.lt),
        ("at most", meta.le),
    ]
    # 0 and 0.0 are one limit: `typing` hands out whichever annotation was made first.
    return [
        f"{word} {int(limit) if limit == int(limit) else limit}"
        for word, limit in words
        if limit is not None
    ]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
