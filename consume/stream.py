"""Reading a stream of NATS JetStream in its order: a connection that is never mended, and of it one
consumer that acks nothing. How far we are is kept elsewhere, so a broker's word about it is not
needed.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from consume.errors import Away, BrokerRefuses

TIMEOUT_S = 5.0  # of one request
CLOSE_S = 2.0  # a connection takes to close
BATCH = 256  # messages asked for at once
WAIT_S = 1.0  # that the broker waits for the first of them
FORGET_S = 60.0  # after which a broker forgets a consumer that asks nothing
NO_MESSAGE = 10037
REFUSED = "authorization violation"

_closing: set[asyncio.Task[None]] = set()  # connections on their way out


class Source(msgspec.Struct, frozen=True):
    """Where a stream is. `subject` may narrow it, by whole cameras: ``eyrie.v1.<site>.>``."""

    url: str
    token_file: str = ""
    stream: str = "EYRIE_EVENTS"
    subject: str = "eyrie.v1.>"


class StreamRange(msgspec.Struct, frozen=True):
    """The numbers that a stream holds; `first` is one more than `last` where it is empty."""

    first: int
    last: int


class Raw(msgspec.Struct, frozen=True):
    """A message as it came; headers by lower-case names."""

    place: int
    headers: dict[str, str]
    data: bytes


class StreamReader:
    """One connection. Every method raises Away, BrokerRefuses."""

    def __init__(self, client: Client, source: Source) -> None:
        self._client = client
        self._source = source

    @classmethod
    async def open(cls, source: Source) -> "StreamReader":
        """Reach the broker."""
        token = await asyncio.to_thread(_token, source.token_file)
        client = Client()

        async def ignore(_error: Exception) -> None:
            """What matters of it, requests tell."""

        try:
            await client.connect(
                source.url,
                name="eyrie consumer",
                allow_reconnect=False,
                connect_timeout=5,
                error_cb=ignore,
                token=token or None,
            )
        except BaseException as error:  # a connection half made is nobody's but ours
            await cls(client, source).close()
            if isinstance(error, nats.errors.Error) and REFUSED in str(error).lower():
                raise BrokerRefuses("NATS refuses our token") from error
            if isinstance(error, nats.errors.Error | OSError | TimeoutError):
                raise Away(f"NATS cannot be reached: {type(error).__name__}: {error}") from error
            raise
        return cls(client, source)

    async def close(self) -> None:
        """Goes on by itself where it is cancelled: a client that was stopped on its way out is
        closed by nobody any more. Raises nothing else."""
        closing = asyncio.create_task(self._close(), name="nats-close")
        _closing.add(closing)
        closing.add_done_callback(_closing.discard)
        await asyncio.shield(closing)

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._client.close()
        except (nats.errors.Error, OSError, TimeoutError):
            return

    async def range(self) -> StreamRange:
        """What is there."""
        told = await self._api(f"STREAM.INFO.{self._source.stream}", {})
        return StreamRange(int(told["state"]["first_seq"]), int(told["state"]["last_seq"]))

    async def id_at(self, place: int) -> str | None:
        """The id of one message; None: it is not there."""
        asked = {"seq": place}
        told = await self._api(f"STREAM.MSG.GET.{self._source.stream}", asked, missing=NO_MESSAGE)
        if told is None:
            return None
        lines = base64.b64decode(told["message"].get("hdrs") or "").decode("utf-8", "replace")
        for line in lines.split("\r\n"):
            name, _, value = line.partition(":")
            if name.strip().lower() == "nats-msg-id":
                return unquote(value.strip())
        return ""

    async def read(self, start: int) -> AsyncIterator[Raw | None]:
        """Messages from number `start` on, in order, for ever; None whenever there is none now."""
        name = await self._consumer(start)
        inbox = self._client.new_inbox()
        try:
            subscription = await self._client.subscribe(inbox)
        except (nats.errors.Error, OSError) as error:
            raise Away(f"NATS: {error}") from error
        number = 0
        while True:
            await self._ask(name, inbox)
            left = BATCH
            while left:
                message = await _next(subscription)
                status = (message.headers or {}).get("Status")
                if status is not None:
                    if status not in ("404", "408"):
                        raise Away(f"NATS ends our reading: {status}")
                    yield None
                    break
                place, given = _numbers(message.reply)
                number += 1
                if given != number:
                    raise Away("a message was lost on its way")
                left -= 1
                headers = {k.lower(): str(v) for k, v in (message.headers or {}).items()}
                yield Raw(place, headers, message.data)

    async def _consumer(self, start: int) -> str:
        stream = self._source.stream
        config = {
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": max(1, start),
            "ack_policy": "none",
            "max_deliver": 1,
            "filter_subject": self._source.subject,
            "mem_storage": True,
            "num_replicas": 1,
            "inactive_threshold": int(FORGET_S * 1e9),
        }
        asked = {"stream_name": stream, "config": config}
        told = await self._api(f"CONSUMER.CREATE.{stream}", asked)
        return str(told["name"])

    async def _ask(self, consumer: str, inbox: str) -> None:
        asked = msgspec.json.encode({"batch": BATCH, "expires": int(WAIT_S * 1e9)})
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._source.stream}.{consumer}"
        try:
            await self._client.publish(subject, asked, reply=inbox)
        except (nats.errors.Error, OSError) as error:
            raise Away(f"NATS: {error}") from error

    async def _api(self, path: str, asked: Mapping[str, Any], missing: int = 0) -> Any:
        try:
            answer = await self._client.request(
                f"$JS.API.{path}", msgspec.json.encode(asked), timeout=TIMEOUT_S
            )
        except (nats.errors.Error, OSError, TimeoutError) as error:
            raise Away(f"NATS: {type(error).__name__}: {error}") from error
        told = msgspec.json.decode(answer.data)
        problem = told.get("error")
        if problem is None:
            return told
        if missing and problem.get("err_code") == missing:
            return None
        said = f"JetStream: {problem.get('description')} ({problem.get('err_code')})"
        raise BrokerRefuses(said) if problem.get("code") == 404 else Away(said)


async def _next(subscription: Subscription) -> Msg:
    try:
        return await subscription.next_msg(timeout=WAIT_S + TIMEOUT_S)
    except (nats.errors.Error, OSError, TimeoutError) as error:
        raise Away(f"NATS: {type(error).__name__}: {error}") from error


def _numbers(reply: str) -> tuple[int, int]:
    """(number in the stream, number for us) out of ``$JS.ACK.…`` (old form: 9 tokens; with domain
    and account: 11 or more)."""
    tokens = reply.split(".")
    first = 5 if len(tokens) == 9 else 7
    return int(tokens[first]), int(tokens[first + 1])


def _token(path: str) -> str:
    """Blocking. Raises BrokerRefuses."""
    if not path:
        return ""
    try:
        return Path(path).expanduser().read_text("utf-8").strip()
    except OSError as error:
        raise BrokerRefuses(f"the token cannot be read: {error}") from error
