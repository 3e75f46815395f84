"""The bench beside the peers, in small."""

import pytest

from load_tests.benches.fanout import daemon_peers, peers, python_peers


@pytest.mark.prove  # `bench fanout` in small runs always: what is further here are the peers
def test_every_peer_is_measured_or_called_absent() -> None:
    measured = peers.run(1, clients=20, rounds=1, publications=8)
    there = {name: python_peers.present(name) for name in python_peers.PACKAGES}
    there |= {name: daemon_peers.program(name) is not None for name in daemon_peers.PROGRAMS}
    for name, present in there.items():
        assert isinstance(measured.floor[name], dict) == present
        assert (f"eyrie_vs_{name}" in measured.ratios) == present
        assert present or str(measured.floor[name]).startswith("absent")
