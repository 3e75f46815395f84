"""Revocation goes by jti and by subject."""

import pytest

from actors.core.errors import Unauthorized
from policy.identity.principal import Principal
from policy.identity.revocations import Revocations
from storage.ports.policy import Revocation


def token(jti: str = "t-1", sub: str = "ada", iat: int = 100) -> Principal:
    return Principal(sub, jti, "user", iat, iat + 600)


def test_nothing_is_revoked_at_first() -> None:
    Revocations().require(token())
    assert len(Revocations()) == 0


def test_check_8_one_token_by_its_jti() -> None:
    revoked = Revocations([Revocation("jti", "t-1", 0)])
    with pytest.raises(Unauthorized, match="revoked"):
        revoked.require(token())
    assert revoked.holds(token("t-2"))
    assert revoked.holds(token("t-2", sub="t-1"))


@pytest.mark.parametrize(("iat", "holds"), [(99, False), (100, False), (101, True)])
def test_check_8_all_tokens_of_a_subject_issued_before(iat: int, holds: bool) -> None:
    revoked = Revocations([Revocation("subject", "ada", 100), Revocation("subject", "ada", 50)])
    assert revoked.holds(token(iat=iat)) is holds
    assert revoked.holds(token(sub="ben", iat=iat))


def test_an_unknown_kind_is_taken_strictly() -> None:
    assert not Revocations([Revocation("tribe", "ada", 100)]).holds(token())


def test_101_j5_padding_of_the_text_plays_no_part() -> None:
    # The set knows no token text at all: two texts of one token have one jti.
    assert Revocations([Revocation("jti", "t-1", 0)]) == Revocations(
        [Revocation("jti", "t-1", 0)] * 2
    )
    assert (
        len(
            {Revocations([Revocation("jti", "t-1", 0)]), Revocations([Revocation("jti", "t-1", 5)])}
        )
        == 1
    )


def test_a_certificate_goes_whatever_token_is_shown_beside_it() -> None:
    shown = Principal("gate-box", "t-1", "edge", 100, 700, certificate="ab12")
    assert Revocations().holds(shown)
    assert not Revocations([Revocation("certificate", "ab12", 0)]).holds(shown)
    assert not Revocations([Revocation("jti", "ab12", 0)]).holds(shown)
    assert Revocations([Revocation("certificate", "cd34", 0)]).holds(shown)
    assert Revocations([Revocation("certificate", "ab12", 0)]).holds(token())
