"""Who plays which devices over which link, and what goes wrong when: decided by the scenario and
the seed alone."""

from pathlib import Path

import msgspec
import pytest

from load_tests.drivers.device_plan import DevicePlan
from load_tests.drivers.fault_links import QUIET_S, plan
from load_tests.harness.scenarios import READY_MADE, Fault, Links, Scenario
from load_tests.runs.device_plans import plans

NAMES = [f"cam-{number}" for number in range(20)]


def made(scenario: Scenario, proxies: list[int], seed: int = 1) -> list[DevicePlan]:
    return plans(
        scenario, NAMES, ("127.0.0.1", 8000), "token", "s1", proxies, seed, Path("histories")
    )


def test_every_camera_is_played_once_and_a_share_by_the_client() -> None:
    found = made(Scenario("x", cameras=20, sockets=5, client_share=0.2, drivers=2), [])
    assert sorted(
        camera for plan in found for socket in plan.sockets for camera in socket
    ) == sorted(NAMES)
    assert [(plan.proc, plan.client) for plan in found] == [
        ("raw-0", False),
        ("raw-1", False),
        ("client-0", True),
    ]
    assert sum(len(socket) for socket in found[-1].sockets) == 4
    assert sum(len(plan.sockets) for plan in found) == 5
    assert all(port == 8000 for plan in found for port in plan.ports)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_one_camera_alone_is_played_by_one_of_the_two(share: float) -> None:
    (found,) = plans(
        Scenario("x", client_share=share),
        NAMES[:1],
        ("h", 1),
        "token",
        "s1",
        [],
        1,
        Path("histories"),
    )
    assert (found.client, found.sockets) == (share == 1.0, [["cam-0"]])


def test_the_seed_decides_which_sockets_take_the_bad_links() -> None:
    links = [Links("edges", 0.5, faults=[Fault("cut")]), Links("dashboards"), Links("edges", 0.25)]
    scenario = Scenario("x", sockets=8, client_share=0.0, drivers=2, links=links)
    found = made(scenario, [1, 2, 3])
    ports = [port for plan in found for port in plan.ports]
    assert {port: ports.count(port) for port in set(ports)} == {8000: 2, 1: 4, 3: 2}
    assert all(plan.ports[number] == 1 for plan in found for number in plan.faulty)
    assert sum(len(plan.faulty) for plan in found) == 4
    assert [plan.ports for plan in made(scenario, [1, 2, 3])] == [plan.ports for plan in found]
    assert any(
        [p.ports for p in made(scenario, [1, 2, 3], seed)] != [p.ports for p in found]
        for seed in range(2, 6)
    )


def test_faults_are_planned_by_the_seed_and_leave_the_ends_alone() -> None:
    links = READY_MADE["bad-links"].links
    found = plan(links, 90.0, 7)
    assert found == plan(links, 90.0, 7) != plan(links, 90.0, 8)
    assert {fault.kind for fault in found} == {"cut", "corrupt", "half-open", "blackhole", "reset"}
    assert all(
        fault.at_s >= QUIET_S and fault.at_s + fault.for_s <= 90.0 - QUIET_S for fault in found
    )
    assert found == sorted(found, key=lambda fault: fault.at_s)
    every = msgspec.structs.replace(links[0], faults=[Fault("cut", 1.0)])
    assert 60 <= len(plan([every], 90.0, 1)) <= 110
