"""A personal value is encrypted for one place under one key, and opens nowhere else."""

import pytest

from actors.core.messages.personal import PersonalValue
from storage.ports.keyring import Key
from storage.postgres.people.personal import Place, opened, scope_of, sealed

PLACE = ("cam-1", "e1", 7)
KEY = Key("20261130/north/cam-1/plates/1", b"k" * 32)
VALUE = PersonalValue("/data/data/plate", "plates", b"s" * 16, b'{"plate":"B-AB 123"}')


def test_it_opens_in_its_place() -> None:
    text = sealed(PLACE, VALUE, KEY)
    assert opened(PLACE, VALUE.path, VALUE.class_, KEY, text) == VALUE
    assert b"AB 123" not in text
    assert VALUE.salt not in text
    assert sealed(PLACE, VALUE, KEY) != text


@pytest.mark.parametrize(
    ("place", "path", "class_", "key"),
    [
        (("cam-2", "e1", 7), VALUE.path, "plates", KEY),
        (("cam-1", "e2", 7), VALUE.path, "plates", KEY),
        (("cam-1", "e1", 8), VALUE.path, "plates", KEY),
        (PLACE, "/data/data/other", "plates", KEY),
        (PLACE, VALUE.path, "names", KEY),
        (PLACE, VALUE.path, "plates", KEY._replace(id="20261130/north/cam-1/plates/2")),
        (PLACE, VALUE.path, "plates", KEY._replace(secret=b"l" * 32)),
    ],
)
def test_it_opens_nowhere_else(place: Place, path: str, class_: str, key: Key) -> None:
    assert opened(place, path, class_, key, sealed(PLACE, VALUE, KEY)) is None


@pytest.mark.parametrize("text", [b"", b"short", bytes(12), bytes(60)])
def test_what_is_no_value_opens_nothing(text: bytes) -> None:
    assert opened(PLACE, VALUE.path, VALUE.class_, KEY, text) is None


def test_the_day_of_a_key_is_that_of_receiving() -> None:
    assert scope_of("north", "cam-1", 1_796_083_199_999_999, "plates").day == "20261130"
    assert scope_of("north", "cam-1", 1_796_083_200_000_000, "plates").day == "20261201"
    assert "k" * 32 not in repr(KEY)
