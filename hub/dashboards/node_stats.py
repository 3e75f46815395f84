"""What a hub has counted since its start."""

import msgspec


class NodeStats(msgspec.Struct):
    """Counts since the start, for metrics. `recoveries`: (lane, outcome) → how often."""

    accepted: int = 0
    refused: int = 0
    recoveries: dict[tuple[str, str], int] = {}
    closes: dict[int, int] = {}
    errors: dict[int, int] = {}

    def refuse(self, code: int) -> None:
        """A command was answered with this error."""
        self.errors[code] = self.errors.get(code, 0) + 1
