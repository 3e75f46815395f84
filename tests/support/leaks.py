"""Words that must not leave, and how they are looked for: in any case, without separators, percent-encoded, in base64 and hex."""

import base64
import re
from urllib.parse import unquote_to_bytes

_SEPARATORS = re.compile(rb"[^a-z0-9]+")


def holds(told: bytes, word: str) -> bool:
    """Whether `told` says `word` (lower case letters and digits) in any of these forms."""
    assert len(word) >= 9, "its base64 would be too short to be told from chance"
    plain = word.encode()
    lower = told.lower()
    if plain in lower or plain in unquote_to_bytes(lower).lower() or plain in _SEPARATORS.sub(b"", lower):
        return True
    return any(form in told for form in _encoded(plain)) or any(text.hex().encode() in lower for text in _cases(plain))


def _encoded(plain: bytes) -> set[bytes]:
    """What is the same in base64 wherever the word begins, in both alphabets, in lower and upper case."""
    found = set()
    for text in _cases(plain):
        for shift in range(3):
            whole = base64.b64encode(b"\0" * shift + text)
            inner = whole[(4 if shift else 0) : len(whole) - 4]
            found |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return found


def _cases(plain: bytes) -> tuple[bytes, ...]:
    return plain, plain.upper(), plain.title()
