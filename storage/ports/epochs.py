"""Names of epochs: the identity of a numbering (design section 2)."""

import secrets
import time


def new_epoch(now_s: float | None = None) -> str:
    """Twelve hexadecimal digits: eight of the second, four at random. They sort by age."""
    return f"{int(time.time() if now_s is None else now_s) & 0xFFFFFFFF:08x}{secrets.token_hex(2)}"
