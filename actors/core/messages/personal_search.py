"""Whether a personal value says what somebody looks for (pure)."""

import unicodedata
from collections.abc import Collection, Iterator
from typing import Any

import msgspec

from actors.core.errors import BadInput
from actors.core.redaction import SHORTEST_ECHO, normal, said

MAX_WANTED = 20


def plain(text: str) -> str:
    """`text` as it is compared: without case and separators, composed and decomposed letters
    alike."""
    return normal(unicodedata.normalize("NFKC", text))


def wanted_of(texts: Collection[str]) -> frozenset[str]:
    """What to look for, in its compared form. Raises BadInput for what is in everything."""
    found = frozenset(map(plain, texts))
    if len(texts) > MAX_WANTED or any(len(text) < SHORTEST_ECHO for text in found):
        raise BadInput(
            f"a search is for at most {MAX_WANTED} values, each of {SHORTEST_ECHO} letters or "
            "digits and more"
        )
    return found


def says(value: bytes, wanted: Collection[str]) -> bool:
    """Whether this JSON says one of them, in a text, a number or the name of a key."""
    found = msgspec.json.decode(value)
    return any(one in text for text in _texts(found) for one in wanted)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield plain(value)
    elif isinstance(value, dict):
        for key, child in value.items():
            yield plain(key)
            yield from _texts(child)
    elif isinstance(value, list):
        for child in value:
            yield from _texts(child)
    else:
        yield from said(value)
