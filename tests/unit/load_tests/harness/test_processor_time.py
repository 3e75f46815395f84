"""Processor time between two readings."""

from load_tests.harness.processor_time import cpu_between


def test_a_process_that_ended_takes_nothing_back_and_one_that_changed_its_name_keeps_its_past() -> (
    None
):
    before = {"camera 10": 5.0, "ray 11": 0.5, "postgres 12": 1.0}
    after = {"camera 11": 0.75, "postgres 12": 1.25, "postgres 13": 0.125}
    assert cpu_between(before, after) == {"camera": 0.25, "postgres": 0.375}
