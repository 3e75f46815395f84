"""The whole product, started once for the tests that only look at it: they run one after the other,
whatever file they are in."""

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.cluster.product import Product, data_folder, product

HERE = Path(__file__).parent
STARTED = pytest.StashKey[ExitStack]()


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[Product]:
    """`eyrie up` with the simulated site of 8 cameras. It works hard: it is stopped before the
    first test that does not look at it."""
    with ExitStack() as started:
        request.config.stash[STARTED] = started
        yield started.enter_context(product(started.enter_context(data_folder())))


def _looks_at_it(item: pytest.Item | None) -> bool:
    return (
        item is not None
        and item.path.is_relative_to(HERE)
        and "stack" in getattr(item, "fixturenames", ())
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that look at it follow the first of them."""
    looking = [item for item in items if _looks_at_it(item)]
    if looking:
        first = items.index(looking[0])
        items[:] = [
            *items[:first],
            *looking,
            *(item for item in items[first:] if not _looks_at_it(item)),
        ]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    """Stop it behind the last of them."""
    try:
        yield
    finally:
        if _looks_at_it(item) and not _looks_at_it(nextitem):
            item.config.stash.get(STARTED, ExitStack()).close()
