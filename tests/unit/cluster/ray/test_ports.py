"""Ports of Ray: inside the range that ops configured, none twice, and a clear word when there are
none."""

import os
import socket

import pytest

from actors.core.errors import StartError
from cluster.ray.ports import OWN_PORTS, WORKER_PORTS, PortClaims, Ports, free_ports

FIRST, LAST = 22_000, 31_999


def test_all_ports_lie_in_the_range_and_workers_get_none_of_ray_s_own() -> None:
    ports = Ports.chosen(FIRST, LAST)
    assert all(FIRST <= port < FIRST + OWN_PORTS for port in ports.fixed.values())
    assert len(set(ports.fixed.values())) == len(ports.fixed) == 3
    assert FIRST + OWN_PORTS <= ports.low <= ports.high <= LAST
    assert ports.high - ports.low + 1 == WORKER_PORTS


def test_a_narrow_range_is_used_to_its_end() -> None:
    ports = Ports.chosen(FIRST, FIRST + OWN_PORTS + 9)
    assert (ports.low, ports.high) == (FIRST + OWN_PORTS, FIRST + OWN_PORTS + 9)


def test_the_port_of_the_head_is_not_given_to_another_part() -> None:
    assert all(
        FIRST not in Ports.chosen(FIRST, LAST, taken=FIRST).fixed.values() for _ in range(50)
    )


def test_a_used_port_is_not_free_whatever_its_interface() -> None:
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        with pytest.raises(StartError, match="1 free ports") as refused:
            free_ports([used.getsockname()[1]], 1)
    assert "ray.port_min" in refused.value.next_step


def test_a_range_without_room_for_workers_is_refused() -> None:
    with pytest.raises(StartError, match="no port for workers"):
        Ports.chosen(FIRST, FIRST + OWN_PORTS - 1)


def test_a_claimed_port_is_nobody_else_s_though_nobody_listens_there() -> None:
    first, second = PortClaims(), PortClaims()
    try:
        (port,) = free_ports(range(FIRST, LAST), 1, first)
        assert first.claim(port)
        with pytest.raises(StartError, match="1 free ports"):
            free_ports([port], 1, second)
    finally:
        first.release()
        second.release()


def test_a_claim_is_given_up_and_a_port_in_use_leaves_none() -> None:
    first, second = PortClaims(), PortClaims()
    nobody_elses = 100_000 + os.getpid()  # no port at all
    try:
        assert first.claim(nobody_elses)
        assert not second.claim(nobody_elses)
        first.release()
        assert second.claim(nobody_elses)
        with socket.socket() as used:
            used.bind(("127.0.0.1", 0))
            port = used.getsockname()[1]
            with pytest.raises(StartError):
                free_ports([port], 1, first)
            assert second.claim(port)
    finally:
        first.release()
        second.release()


def test_two_nodes_that_start_at_once_share_no_port_of_ray_s_own() -> None:
    held = [PortClaims() for _ in range(4)]
    try:
        chosen = [
            port
            for claims in held
            for port in Ports.chosen(FIRST, LAST, claims=claims).fixed.values()
        ]
    finally:
        for claims in held:
            claims.release()
    assert len(set(chosen)) == len(chosen)
