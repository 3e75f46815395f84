"""Ports of Ray: free ones of the range that ops configured, claimed from the choice on.

Seconds pass between the choice of a port and Ray listening on it. Meanwhile nobody listens there,
and another `eyrie up` of this machine would choose it too.
"""

import random
import socket
from collections.abc import Mapping, Sequence

from actors.core.errors import StartError

OWN_PORTS = 64  # the first ports of the range are for Ray itself, the rest for workers
WORKER_PORTS = 4_608  # workers' ports taken of the range, at most: one per camera slot, and some


class PortClaims:
    """Ports that no other start of this machine may choose while they are held here.

    A claim is a socket with an abstract name (`man 7 unix`): like the ports it belongs to a network
    namespace, whoever the users are, and it ends with its process, however that ends.
    """

    def __init__(self) -> None:
        self._held: dict[int, socket.socket] = {}

    def claim(self, port: int) -> bool:
        """Hold `port`; False when somebody else does."""
        if port in self._held:
            return True
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0eyrie.port.{port}")
        except OSError:
            claim.close()
            return False
        self._held[port] = claim
        return True

    def release(self, *ports: int) -> None:
        """Give `ports` up, or all."""
        for port in ports or tuple(self._held):
            if (claim := self._held.pop(port, None)) is not None:
                claim.close()


class Ports:
    """Where one node's Ray listens: `fixed` by the option of ``ray start``, workers from `low` to
    `high`."""

    def __init__(self, fixed: Mapping[str, int], low: int, high: int) -> None:
        self.fixed = fixed
        self.low = low
        self.high = high

    @classmethod
    def chosen(
        cls, first: int, last: int, *, taken: int = 0, claims: PortClaims | None = None
    ) -> "Ports":
        """Free ones of the range `first` to `last` but `taken`. Workers start at a random place:
        several nodes may share a machine. Raises StartError."""
        names = ("node-manager-port", "object-manager-port", "runtime-env-agent-port")
        fixed = dict(
            zip(
                names,
                free_ports(
                    [port for port in range(first, first + OWN_PORTS) if port != taken],
                    len(names),
                    claims,
                ),
                strict=True,
            )
        )
        size = min(WORKER_PORTS, last - first - OWN_PORTS + 1)
        if size < 1:
            raise StartError(
                f"ray.port_min {first} and ray.port_max {last} leave no port for workers",
                hint="Make the range wider.",
            )
        low = random.randint(first + OWN_PORTS, last - size + 1)
        return cls(fixed, low, low + size - 1)

    def arguments(self) -> list[str]:
        """As ``ray start`` takes them."""
        return [
            *(f"--{name}={port}" for name, port in self.fixed.items()),
            f"--min-worker-port={self.low}",
            f"--max-worker-port={self.high}",
        ]


def free_ports(among: Sequence[int], count: int, claims: PortClaims | None = None) -> list[int]:
    """`count` ports of `among` that nobody listens on, on any interface, in random order; with
    `claims` also none that another start has claimed, and they are claimed. Raises StartError."""
    found: list[int] = []
    for port in random.sample(among, len(among)):
        if len(found) == count:
            break
        # First the claim: whoever gave it up meanwhile listens by now, or never will.
        if claims is not None and not claims.claim(port):
            continue
        if _nobody_listens(port):
            found.append(port)
        elif claims is not None:
            claims.release(port)
    if len(found) < count:
        raise StartError(
            f"Ray needs {count} free ports from {among[0]} to {among[-1]} and there are "
            f"{len(found)}",
            hint="Set ray.port_min and ray.port_max to another range.",
        )
    return found


def _nobody_listens(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True
