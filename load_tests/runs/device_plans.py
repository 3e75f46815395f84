"""Which process plays which devices over which link: the plans of a run's drivers (pure)."""

import random
from collections.abc import Sequence
from pathlib import Path

from load_tests.drivers.device_plan import DevicePlan
from load_tests.harness.scenarios import Scenario, rates


def plans(
    scenario: Scenario,
    names: Sequence[str],
    hub: tuple[str, int],
    token: str,
    session: str,
    proxies: Sequence[int],
    seed: int,
    folder: Path,
) -> list[DevicePlan]:
    """One for every driver process. `proxies`: the ports of `Scenario.links`; the seed decides
    which sockets go through them."""
    by_client = (
        min(len(names) - 1, round(len(names) * scenario.client_share))
        if len(names) > 1
        else round(scenario.client_share)
    )
    raw, client = names[: len(names) - by_client], names[len(names) - by_client :]
    groups = [raw[index :: scenario.drivers] for index in range(min(scenario.drivers, len(raw)))]
    processes = [(f"raw-{number}", group, False) for number, group in enumerate(groups)]
    processes += [("client-0", client, True)] if client else []
    sockets = [
        (proc, cameras)
        for proc, group, _ in processes
        for cameras in _shared(group, scenario.sockets, len(names))
    ]
    ports, faulty = _links(scenario, len(sockets), hub[1], proxies, seed)
    found = []
    for proc, _, is_client in processes:
        mine = [number for number, (whose, _) in enumerate(sockets) if whose == proc]
        found.append(
            DevicePlan(
                proc,
                str(folder / f"{proc}.jsonl"),
                hub[0],
                [ports[number] for number in mine],
                token,
                session,
                [list(sockets[number][1]) for number in mine],
                rates(scenario),
                scenario.duration_s,
                seed,
                is_client,
                [index for index, number in enumerate(mine) if number in faulty],
                scenario.resend_every,
            )
        )
    return found


def _shared(group: Sequence[str], sockets: int, cameras: int) -> list[Sequence[str]]:
    """The cameras of a process over its share of all sockets, at least one."""
    count = max(1, min(len(group), round(sockets * len(group) / cameras)))
    return [group[index::count] for index in range(count)]


def _links(
    scenario: Scenario, sockets: int, port: int, proxies: Sequence[int], seed: int
) -> tuple[list[int], set[int]]:
    """The port of every socket, and which of them are on links with faults."""
    ports, faulty = [port] * sockets, set[int]()
    order = list(range(sockets))
    random.Random(f"{seed}/sockets").shuffle(order)
    for links, proxy in zip(scenario.links, proxies, strict=True):
        if links.between != "edges":
            continue
        for number in order[: max(1, round(links.share * sockets))]:
            ports[number] = proxy
            if links.faults:
                faulty.add(number)
        order = order[max(1, round(links.share * sockets)) :]
    return ports, faulty
