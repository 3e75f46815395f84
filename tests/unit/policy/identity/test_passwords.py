"""Passwords: what is kept of them, and that nobody is known by the time that an answer takes."""

import pytest

from actors.core.errors import BadInput
from policy.identity import passwords

GOOD = "correct horse battery"


def test_a_password_is_known_again_and_no_other() -> None:
    kept = passwords.sealed(GOOD)
    assert kept != passwords.sealed(GOOD), "each has a salt of its own"
    assert GOOD not in kept
    assert passwords.matches(GOOD, kept)
    assert not passwords.matches(GOOD + " ", kept)
    assert not passwords.matches("", kept)


def test_where_there_is_nobody_the_same_is_computed() -> None:
    def costs(kept: str) -> str:
        return kept.rsplit("$", 2)[0]

    assert costs(passwords.DECOY) == costs(passwords.sealed(GOOD)), "as long for nobody"
    assert len(passwords.DECOY) == len(passwords.sealed(GOOD))
    assert not passwords.matches(GOOD, None)


@pytest.mark.parametrize("bad", ["", "short words", "x" * 257])
def test_a_bad_one_is_not_kept(bad: str) -> None:
    with pytest.raises(BadInput):
        passwords.sealed(bad)
