"""Ids that say "no track": what trackers write for an object that they do not follow.

Seen in the wild: an empty text, -1 (MOT Challenge), and 2^64-1, which is DeepStream's
``UNTRACKED_OBJECT_ID``, as a decimal, signed, hexadecimal or floating-point number. Two objects
with such an id are two objects.
"""

# All bits set, as signed, 64 and 32 unsigned bits; 2^64 is what 2^64-1 becomes in a double.
NO_TRACK = frozenset({-1, 2**64 - 1, 2**64, 2**32 - 1})
_WORDS = frozenset({"", "none", "null", "nan", "inf", "-inf", "untracked"})


def is_untracked(track: str) -> bool:
    """True for an id that names no track. Spaces around it and its case do not matter."""
    text = track.strip().lower()
    if text in _WORDS:
        return True
    if not text or text[0] not in "-+0123456789" or len(text) > 32:
        return False
    try:
        return int(text, 0) in NO_TRACK
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return False
    # Readers of JSON that know only doubles write 2^64-1 as 1.8446744073709552e+19, and printf's %g
    # as 1.84467e+19.
    return number == -1.0 or abs(number - 2**64) < 2**64 * 1e-5
