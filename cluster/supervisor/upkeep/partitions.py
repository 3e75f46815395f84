"""Keeps the day partitions of events: made ahead, old ones dropped, once a day at a random moment.
The supervisor runs one.

Two at once (a supervisor that was replaced and does not know it) harm nobody: the store lets one at
a time through.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any, Protocol

from actors.core.errors import EyrieError
from actors.core.settings import EventsSettings
from storage.events.partitions import PartitionReport, RetentionReport, drop_old, make_partitions
from storage.events.personal_retention import erase_old
from storage.ports.keyring import Keyring
from storage.postgres.people.letters import forget_letter_keys
from storage.postgres.pool import Database

DAY_S = 86_400.0
RETRY_S = 60.0  # after a failure; days are made a week ahead, so there is time

log = logging.getLogger("eyrie.cluster.partitions")


class Partitions(Protocol):
    """The table of events as its maintenance sees it. Raises Unavailable and the rest of storage's
    family."""

    async def make(self) -> PartitionReport:
        """Make what is missing."""

    async def drop(self, keep_days: int) -> RetentionReport:
        """Drop what is older than this many whole days; 0 keeps everything."""


class PostgresPartitions:
    """`Partitions` over a :class:`Database`."""

    def __init__(self, database: Database, keyring: Keyring | None = None) -> None:
        """`keyring`: of the personal values that go with their days; None leaves them."""
        self._database = database
        self._keyring = keyring

    async def make(self) -> PartitionReport:
        return await make_partitions(self._database)

    async def drop(self, keep_days: int) -> RetentionReport:
        report = await drop_old(self._database, keep_days)
        if keep_days and self._keyring is not None:
            await erase_old(self._database, self._keyring, report.before)
        if self._keyring is not None:
            await forget_letter_keys(self._database, self._keyring)
        return report


class PartitionMaintenance:
    """`chance` gives 0..1."""

    def __init__(
        self,
        partitions: Partitions,
        settings: EventsSettings,
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._partitions = partitions
        self._settings = settings
        self._chance = chance
        self._made: list[str] = []
        self._dropped: dict[str, int] = {}
        self._default_rows = 0
        self._trouble = ""

    def status(self) -> dict[str, Any]:
        """What the last round did: partitions made, events dropped by partition, events without a
        partition, and its trouble."""
        return {
            "made": self._made,
            "dropped": self._dropped,
            "default_rows": self._default_rows,
            "trouble": self._trouble,
        }

    async def round(self) -> float:
        """Make, drop, tell; seconds until the next."""
        try:
            report = await self._partitions.make()
            self._made = report.made
            self._alarm(report.default_rows)
            self._receipt(await self._partitions.drop(self._settings.keep_days))
        except EyrieError as error:
            self._trouble = f"{error.code}: {error.detail}"
            log.warning("the partitions of events are not looked after now: %s", error)
            return RETRY_S * (0.5 + 0.5 * self._chance())
        self._trouble = "; ".join(
            f"{name} cannot be made: {why}" for name, why in report.failed.items()
        )
        if self._trouble:
            log.error("%s", self._trouble)
            return RETRY_S * (0.5 + 0.5 * self._chance())
        return DAY_S * (0.75 + 0.25 * self._chance())

    async def run(self) -> None:
        """A round at once, then again and again. What is under way when it is cancelled is rolled
        back."""
        while True:
            await asyncio.sleep(await self.round())

    def _alarm(self, default_rows: int) -> None:
        if default_rows:
            log.error(
                "%d events lie in the default partition: a clock is days off, or no partitions "
                "were made in time",
                default_rows,
            )
        elif self._default_rows:
            log.info("the default partition of events is empty again")
        self._default_rows = default_rows

    def _receipt(self, report: RetentionReport) -> None:
        self._dropped = {one.partition: one.events for one in report.dropped}
        for one in report.dropped:
            log.info(
                "retention dropped %s: %d events, %d bytes", one.partition, one.events, one.bytes
            )
        if report.dropped:
            log.info(
                "retention: %d events received before %s are gone",
                report.events,
                report.before.date().isoformat(),
            )
