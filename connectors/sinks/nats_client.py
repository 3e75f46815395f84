"""The little that we ask of NATS: requests, and JetStream's API by its JSON messages (nats.docs,
"JetStream wire API"; ADR-50 for atomic batches).

nats-py's own JetStream context is not used: its `publish_async` never ends where the server answers
by an error, and knows no batches. A connection is never mended: its end is an unknown outcome, and
whoever goes on asks first what the stream holds.
"""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import nats.errors
from nats.aio.client import Client

from actors.core.errors import ConfigError, Unavailable

TIMEOUT_S = 5.0  # of one request
CLOSE_S = 2.0  # a connection takes to close
REFUSED = "authorization violation"  # as the server says it
NO_MESSAGE = 10037
WRONG_SEQUENCE = 10071
DUPLICATE = 10201  # a batch that holds an id of the window of duplicates

_closing: set[asyncio.Task[None]] = set()  # connections on their way out


class Rejected(Unavailable):
    """The broker refused, and has stored nothing. `err_code` is JetStream's."""

    err_code = 0


class Outgoing(msgspec.Struct, frozen=True):
    """One message of a batch."""

    subject: str
    headers: dict[str, str]
    body: bytes


class StreamState(msgspec.Struct, frozen=True):
    """`last`: the highest number that the stream ever gave, as it knows; `batches`: whether it
    takes atomic ones."""

    last: int
    batches: bool
    subjects: tuple[str, ...]


class LastMessage(msgspec.Struct, frozen=True):
    """The last one of a subject. Headers by lower-case names."""

    number: int
    headers: dict[str, str]


class NatsLink:
    """One connection. Every method raises Unavailable where the outcome is unknown, and
    :class:`Rejected` where the broker has stored nothing."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @classmethod
    async def open(cls, url: str, token: str = "") -> "NatsLink":
        """Raises Unavailable, ConfigError."""
        client = Client()

        async def ignore(_error: Exception) -> None:
            """What matters of it, requests tell."""

        try:
            await client.connect(
                url,
                name="eyrie sinks",
                allow_reconnect=False,
                connect_timeout=5,
                error_cb=ignore,
                token=token or None,
            )
        except BaseException as error:  # a connection half made is nobody's but ours
            await cls(client).close()
            if isinstance(error, nats.errors.Error) and REFUSED in str(error).lower():
                raise ConfigError("NATS refuses our token") from error
            if isinstance(error, nats.errors.Error | OSError | TimeoutError):
                why = f"{type(error).__name__}: {error}"
                raise Unavailable(f"NATS cannot be reached: {why}") from error
            raise
        return cls(client)

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

    @property
    def max_payload(self) -> int:
        """Bytes of one message, its headers included."""
        return int(self._client.max_payload)

    async def stream(self, name: str) -> StreamState | None:
        """None: it is not there."""
        told = await self._api(f"STREAM.INFO.{name}", {})
        if "error" in told:
            if told["error"].get("code") == 404:
                return None
            raise _rejected(told["error"])
        config, state = told["config"], told["state"]
        batches = bool(config.get("allow_atomic"))
        return StreamState(int(state["last_seq"]), batches, tuple(config.get("subjects") or ()))

    async def make_stream(self, name: str, subjects: Sequence[str], max_age_s: float) -> None:
        """On disk; what is older than `max_age_s` goes."""
        config = {
            "name": name,
            "subjects": list(subjects),
            "retention": "limits",
            "storage": "file",
            "discard": "old",
            "max_age": int(max_age_s * 1e9),
            "num_replicas": 1,
            "duplicate_window": int(120e9),
            "allow_atomic": True,
        }
        told = await self._api(f"STREAM.CREATE.{name}", config)
        if "error" in told:
            raise _rejected(told["error"])

    async def last(self, stream: str, subject: str) -> LastMessage | None:
        """The last message of a subject, which may have wildcards."""
        told = await self._api(f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject})
        if "error" in told:
            if told["error"].get("err_code") == NO_MESSAGE:
                return None
            raise _rejected(told["error"])
        message = told["message"]
        return LastMessage(int(message["seq"]), _headers(message.get("hdrs", "")))

    async def publish_batch(self, id: str, messages: Sequence[Outgoing]) -> int:
        """All of them or none, in this order; the number of the last one. Their numbers follow each
        other."""
        for place, message in enumerate(messages, 1):
            headers = {**message.headers, "Nats-Batch-Id": id, "Nats-Batch-Sequence": str(place)}
            if place == len(messages):
                headers["Nats-Batch-Commit"] = "1"
            elif place > 1:  # only the first and the last are answered
                await self._publish(message.subject, message.body, headers)
                continue
            answer = await self._request(message.subject, message.body, headers)
            told = msgspec.json.decode(answer) if answer else {}
            if "error" in told:
                raise _rejected(told["error"])
            if place == len(messages):
                return int(told["seq"])
        raise ValueError("a batch has at least one message")

    async def _api(self, path: str, document: Mapping[str, Any]) -> dict[str, Any]:
        answer = await self._request(f"$JS.API.{path}", msgspec.json.encode(document), {})
        return dict(msgspec.json.decode(answer))

    async def _request(self, subject: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        try:
            answer = await self._client.request(
                subject, body, timeout=TIMEOUT_S, headers=dict(headers) or None
            )
        except nats.errors.NoRespondersError as error:
            raise Unavailable(f"NATS has no stream for {subject}, or no JetStream") from error
        except (nats.errors.Error, OSError, TimeoutError) as error:
            raise Unavailable(f"NATS: {type(error).__name__}: {error}") from error
        return bytes(answer.data)

    async def _publish(self, subject: str, body: bytes, headers: Mapping[str, str]) -> None:
        try:
            await self._client.publish(subject, body, headers=dict(headers))
        except (nats.errors.Error, OSError) as error:
            raise Unavailable(f"NATS: {type(error).__name__}: {error}") from error


def _rejected(error: Mapping[str, Any]) -> Rejected:
    made = Rejected(f"JetStream: {error.get('description')} ({error.get('err_code')})")
    made.err_code = int(error.get("err_code") or 0)
    return made


def _headers(encoded: str) -> dict[str, str]:
    lines = base64.b64decode(encoded).decode("utf-8", "replace").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
