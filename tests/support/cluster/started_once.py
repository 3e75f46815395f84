"""What is started once a run for the tests that share it: they run one after the other, whatever
file they are in, and it is stopped behind the last of them, for it works hard."""

from contextlib import ExitStack
from pathlib import Path

import pytest


class StartedOnce:
    """A plugin of the tests below `folder` that ask for the session's fixture `name`. What the
    fixture enters into `started` is closed behind the last of them."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        self._folder = folder
        self.started = ExitStack()

    def _shares(self, item: pytest.Item | None) -> bool:
        return (
            item is not None
            and item.path.is_relative_to(self._folder)
            and self._name in getattr(item, "fixturenames", ())
        )

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Those that share it follow the first of them."""
        sharing = [item for item in items if self._shares(item)]
        if sharing:
            first = items.index(sharing[0])
            items[:] = [
                *items[:first],
                *sharing,
                *(item for item in items[first:] if not self._shares(item)),
            ]

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        """Stop it behind the last of them. What goes wrong then is an error of that test."""
        if self._shares(item) and not self._shares(nextitem):
            self.started.close()
