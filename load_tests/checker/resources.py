"""I10: what a fault or a load took comes back once it is over, and neighbours stay within their
budget (pure)."""

from collections.abc import Mapping, Sequence

import msgspec

SHARE = 0.05
SPARE_OPEN = 8  # files and threads of a kind of process that may come and go
SPARE_BYTES = 64 * 2**20  # of a kind of process: caches that fill, and what an allocator keeps
KINDS = (
    "hub",
    "camera",
    "redis",
)  # the others open and touch what they like: PostgreSQL's backends its tables and shared buffers


class Resources(msgspec.Struct, frozen=True):
    """At one moment: `rss` in bytes by kind of process, `opened` files and threads
    (`Stack.opened`), bytes held in hubs for slow dashboards, and how many are slow."""

    rss: dict[str, int]
    opened: dict[str, int]
    held_bytes: float = 0.0
    slow: float = 0.0


def baseline(
    before: Resources, looks: Sequence[tuple[float, Mapping[str, int]]], disturbed_s: float
) -> Resources:
    """`before` with the memory of the calm load: its height in the first half of the run, before
    anything happened at `disturbed_s`. Caches fill while a load grows. `looks`: (seconds of the
    run, bytes by kind of process), at least one."""
    calm = [rss for at_s, rss in looks[: max(1, len(looks) // 2)] if at_s <= disturbed_s] or [
        looks[0][1]
    ]
    return msgspec.structs.replace(
        before,
        rss={
            kind: max([was, *(rss.get(kind, 0) for rss in calm)])
            for kind, was in before.rss.items()
        },
    )


def returned(before: Resources, after: Resources) -> list[str]:
    """What has not come back; nothing when all is well."""
    found = (
        [f"{after.held_bytes:.0f} bytes are still held for slow dashboards"]
        if after.held_bytes
        else []
    )
    found += [f"{after.slow:.0f} dashboards are still slow"] if after.slow else []
    opened = [
        {name: count for name, count in values.items() if name.split()[0] in KINDS}
        for values in (before.opened, after.opened)
    ]
    found += _beyond(
        opened[0], opened[1], SPARE_OPEN, "{name}: {after:.0f} open, {before:.0f} before"
    )
    memory = [{kind: values.get(kind, 0) for kind in KINDS} for values in (before.rss, after.rss)]
    found += _beyond(
        memory[0],
        memory[1],
        SPARE_BYTES,
        "memory of {name}: {after:.0f} bytes, {before:.0f} before",
    )
    return found


def within_budget(ages: Sequence[float], budget_s: float) -> list[str]:
    """Whether the 99th percentile of sorted `ages` is within the budget of the healthy
    dashboards."""
    if not ages:
        return []
    p99_s = ages[min(len(ages) - 1, int(len(ages) * 0.99))]
    return (
        [
            f"what healthy dashboards were shown was {p99_s:.3f} s old (p99), {budget_s:g} s are "
            "allowed"
        ]
        if p99_s > budget_s
        else []
    )


def _beyond(
    before: Mapping[str, int], after: Mapping[str, int], spare: int, text: str
) -> list[str]:
    return [
        text.format(name=name, before=before.get(name, 0), after=value)
        for name, value in after.items()
        if value > before.get(name, 0) * (1 + SHARE) + spare
    ]
