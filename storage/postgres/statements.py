"""Named SQL statements and Lua scripts, read once from ``storage/sql`` and ``storage/lua``.

A statement begins with a line ``-- name: <name>`` and runs to the next one.
"""

from functools import cache
from importlib.resources import files

_MARK = "-- name: "


def split_statements(text: str) -> dict[str, str]:
    """Name → statement. Raises ValueError for a name given twice."""
    found: dict[str, str] = {}
    for block in ("\n" + text).split("\n" + _MARK)[1:]:
        name, _, statement = block.partition("\n")
        if name.strip() in found:
            raise ValueError(f"statement {name.strip()!r} is defined twice")
        found[name.strip()] = statement.strip().removesuffix(";")
    return found


@cache
def sql(file: str) -> dict[str, str]:
    """The statements of ``sql/<file>.sql``."""
    return split_statements(files("storage").joinpath("sql", f"{file}.sql").read_text("utf-8"))
