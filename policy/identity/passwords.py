"""Passwords of people as Argon2id (RFC 9106). Pure but for the salt; each call computes for about
0.1 s and takes 19 MiB."""

import os

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from actors.core.errors import BadInput

MIN_CHARACTERS = 12
MAX_CHARACTERS = 256
SALT_BYTES = 16
HASH_BYTES = 32
MEMORY_KIB = 19_456
ITERATIONS = 2
# Of a random password that nobody knows: compared where there is no person, so that no answer tells
# by its time who there is. Its costs are the ones above (a test holds that).
DECOY = (
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)


def sealed(password: str) -> str:
    """What is kept of a password. Raises BadInput for one that is too short or too long."""
    if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
        raise BadInput(
            f"a password has {MIN_CHARACTERS} to {MAX_CHARACTERS} characters",
            hint="Several words make a good one.",
        )
    return Argon2id(
        salt=os.urandom(SALT_BYTES),
        length=HASH_BYTES,
        iterations=ITERATIONS,
        lanes=1,
        memory_cost=MEMORY_KIB,
    ).derive_phc_encoded(password.encode())


def matches(password: str, kept: str | None) -> bool:
    """Whether it is the password; None, where there is no such person, takes as long and is
    False."""
    try:
        Argon2id.verify_phc_encoded(password.encode(), kept or DECOY)
    except InvalidKey:
        return False
    return kept is not None
