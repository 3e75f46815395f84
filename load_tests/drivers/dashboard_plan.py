"""What a process that plays dashboards is asked to do, and what it answers: values that cross a
pipe."""

import msgspec


class DashboardPlan(msgspec.Struct, frozen=True):
    """Where to connect, as whom (dashboards take the tokens in turn), and the site whose wall and
    events are watched. `history`: the file of the history of `proc`, none when empty. The first
    `slow` of the dashboards are slow when told, half of them stalled, half of a byte a second; they
    watch the channels `more` besides, so that there is something to be slow about. The first
    `through` of them connect to `proxy_port`, where connections may end without a close frame."""

    host: str
    port: int
    tokens: list[str]
    site: str
    clients: int
    history: str = ""
    proc: str = "dashboards"
    slow: int = 0
    through: int = 0
    proxy_port: int = 0
    more: list[str] = []


class FleetReport(msgspec.Struct):
    """What happened since the report before. `ages` are seconds; `back_s` from the loss to the
    recovered events lane, each time."""

    live: int = 0
    lost: int = 0
    back_s: list[float] = []
    unrecovered: int = 0
    twice: int = 0
    gaps: int = 0
    events: int = 0
    errors: list[str] = []
    closes: dict[int, int] = {}
    ages: list[float] = []
