"""The bench beside the peers, in small."""

from load_tests import bench_peers, naive_peers, peer_daemons


def test_every_peer_is_measured_or_called_absent() -> None:
    measured = bench_peers.run(1, clients=20, rounds=1, publications=8)
    there = {name: naive_peers.present(name) for name in naive_peers.PACKAGES}
    there |= {name: peer_daemons.program(name) is not None for name in peer_daemons.PROGRAMS}
    for name, present in there.items():
        assert isinstance(measured.floor[name], dict) == present
        assert (f"eyrie_vs_{name}" in measured.ratios) == present
        assert present or str(measured.floor[name]).startswith("absent")
