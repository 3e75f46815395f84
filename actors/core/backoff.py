"""How long to wait before a retry: doubling bounds, full jitter (pure)."""

from dataclasses import dataclass

BASE_S = 0.5
CAP_S = 30.0


def bound_s(attempts: int, base_s: float, cap_s: float) -> float:
    """`base_s` doubled `attempts` times, at most `cap_s`; seconds."""
    return min(cap_s, base_s * 2.0 ** min(attempts, 32))


@dataclass(slots=True)
class Backoff:
    """Full jitter: each wait is uniform between 0 and a bound that doubles up to `cap_s`."""

    base_s: float = BASE_S
    cap_s: float = CAP_S
    attempts: int = 0

    def wait_s(self, chance: float) -> float:
        """The next wait for `chance` in 0..1."""
        bound = bound_s(self.attempts, self.base_s, self.cap_s)
        self.attempts += 1
        return bound * chance

    def reset(self) -> None:
        """It worked: begin anew."""
        self.attempts = 0
