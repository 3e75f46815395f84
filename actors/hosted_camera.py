"""One camera as its actor process holds it: the core, its links, and where its stream stands in
PostgreSQL and Redis."""

from dataclasses import dataclass, field
from typing import Literal

from actors.core.camera.core import CameraCore
from actors.core.camera.mailbox import Mailbox
from actors.core.cpu_share import CpuShare
from actors.core.messages.commits import Activation
from actors.core.messages.deliveries import Attach


@dataclass(slots=True, eq=False)
class Hosted:
    """A camera of this process. `renewing`: the core is thrown away and an activation under the own
    name is due."""

    camera: str
    site: str
    generation: int
    core: CameraCore
    epoch: str
    offset: int  # the last committed event
    mailbox: Mailbox
    phase: Literal["active", "renewing"] = "active"
    links: dict[str, Attach] = field(default_factory=dict)
    opens: str | None = None  # a session the core waits for
    leaving: bool = False  # takes no more data
    paused: bool = False  # gives no more credits
    cost: CpuShare = field(default_factory=CpuShare)
    failures: int = 0  # steps or commits in a row that ended in an error of this camera alone
    version: int = 0  # of the last shown state
    behind: bool = True  # Redis must be compared and caught up before anything new is shown
    live_changed: bool = True
    wall_changed: bool = True
    live_due: float = 0.0  # monotonic: not shown again before
    shown_offset: int = 0  # offset of the last shown state
    summary: bytes = b""

    @property
    def key(self) -> tuple[str, str]:
        """(site, camera), as Redis is asked."""
        return (self.site, self.camera)

    def replace(self, activation: Activation, core: CameraCore) -> None:
        """A new activation of the same camera: a new generation, version and comparison with
        Redis."""
        self.site, self.generation, self.core = activation.site, activation.generation, core
        self.epoch, self.offset = activation.position.epoch, activation.position.last_offset
        self.phase, self.opens, self.version = "active", None, 0
        self.behind = self.live_changed = self.wall_changed = True
        self.live_due, self.summary = 0.0, b""
