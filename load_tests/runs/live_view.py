"""A run while it goes: on a terminal a screen that follows it, elsewhere one line a second."""

from collections.abc import Sequence
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from load_tests.harness.scenarios import Scenario
from load_tests.harness.terminal import say
from load_tests.runs.result import Happened, Second

HISTORY = 40  # seconds in a small curve
DONE_SHOWN = 6  # things done in the run that are listed
_LEVELS = "▁▂▃▄▅▆▇█"


class LiveView:
    """Use as a context; `say` takes words, `look` what every second shows."""

    def __init__(self, scenario: Scenario, seed: int, console: Console | None = None) -> None:
        self._console = console or Console()
        self._scenario = scenario
        self._seed = seed
        self._seconds: list[Second] = []
        self._happened: Sequence[Happened] = ()
        self._said = "starting a stack"
        self._live = (
            Live(console=self._console, refresh_per_second=4, transient=True)
            if self._console.is_terminal
            else None
        )

    def __enter__(self) -> "LiveView":
        if self._live is not None:
            self._live.start()
            self._live.update(self.screen())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, line: str) -> None:
        """What is being done now."""
        self._said = line
        if self._live is None:
            say(line)
        else:
            self._live.update(self.screen())

    def show(self, second: Second, happened: Sequence[Happened]) -> None:
        """What a second showed."""
        self._seconds.append(second)
        self._happened = happened
        if self._live is None:
            say(line_of(second, happened))
        else:
            self._live.update(self.screen())

    def screen(self) -> RenderableType:
        """All of it."""
        scenario = self._scenario
        title = (
            f"{scenario.name}, seed {self._seed}: {scenario.cameras} cameras, "
            f"{scenario.dashboards} dashboards"
        )
        if not self._seconds:
            return Panel(Text(self._said), title=title, title_align="left")
        parts: list[RenderableType] = [self._progress(), self._rates(), self._parts()]
        if self._happened:
            done = "  ".join(f"{one.at_s:.0f} s {one.what}" for one in self._happened[-DONE_SHOWN:])
            parts.append(Text(f"done: {done}", style="yellow"))
        parts.append(Text(self._said, style="dim", no_wrap=True, overflow="ellipsis"))
        return Panel(Group(*parts), title=title, title_align="left")

    def _progress(self) -> RenderableType:
        at_s, end_s = self._seconds[-1].at_s, self._scenario.duration_s
        row = Table.grid(padding=(0, 1), expand=True)
        row.add_column(ratio=1)
        row.add_column(justify="right", no_wrap=True)
        row.add_row(
            ProgressBar(total=end_s, completed=min(at_s, end_s)),
            f"{at_s:.0f} of {end_s:.0f} s, {max(0.0, end_s - at_s):.0f} s left",
        )
        return row

    def _rates(self) -> Table:
        now = self._seconds[-1]
        table = Table(box=None, pad_edge=False, show_header=False)
        for style in ("dim", "bold", "dim", "bold"):
            table.add_column(
                style=style,
                justify="right" if style == "bold" else "left",
                no_wrap=True,
                min_width=9,
            )
        table.add_column(style="cyan", no_wrap=True, overflow="crop")
        rows = (
            (
                "due /s",
                f"{now.due:,.0f}",
                "ack p50",
                ms(now.p50_s),
                [second.acked for second in self._seconds],
                "acked/s",
            ),
            (
                "sent /s",
                f"{now.sent:,.0f}",
                "ack p99",
                ms(now.p99_s),
                [second.p99_s for second in self._seconds],
                "p99",
            ),
            (
                "acked /s",
                f"{now.acked:,.0f}",
                "oldest",
                ms(now.oldest_s),
                [second.oldest_s for second in self._seconds],
                "oldest",
            ),
            (
                "credits",
                f"{now.credits:,}",
                "held back",
                f"{now.waiting:,}",
                [float(second.waiting) for second in self._seconds],
                "held back",
            ),
            (
                "dashboards",
                f"{now.live:,}",
                "age p99",
                ms(now.age_p99_s),
                [second.age_p99_s for second in self._seconds],
                "age",
            ),
            (
                "",
                "",
                "hub queue",
                ms(now.queue_age_s),
                [second.queue_age_s for second in self._seconds],
                "hub queue",
            ),
            (
                "events /s",
                f"{now.events:,.0f}",
                "gaps",
                f"{now.gaps:,}",
                [second.events for second in self._seconds],
                "events/s",
            ),
        )
        for first, one, second, two, curve, name in rows:
            bad = (second == "gaps" and now.gaps) or (
                first == "dashboards" and now.live < self._scenario.dashboards
            )
            table.add_row(
                first,
                one,
                second,
                Text(two, style="bold red") if bad else two,
                f"{small_curve(curve[-HISTORY:])} {name}",
            )
        return table

    def _parts(self) -> Table:
        now = self._seconds[-1]
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("part", min_width=9)
        table.add_column("cores", justify="right", min_width=9)
        table.add_column("memory", justify="right", min_width=9)
        table.add_column("cores, the last seconds", style="cyan", no_wrap=True, overflow="crop")
        for part in sorted(now.cpu):
            curve = [second.cpu.get(part, 0.0) for second in self._seconds[-HISTORY:]]
            table.add_row(
                part,
                f"{now.cpu[part]:.2f}",
                f"{now.rss.get(part, 0) / 2**20:,.0f} MiB",
                small_curve(curve, 1.0),
            )
        return table


def small_curve(values: Sequence[float], at_least: float = 0.0) -> str:
    """A line of eight levels; its top is the greatest value, or `at_least`."""
    top = max([at_least, *values]) or 1.0
    return "".join(
        _LEVELS[min(len(_LEVELS) - 1, int(value / top * len(_LEVELS)))] for value in values
    )


def ms(seconds: float) -> str:
    """Milliseconds below ten seconds."""
    return f"{seconds * 1e3:,.0f} ms" if seconds < 10 else f"{seconds:,.1f} s"


def line_of(second: Second, happened: Sequence[Happened]) -> str:
    """What a second showed, with what was done in it."""
    parts = "  ".join(
        f"{kind} {second.cpu[kind]:.2f}c {second.rss.get(kind, 0) / 2**20:.0f}M"
        for kind in sorted(second.cpu)
    )
    done = "".join(
        f"  [{one.what}]" for one in happened if second.at_s - 1 < one.at_s <= second.at_s
    )
    return (
        f"{second.at_s:6.1f} s  due {second.due:,.0f}/s sent {second.sent:,.0f}/s acked "
        f"{second.acked:,.0f}/s  "
        f"ack p50 {ms(second.p50_s)} p99 {ms(second.p99_s)}  oldest {ms(second.oldest_s)}  "
        f"credits {second.credits:,}  "
        f"dashboards {second.live} age p99 {ms(second.age_p99_s)}  gaps {second.gaps}  "
        f"{parts}{done}"
    )
