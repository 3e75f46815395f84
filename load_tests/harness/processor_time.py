"""Processor time that the product used between two readings, by kind of process."""


def cpu_between(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """Processor seconds that each kind of process used between two readings of
    `Stack.cpu_of_processes`.

    A process that ended in between counts nothing; as a difference of sums it would take back all
    that it ever used. A worker that became a camera keeps its number and not its name.
    """
    earlier = {name.rpartition(" ")[2]: seconds for name, seconds in before.items()}
    used: dict[str, float] = {}
    for name, seconds in after.items():
        kind, _, pid = name.partition(" ")
        used[kind] = used.get(kind, 0.0) + max(0.0, seconds - earlier.get(pid, 0.0))
    return used
