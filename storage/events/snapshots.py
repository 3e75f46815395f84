"""Which transactions were over at a moment, for reading in slices what was there then (PostgreSQL
manual, 9.27.9; pure)."""

import msgspec

_XIDS = 2**32  # a row names the transaction that wrote it by the lower half of its number


class TransactionSnapshot(msgspec.Struct, frozen=True):
    """All below `low` were over, none from `high` on, and of those between not the `open` ones."""

    low: int
    high: int
    open: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> "TransactionSnapshot":
        """From ``xmin:xmax:xip,xip,…``."""
        low, high, running = text.split(":")
        return cls(
            int(low), int(high), frozenset(map(int, running.split(","))) if running else frozenset()
        )

    def sees(self, xmin: int) -> bool:
        """Whether what a row's `xmin` (32 bits) wrote was there. One of more than two milliards of
        transactions ago may be misjudged."""
        latest = self.high + _XIDS // 2
        written_by = latest - (latest - xmin) % _XIDS
        return written_by < self.low or (written_by < self.high and written_by not in self.open)
