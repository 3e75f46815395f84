"""When which observation of a camera is due and how long its ack took from then: the open-loop
accounts of a process of devices (pure).

Nothing is left out (no coordinated omission, Tene): what is due and held back by credits waits in
the account until it is acked, and what never is counts with the time it has waited when the run
ends.
"""

from load_tests.harness.histogram import Histogram
from load_tests.harness.scenarios import Schedule


class Accounts:
    """Of all cameras of one process. Times are seconds since the run began."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.scored: dict[str, int] = {}
        self.by_second: dict[int, Histogram] = {}
        self.acked_in: dict[int, int] = {}
        self._fresh = Histogram()

    def acked(self, camera: str, seq: int, at_s: float) -> bool:
        """All up to `seq` is acked; whether that is news."""
        before = self.scored.get(camera, 0)
        if seq <= before:
            return False
        self.scored[camera] = seq
        self.acked_in[int(at_s)] = self.acked_in.get(int(at_s), 0) + seq - before
        for one in range(before + 1, seq + 1):
            due = self.schedule.at(one)
            self.by_second.setdefault(int(due), Histogram()).add(at_s - due)
            self._fresh.add(at_s - due)
        return True

    def fresh(self) -> dict[int, int]:
        """The latencies since the last call."""
        found, self._fresh = dict(self._fresh.counts), Histogram()
        return found

    def close(self, cameras: list[str], at_s: float) -> int:
        """The run is over: whatever was due and has no ack counts as late as it is now; how many
        that are."""
        left = 0
        for camera in cameras:
            for seq in range(self.scored.get(camera, 0) + 1, self.schedule.total() + 1):
                due = self.schedule.at(seq)
                self.by_second.setdefault(int(due), Histogram()).add(at_s - due)
                left += 1
        return left
