"""Names of epochs."""

from storage.ports.epochs import new_epoch


def test_names_of_epochs_sort_by_age_and_differ() -> None:
    assert len(new_epoch()) == 12
    assert new_epoch(1_700_000_000.9) < new_epoch(1_700_000_002.0)
    assert len({new_epoch(1_700_000_000.0) for _ in range(20)}) > 1
