"""A back end to start from: counts events by camera and type in a PostgreSQL of its own.

    eyrie sinks where --json | python -m consume.examples.tally postgresql://localhost/mine

Stop it, kill it, start it again: every event counts once. Run a second one with the same name: one
of the two ends. The tables `eyrie_consumer_dead_letters` and `eyrie_consumer_holes` say what went
wrong.
"""

import argparse
import asyncio
import logging
import sys

import asyncpg
import msgspec

from consume.consumer import Consumer, Transaction
from consume.errors import Refuse
from consume.judging import Message, StreamHole
from consume.ledger import Ledger
from consume.stream import Source

TABLE = """CREATE TABLE IF NOT EXISTS tally (
    camera text, type text, events bigint NOT NULL, PRIMARY KEY (camera, type)
)"""
PAUSE_S = 2.0  # before going on after the database was away


async def effect(transaction: Transaction, message: Message) -> None:
    """What this back end does with an event. It writes by `transaction` alone: that is committed
    together with how far the consumer is, or not at all."""
    if "data" not in message.event() and "dataref" not in message.attributes:
        raise Refuse("an event without data")  # kept as a dead letter; the camera goes on
    await transaction.execute(
        "INSERT INTO tally VALUES ($1, $2, 1)"
        " ON CONFLICT (camera, type) DO UPDATE SET events = tally.events + 1",
        message.camera,
        message.type,
    )


async def on_hole(transaction: Transaction, hole: StreamHole) -> None:
    """Events are missing. It stands in `eyrie_consumer_holes`; a ledger that must be whole would
    raise here instead, and wait for a person."""
    logging.warning("%s: nothing between %s and %s", hole.camera, hole.after, hole.before)


async def run(dsn: str, source: Source, name: str, *, until_idle: bool = False) -> None:
    """One life of the consumer."""
    connection = await asyncpg.connect(dsn)
    try:
        ledger = Ledger(connection, name)
        await ledger.prepare()
        await connection.execute(TABLE)
        away = (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError)
        consumer = Consumer(source, ledger, effect, on_hole=on_hole, passing=away)
        await consumer.run(until_idle=until_idle)
    finally:
        await connection.close()


async def for_ever(dsn: str, source: Source, name: str) -> None:
    """Again whenever the database was away."""
    while True:
        try:
            await run(dsn, source, name)
        except (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError) as error:
            logging.warning("the database is away: %s", error)
            await asyncio.sleep(PAUSE_S)


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("dsn", help="a database of this back end's own")
    parser.add_argument("--name", default="tally", help="of the consumer")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    source = msgspec.json.decode(sys.stdin.buffer.read(64 * 1024), type=Source)
    asyncio.run(for_ever(given.dsn, source, given.name))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
