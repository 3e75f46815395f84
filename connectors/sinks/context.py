"""What a running sink works with, and what policy lets it have."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from actors.core.errors import NotFound
from connectors.sinks import spec as specs
from connectors.sinks.guard import Network
from connectors.sinks.http_client import HttpClient
from connectors.sinks.planning import SinkRuling
from connectors.sinks.spec import SinkSpec
from policy.decision import inputs
from policy.decision.bounds import UNCACHED
from policy.decision.model import Decider
from storage.ports.background.connectors import BreakerStore
from storage.ports.background.sinks import SinkRow, SinkStore


@dataclass
class SinkCounts:
    """Since the process began. `withheld`: events that policy or filter left out."""

    sent: int = 0
    withheld: int = 0
    failed: int = 0
    parked: int = 0
    lost: int = 0


@dataclass(frozen=True)
class SinkContext:
    """One per process. `key` seals secrets; `now_s`: seconds since 1970; `chance` gives 0..1;
    `idle_s`: between two looks that found nothing."""

    store: SinkStore
    breakers: BreakerStore
    decider: Decider
    key: bytes
    client: HttpClient
    allowed: Sequence[Network] = ()
    nats_url: str = ""
    nats_token: str = ""
    now_s: Callable[[], float] = time.time
    chance: Callable[[], float] = random.random
    idle_s: float = 0.5
    counts: SinkCounts = field(default_factory=SinkCounts)


class SinkPolicy:
    """Asks for the sink's own principal, camera by camera."""

    def __init__(self, name: str, spec: SinkSpec, decider: Decider) -> None:
        self._principal = specs.principal_of(name, spec.view)
        self._purpose = spec.view.purpose
        self._decider = decider

    async def ruling(self, camera: str, site: str, tags: Sequence[str]) -> SinkRuling | None:
        """What holds for a camera; None while nobody can say: nothing is passed on or over then."""
        decision = await self._decider.decide(
            inputs.on_channel(
                "history",
                self._principal,
                "camera",
                camera,
                site=site,
                tags=tags,
                purpose=self._purpose,
            )
        )
        if decision.allow:
            return SinkRuling(True, tuple(sorted(decision.redact)))
        return None if decision.reason in UNCACHED else SinkRuling(False)


async def stored(store: SinkStore, name: str) -> tuple[SinkRow, SinkSpec]:
    """A sink as it is now. Raises NotFound."""
    row = await store.get(name)
    if row is None:
        raise NotFound(f"there is no sink {name}", hint="`eyrie sinks list` shows what there is.")
    return row, specs.parse(row.spec)
