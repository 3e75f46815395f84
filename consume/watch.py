"""Look at a stream: a line for each event, as it comes.

eyrie sinks where --json | python -m consume.watch [--count N]
"""

import argparse
import asyncio
import contextlib
import sys

import msgspec

from consume.consumer import Consumer, Transaction
from consume.errors import ConsumeError
from consume.judging import Message, StreamHole
from consume.memory import MemoryLedger
from consume.stream import Source


class _Enough(ConsumeError):
    """As many as were asked for."""


async def watch(source: Source, count: int) -> None:
    """Until `count` events were shown; 0: for ever."""
    shown = 0

    async def show(_transaction: Transaction, message: Message) -> None:
        nonlocal shown
        print(message.attributes.get("time", ""), message.id, message.type, flush=True)  # noqa: T201
        shown += 1
        if shown == count:
            raise _Enough

    async def tell(_transaction: Transaction, hole: StreamHole) -> None:
        print("missing before", hole.before, hole.reason, flush=True)  # noqa: T201

    with contextlib.suppress(_Enough):
        await Consumer(source, MemoryLedger(), show, on_hole=tell, joined=True).run()


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=0, help="end after so many; 0: never")
    count = parser.parse_args().count
    try:
        source = msgspec.json.decode(sys.stdin.buffer.read(64 * 1024), type=Source)
        asyncio.run(watch(source, count))
    except (ConsumeError, msgspec.MsgspecError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
