"""`workers.breaker` under any history: when it lets through, and that it always does again."""

from hypothesis import given
from hypothesis import strategies as st

from workers.breaker import SECOND_US, Breaker, BreakerPolicy, admit, failed, succeeded

POLICIES = st.builds(
    BreakerPolicy,
    failures=st.integers(1, 10),
    open_s=st.floats(0.1, 60),
    longest_s=st.floats(60, 600),
    trial_s=st.floats(0.1, 60),
)
# what happens next: seconds pass, then somebody asks, succeeds or fails
STEPS = st.lists(
    st.tuples(st.floats(0, 100), st.sampled_from(["ask", "succeed", "fail"])), max_size=60
)


def run(policy: BreakerPolicy, steps: list[tuple[float, str]]) -> tuple[Breaker, int]:
    breaker, now = Breaker(), 1_000
    for wait_s, what in steps:
        now += round(wait_s * SECOND_US)
        if what == "ask":
            breaker = admit(breaker, policy, now) or breaker
        elif what == "succeed":
            breaker = succeeded(breaker)
        else:
            breaker = failed(breaker, policy, now)
    return breaker, now


@given(POLICIES, STEPS)
def test_after_its_time_somebody_is_always_let_through(
    policy: BreakerPolicy, steps: list[tuple[float, str]]
) -> None:
    breaker, now = run(policy, steps)
    assert breaker.until_us <= now + round(max(policy.longest_s, policy.trial_s) * SECOND_US)
    assert admit(breaker, policy, max(now, breaker.until_us)) is not None


@given(POLICIES, STEPS)
def test_one_trial_at_a_time(policy: BreakerPolicy, steps: list[tuple[float, str]]) -> None:
    breaker, now = run(policy, steps)
    if breaker.state == "closed":
        return
    now = max(now, breaker.until_us)
    trial = admit(breaker, policy, now)
    assert trial is not None
    assert trial.state == "half_open"
    assert admit(trial, policy, now) is None
    assert succeeded(trial) == Breaker()
    worse = failed(trial, policy, now)
    assert worse.state == "open"
    assert admit(worse, policy, now) is None


@given(POLICIES)
def test_it_opens_after_so_many_failures_in_a_row(policy: BreakerPolicy) -> None:
    breaker = Breaker()
    for _ in range(policy.failures - 1):
        breaker = failed(breaker, policy, 0)
        assert admit(breaker, policy, 0) == breaker
    assert succeeded(breaker) == Breaker()
    assert admit(failed(breaker, policy, 0), policy, 0) is None


@given(POLICIES, STEPS)
def test_a_late_success_does_not_close_what_is_open(
    policy: BreakerPolicy, steps: list[tuple[float, str]]
) -> None:
    breaker, now = run(policy, steps)
    if breaker.state == "open":
        assert succeeded(breaker) == breaker
        assert failed(breaker, policy, now) == breaker


def test_it_stays_open_longer_each_time_up_to_its_bound() -> None:
    policy = BreakerPolicy(failures=1, open_s=10, longest_s=35, trial_s=5)
    breaker, now, waits = Breaker(), 0, []
    for _ in range(4):
        breaker = failed(breaker, policy, now)
        waits.append((breaker.until_us - now) / SECOND_US)
        now = breaker.until_us
        breaker = admit(breaker, policy, now) or breaker
    assert waits == [10, 20, 35, 35]
