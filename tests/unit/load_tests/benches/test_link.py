"""The link bench carries real frames over real sockets, next to its floor."""

from load_tests.benches import link


def test_links_and_their_floor_are_measured_in_turns() -> None:
    measured = link.run(1, requests=50, rounds=2, ray_calls=0)
    assert set(measured.ratios) == {"link_vs_echo"}
    assert measured.ratios["link_vs_echo"] > 0
    assert set(measured.floor) == {"echo_us"}
    assert set(measured.figures) == {"item_bytes", "link_us"}
