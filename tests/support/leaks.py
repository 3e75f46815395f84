"""Words that must not leave, and how they are looked for: in any case, without separators,
percent-encoded, in base64 and hex."""

import base64
import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

_SEPARATORS = re.compile(rb"[^a-z0-9]+")


@lru_cache(maxsize=8_192)
def words_in(told: bytes, words: tuple[str, ...]) -> frozenset[str]:
    """Those of `words` that `told` holds; remembered, as the same is told to many."""
    return frozenset(word for word in words if holds(told, word))


def holds(told: bytes, word: str) -> bool:
    """Whether `told` says `word` (lower case letters and digits) in any of these forms."""
    assert len(word) >= 9, "its base64 would be too short to be told from chance"
    plain = word.encode()
    lower, unquoted, joined = _forms(told)
    if plain in lower or plain in unquoted or plain in joined:
        return True
    return any(form in told for form in _encoded(plain)) or any(
        text.hex().encode() in lower for text in _cases(plain)
    )


@lru_cache(maxsize=4)
def _forms(told: bytes) -> tuple[bytes, bytes, bytes]:
    """In lower case: as it is, without percent-encoding, without separators."""
    lower = told.lower()
    return (
        lower,
        unquote_to_bytes(lower).lower() if b"%" in lower else lower,
        _SEPARATORS.sub(b"", lower),
    )


@lru_cache
def _encoded(plain: bytes) -> set[bytes]:
    """What is the same in base64 wherever the word begins, in both alphabets, in lower and upper
    case."""
    found = set()
    for text in _cases(plain):
        for shift in range(3):
            whole = base64.b64encode(b"\0" * shift + text)
            inner = whole[(4 if shift else 0) : len(whole) - 4]
            found |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return found


def _cases(plain: bytes) -> tuple[bytes, ...]:
    return plain, plain.upper(), plain.title()
