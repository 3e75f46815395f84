"""Deliveries to dashboards per CPU-second, next to two floors measured in the same run with the
same receiver.

(a) one prebuilt frame sent by non-blocking `send` on bare sockets, (b) a plain Starlette send loop,
(c) a hub's camera channel with one publication per loop turn, and coalesced with 16, (d) a hub's
wall of 50 cameras, counted in camera updates. Each server is a process of its own and measures its
own CPU; rounds alternate and the median counts.
"""

import multiprocessing
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from actors.core.errors import StartError
from load_tests.benches.fanout import daemon_peers, naive_server, servers
from load_tests.benches.fanout.receiver import receive
from load_tests.benches.fanout.servers import Report
from load_tests.harness.results import Measured, percentile

CLIENTS = 1000
MEMORY_CLIENTS = 5000  # connections whose memory is compared
ROUNDS = 3
PUBLICATIONS = 60  # of a round
WALL_PUBLICATIONS = 12
SMALL_PART_BYTES = 200  # of a client; parts below it are told together
ANSWER_S = 120.0  # a child that says nothing for so long has failed
BURST = 16


class Outcome(msgspec.Struct, frozen=True):
    """One server's figures: medians of its rounds, `per_cpu_s_spread` the least and the greatest of
    them. Latencies in seconds; `bytes_per_client` and its `parts` (package → bytes) only where
    measured."""

    per_cpu_s: float
    per_s: float
    p50_s: float
    p99_s: float
    bytes_per_client: float
    parts: dict[str, float] = {}
    per_cpu_s_spread: tuple[float, float] = (0.0, 0.0)


def run(seed: int, *, clients: int = CLIENTS, rounds: int = ROUNDS) -> Measured:
    """The whole bench. `seed` is taken for uniformity: nothing in it is random."""
    measured = {
        "raw": measure(servers.raw, clients, rounds, PUBLICATIONS),
        "naive": measure(naive_server.naive, clients, rounds, PUBLICATIONS),
        "camera": measure(servers.camera, clients, rounds, PUBLICATIONS),
        "coalesced": measure(
            partial(servers.camera, burst=BURST), clients, rounds, PUBLICATIONS * 4
        ),
        "wall": measure(servers.wall, clients, rounds, WALL_PUBLICATIONS),
    }
    nats = (
        measure(partial(daemon_peers.nats, burst=BURST), clients, rounds, PUBLICATIONS * 4)
        if daemon_peers.program("nats")
        else None
    )
    many = MEMORY_CLIENTS if clients == CLIENTS else clients
    memory = {
        "bare": measure(naive_server.naive, many, 0, 0).bytes_per_client,
        "idle": measure(servers.idle, many, 0, 0).bytes_per_client,
        "subscribed": measure(servers.camera, many, 0, 0).bytes_per_client,
    }
    raw, naive, camera, wall = (measured[name] for name in ("raw", "naive", "camera", "wall"))
    figures: dict[str, object] = {"seed": seed, "clients": clients, "rounds": rounds}
    figures |= {
        name: msgspec.to_builtins(measured[name]) for name in ("camera", "coalesced", "wall")
    }
    figures["memory"] = {"connections": many} | {
        f"{name}_bytes_per_client": size for name, size in memory.items()
    }
    figures["idle_memory_by_part"] = _largest(
        measure(servers.traced, min(many, CLIENTS), 0, 0).parts, memory["idle"]
    )
    return Measured(
        figures=figures,
        floor={
            "raw": msgspec.to_builtins(raw),
            "naive": msgspec.to_builtins(naive),
            "nats_coalesced": msgspec.to_builtins(nats)
            if nats
            else "absent: no NATS server on this machine (make peers)",
        },
        ratios={
            "camera_vs_raw": camera.per_cpu_s / raw.per_cpu_s,
            "camera_vs_naive": camera.per_cpu_s / naive.per_cpu_s,
            "raw_vs_naive": raw.per_cpu_s / naive.per_cpu_s,
            "wall_vs_naive": wall.per_cpu_s / naive.per_cpu_s,
            "idle_vs_bare": memory["idle"] / memory["bare"],
            "subscribed_vs_bare": memory["subscribed"] / memory["bare"],
        }
        | ({"coalesced_vs_nats": measured["coalesced"].per_cpu_s / nats.per_cpu_s} if nats else {}),
    )


def _largest(parts: dict[str, float], whole: float) -> dict[str, float]:
    """Bytes of one client by the part that made them, the small ones together; what Python's
    tracing does not see (the event loop's own memory, what the allocator keeps) is what is missing
    to `whole`."""
    named = {
        part: size
        for part, size in sorted(parts.items(), key=lambda item: -item[1])
        if size >= SMALL_PART_BYTES
    }
    rest = {
        "small parts": sum(parts.values()) - sum(named.values()),
        "outside Python's objects": whole - sum(parts.values()),
    }
    return named | rest


def measure(server: Callable[..., None], clients: int, rounds: int, publications: int) -> Outcome:
    """One server against the receiver. `server` gets (pipe, progress file, clients, rounds,
    publications) in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with tempfile.NamedTemporaryFile(prefix="eyrie-bench-") as progress:
        progress.write(bytes(8))
        progress.flush()
        to_server, server_end = context.Pipe()
        to_receiver, receiver_end = context.Pipe()
        children = [
            context.Process(
                target=server,
                args=(server_end, progress.name, clients, rounds, publications),
                daemon=True,
            ),
            context.Process(target=receive, args=(receiver_end, progress.name), daemon=True),
        ]
        for child in children:
            child.start()
        try:
            return _converse(to_server, to_receiver)
        finally:
            for child in children:
                child.join(10)
                if child.is_alive():
                    child.kill()
                    child.join()


def _converse(to_server: Connection, to_receiver: Connection) -> Outcome:
    to_receiver.send(_hear(to_server))
    _hear(to_receiver)
    to_server.send("go")
    reports: list[Report] = []
    bytes_per_client = 0.0
    parts: dict[str, float] = {}
    while (said := _hear(to_server)) != "paced":
        if isinstance(said, Report):
            reports.append(said)
        elif isinstance(said, dict):
            parts = said
        else:
            bytes_per_client = said
    to_receiver.send("report")
    _hear(to_receiver)  # the latencies of full load are a matter of the window, not of the server
    _hear(to_server)
    to_receiver.send("report")
    latencies = sorted(_hear(to_receiver))
    to_receiver.send("end")
    to_server.send("end")
    per_cpu_s = [report.messages / report.cpu_s for report in reports]
    return Outcome(
        per_cpu_s=statistics.median(per_cpu_s) if per_cpu_s else 0.0,
        per_s=statistics.median(report.messages / report.wall_s for report in reports)
        if reports
        else 0.0,
        p50_s=percentile(latencies, 0.50),
        p99_s=percentile(latencies, 0.99),
        bytes_per_client=bytes_per_client,
        parts=parts,
        per_cpu_s_spread=(min(per_cpu_s, default=0.0), max(per_cpu_s, default=0.0)),
    )


def _hear(pipe: Connection) -> Any:
    try:
        if pipe.poll(ANSWER_S):
            return pipe.recv()
    except EOFError as error:
        raise StartError(
            "a process of the bench ended early", hint="Run it again; its own output says why."
        ) from error
    raise StartError(
        "a process of the bench does not answer", hint="Run it again on a quieter machine."
    )
