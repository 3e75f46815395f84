"""The peers of the field on the same work as a hub's camera channel: 1,000 subscribers, one
publication of 450 bytes at a time, and 16 at a time, with the receiver and the flow control of the
fan-out bench. Counted are deliveries per processor second of the server.

A peer that is not installed is reported as absent. `make peers` installs them all.
"""

from collections.abc import Callable
from functools import partial

import msgspec

from load_tests.benches.fanout import daemon_peers, python_peers
from load_tests.benches.fanout import servers as fanout_servers
from load_tests.benches.fanout.fanout import BURST, CLIENTS, PUBLICATIONS, ROUNDS, Outcome, measure
from load_tests.harness.results import Measured

Server = Callable[..., None]
ABSENT = "absent: not installed on this machine"


def run(
    seed: int, *, clients: int = CLIENTS, rounds: int = ROUNDS, publications: int = PUBLICATIONS
) -> Measured:
    """The whole bench. `seed` is taken for uniformity: nothing in it is random."""
    outcomes = {
        name: measure(
            server, clients, rounds, publications * (BURST // 4 if "coalesced" in name else 1)
        )
        for name, server in _servers()
    }
    present = {name.split("_", maxsplit=1)[0] for name in outcomes}
    absent = {
        name: ABSENT
        for name in (*python_peers.PACKAGES, *daemon_peers.PROGRAMS)
        if name not in present
    }
    figures: dict[str, object] = {"seed": seed, "clients": clients, "rounds": rounds}
    figures |= {
        name: msgspec.to_builtins(outcome)
        for name, outcome in outcomes.items()
        if name.startswith("eyrie")
    }
    floor: dict[str, object] = {
        name: msgspec.to_builtins(outcome)
        for name, outcome in outcomes.items()
        if not name.startswith("eyrie")
    }
    return Measured(figures=figures, floor=floor | absent, ratios=_ratios(outcomes))


def _servers() -> list[tuple[str, Server]]:
    servers: list[tuple[str, Server]] = [
        ("eyrie", fanout_servers.camera),
        ("eyrie_coalesced", partial(fanout_servers.camera, burst=BURST)),
    ]
    for name, server in (("socketio", python_peers.socketio), ("channels", python_peers.channels)):
        if python_peers.present(name):
            servers.append((name, server))
    for name, daemon in (("nats", daemon_peers.nats), ("centrifugo", daemon_peers.centrifugo)):
        if daemon_peers.program(name) is not None:
            servers += [(name, daemon), (f"{name}_coalesced", partial(daemon, burst=BURST))]
    return servers


def _ratios(outcomes: dict[str, Outcome]) -> dict[str, float]:
    """A hub's deliveries per processor second over each peer's, like with like."""
    ratios = {}
    for name, outcome in outcomes.items():
        if not name.startswith("eyrie"):
            own = outcomes["eyrie_coalesced" if name.endswith("_coalesced") else "eyrie"]
            ratios[f"eyrie_vs_{name}"] = own.per_cpu_s / outcome.per_cpu_s
    return ratios
