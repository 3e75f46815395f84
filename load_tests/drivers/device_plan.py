"""What a process that plays devices is asked to do, and what it answers: values that cross a
pipe."""

import msgspec


class DevicePlan(msgspec.Struct, frozen=True):
    """`proc` names the process and its history, the file `history`. `sockets`: the cameras of each,
    `ports` where each connects (a hub or a fault proxy). `rates`: `scenarios.Schedule`. `client`:
    by the public edge client instead of raw sockets. `faulty`: numbers of sockets whose links may
    end without a close frame. `resend_every`: after so many frames a device sends its last
    observations again."""

    proc: str
    history: str
    host: str
    ports: list[int]
    token: str
    session: str
    sockets: list[list[str]]
    rates: list[float]
    duration_s: float
    seed: int
    client: bool = False
    faulty: list[int] = []
    resend_every: int = 0


class DeviceProgress(msgspec.Struct, frozen=True):
    """How it goes, told about once a second. Totals since the beginning but for `latency`: buckets
    of a histogram of what was acked since the word before. `credits`: observations that may be sent
    now; `waiting`: due and not sent; `oldest_s`: how long the oldest observation without an ack has
    been due."""

    sent: int = 0
    acked: int = 0
    resent: int = 0
    credits: int = 0
    waiting: int = 0
    oldest_s: float = 0.0
    latency: dict[int, int] = {}


class Drove(msgspec.Struct, frozen=True):
    """The end of it. Latencies run from when an observation was due to its ack, in buckets of
    `load_tests.harness.histogram` by the second in which it was due; what was due and never acked
    counts with the time it had waited (`unanswered`). `acked_in`: acks by the second they came."""

    sent: dict[str, int]
    acked: dict[str, int]
    resent: int
    connections: int
    unanswered: int
    cpu_s: float
    by_second: dict[int, dict[int, int]]
    acked_in: dict[int, int]
