"""Which hubs are shown: those heard of lately, whatever lies in the table from before."""

from storage.ports.processes import HubRecord, living


def test_records_of_earlier_runs_and_of_another_clock_are_no_living_hubs() -> None:
    ages = {
        "earlier-run": 3_600.0,
        "now": 1.5,
        "just-killed": 9.0,
        "clock-set-back": -3_600.0,
        "newer": 0.1,
    }
    records = [
        HubRecord(name, "127.0.0.1", 8000, 1, started_us=n, age_s=age)
        for n, (name, age) in enumerate(ages.items())
    ]
    assert [hub.name for hub in living(records)] == ["newer", "now"]
