"""How much of a core this process uses, smoothed. One thread of Python gets no further than one."""

import time

from actors.core.cpu_share import CpuShare

_cost = CpuShare()
_seen = time.process_time()


def cpu() -> float:
    """Cores in use, over the last seconds. Cheap; to be asked now and then, the first answer covers
    the time since the import."""
    global _seen
    used, now = time.process_time(), time.monotonic()
    _cost.spent(max(0.0, used - _seen), now)
    _seen = used
    return _cost.share(now)
