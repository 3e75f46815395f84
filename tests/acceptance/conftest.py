"""The whole product, started once a module for the tests that only look at it."""

from collections.abc import Iterator

import pytest

from tests.support.product import Product, data_folder, product


@pytest.fixture(scope="module")  # it works hard: it must not run beside tests that do not look at it
def stack() -> Iterator[Product]:
    """`eyrie up` with the simulated site of 8 cameras."""
    with data_folder() as path, product(path) as running:
        yield running
