"""A run while it goes: one line a second where nobody looks (pure)."""

from collections.abc import Sequence

from load_tests.run_result import Happened, Second


def line_of(second: Second, happened: Sequence[Happened]) -> str:
    """What a second showed, with what was done in it."""
    parts = "  ".join(f"{kind} {second.cpu[kind]:.2f}c {second.rss.get(kind, 0) / 2**20:.0f}M" for kind in sorted(second.cpu))
    done = "".join(f"  [{one.what}]" for one in happened if second.at_s - 1 < one.at_s <= second.at_s)
    return (
        f"{second.at_s:6.1f} s  due {second.due:,.0f}/s sent {second.sent:,.0f}/s acked {second.acked:,.0f}/s  "
        f"ack p50 {second.p50_s * 1e3:.0f} p99 {second.p99_s * 1e3:.0f} ms  oldest {second.oldest_s:.1f} s  credits {second.credits:,}  "
        f"dashboards {second.live} p99 {second.age_p99_s * 1e3:.0f} ms  gaps {second.gaps}  {parts}{done}"
    )
