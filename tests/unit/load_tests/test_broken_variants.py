"""The broken variants of the product still break it: what a variant replaces is where it looks for
it. A run of a variant takes minutes; this takes none."""

import importlib.util
from types import ModuleType

import pytest

from tests.support.load.broken_product import HOOKS, OF_FAULTS, OF_GROWTH, VARIANTS, put

ALL = VARIANTS | HOOKS | OF_FAULTS | OF_GROWTH


def copy_of(name: str) -> ModuleType:
    """The module once more, for the test alone."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("variant", ALL)
def test_a_variant_replaces_what_the_product_has(variant: str) -> None:
    assert ALL[variant]
    for name, patch in ALL[variant].items():
        patch(copy_of(name))


def test_what_is_not_there_cannot_be_replaced() -> None:
    with pytest.raises(AssertionError, match="has no roof"):
        put(ModuleType("house"), "roof", None)
