"""Bad links of a scenario: fault proxies in a process of their own, and the seeded plan of what
happens on them when."""

import asyncio
import random
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import uvloop

from load_tests.drivers.fault_proxy import Cut, FaultProxy, Where
from load_tests.harness.recording import Recorder
from load_tests.harness.scenarios import Fault, FaultKind, Links

QUIET_S = 2.0  # seconds at either end of a run in which nothing is planned
CUTS: Sequence[Where] = ("before", "header", "payload", "sent", "acked")
HAPPEN_S = 20.0  # seconds within which the next frame must come by that a planned fault hits


class Planned(msgspec.Struct, frozen=True):
    """A fault `at_s` after the run's beginning, for `for_s`, on the links number `links`. `detail`:
    where it cuts or what it flips."""

    at_s: float
    links: int
    kind: FaultKind
    for_s: float
    detail: str = ""


class LinksPlan(msgspec.Struct, frozen=True):
    """What the process is asked to do."""

    target: tuple[str, int]
    links: list[Links]
    planned: list[Planned]
    seed: int
    history: str


def plan(links: Sequence[Links], duration_s: float, seed: int) -> list[Planned]:
    """Every fault about every `every_s` (± a quarter, by the seed), none in the last seconds of the
    run (pure)."""
    dice = random.Random(f"{seed}/links")
    found = []
    for number, one in enumerate(links):
        for fault in one.faults:
            at_s = QUIET_S + fault.every_s * dice.uniform(0.25, 0.75)
            while at_s + fault.for_s < duration_s - QUIET_S:
                found.append(
                    Planned(round(at_s, 2), number, fault.kind, fault.for_s, _detail(fault, dice))
                )
                at_s += fault.every_s * dice.uniform(0.75, 1.25)
    return sorted(found, key=lambda planned: planned.at_s)


def _detail(fault: Fault, dice: random.Random) -> str:
    if fault.kind == "cut":
        return dice.choice(CUTS)
    if fault.kind == "corrupt":
        return dice.choice(("header", "payload"))
    return ""


def carry(pipe: Connection, wanted: LinksPlan) -> None:
    """The process. Says the ports of its proxies, is told when to begin (perf_counter), says every
    fault that has really happened as (seconds since then, text); does a fault that it is sent, at
    once; ``over`` heals everything and is answered by None."""
    with (
        Recorder(Path(wanted.history), "links") as recorder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(_carry(pipe, wanted, recorder))


async def _carry(pipe: Connection, wanted: LinksPlan, recorder: Recorder) -> None:
    proxies = [
        FaultProxy(wanted.target, seed=wanted.seed + number) for number in range(len(wanted.links))
    ]
    for proxy, links in zip(proxies, wanted.links, strict=True):
        proxy.latency_s, proxy.jitter_s = links.latency_ms / 1e3, links.jitter_ms / 1e3
        if links.bytes_per_s:
            proxy.bytes_per_s = {"edge": links.bytes_per_s, "hub": links.bytes_per_s}
        proxy.flips_hit = _is_observe
        await proxy.__aenter__()
    pipe.send([proxy.port for proxy in proxies])
    began = await asyncio.to_thread(pipe.recv)
    working = [
        asyncio.create_task(
            _work(
                pipe,
                [fault for fault in wanted.planned if fault.links == number],
                proxy,
                recorder,
                began,
            )
        )
        for number, proxy in enumerate(proxies)
        if began is not None
    ]
    said: object = began
    while said is not None:
        said = await asyncio.to_thread(pipe.recv)
        if isinstance(said, Planned):
            working.append(
                asyncio.create_task(_do(pipe, said, proxies[said.links], recorder, began))
            )
        if said == "over":
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
            for proxy in proxies:
                _heal(proxy)
            pipe.send(None)
    for proxy in proxies:
        await proxy.__aexit__(None, None, None)


async def _work(
    pipe: Connection,
    planned: Sequence[Planned],
    proxy: FaultProxy,
    recorder: Recorder,
    began: float,
) -> None:
    """The faults of one proxy, one after the other."""
    for fault in planned:
        await asyncio.sleep(max(0.0, began + fault.at_s - time.perf_counter()))
        await _do(pipe, fault, proxy, recorder, began)


async def _do(
    pipe: Connection, fault: Planned, proxy: FaultProxy, recorder: Recorder, began: float
) -> None:
    recorder.note("invoke", "fault", type=fault.kind, reason=fault.detail)
    happened = await _inflict(proxy, fault)
    recorder.note("ok" if happened else "fail", "fault", type=fault.kind, reason=fault.detail)
    recorder.flush()
    if happened:
        pipe.send((round(time.perf_counter() - began, 2), f"{fault.kind} {fault.detail}".strip()))


async def _inflict(proxy: FaultProxy, fault: Planned) -> bool:
    """Carry one fault out; whether it really happened."""
    before, carried, thrown = len(proxy.cuts), sum(proxy.bytes.values()), proxy.thrown_away
    match fault.kind:
        case "cut":
            proxy.plan.append(Cut(fault.detail, _is_observe, _is_ack))  # type: ignore[arg-type]
        case "corrupt":
            proxy.flips.append(fault.detail)  # type: ignore[arg-type]
        case "half-open":
            proxy.lost.add("hub")
            await asyncio.sleep(fault.for_s)
            proxy.lost.clear()
            return proxy.thrown_away > thrown
        case "blackhole":
            proxy.stalled.update(("edge", "hub"))
            await asyncio.sleep(0.1)  # what is under way already
            carried = sum(proxy.bytes.values())
            await asyncio.sleep(fault.for_s)
            still = sum(proxy.bytes.values()) == carried
            proxy.stalled.clear()
            return still and bool(proxy.open)
        case "reset":
            links = list(proxy.open)
            for link in links:
                link.end("rst")
            return bool(links)
    deadline = time.monotonic() + HAPPEN_S
    while len(proxy.cuts) == before and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    return len(proxy.cuts) > before


def _heal(proxy: FaultProxy) -> None:
    """From now on the links only carry."""
    proxy.latency_s = proxy.jitter_s = 0.0
    proxy.bytes_per_s.clear()
    proxy.lost.clear()
    proxy.stalled.clear()
    proxy.plan.clear()
    proxy.flips.clear()


def _is_observe(payload: bytes) -> bool:
    return b"observe" in payload[:40]


def _is_ack(payload: bytes) -> bool:
    return b"ack" in payload[:40]
