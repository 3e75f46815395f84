"""Centrifugo's server API over HTTP, for suites and back ends made for it: ``POST /api/<method>``,
JSON in and out (compatibility profile).

Whoever calls proves it by the profile's key, in ``X-API-Key`` or as ``Authorization: apikey
<key>``. An answer is ``{"result": …}`` or, with status 200 as well, ``{"error": {"code",
"message"}}`` with the numbers of the client protocol.
"""

import os
import secrets
from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from actors.core.errors import BadInput, EyrieError, NotFound
from hub.compat.envelopes import ConnectionOrder
from hub.compat.plain_channels import PlainChannels, stats
from hub.protocol import disconnects, errors
from hub.protocol.messages import NOTHING, HistoryRequest, PresenceResult, Raw, StreamPosition
from hub.web.endpoint import answer, body

MAX_CHANNELS = 1_000  # of one broadcast
MAX_COMMANDS = 1_000  # of one batch
MAX_REASON = 123  # bytes of a close reason (RFC 6455, 5.5)


class _Kick(msgspec.Struct, frozen=True):
    code: int = disconnects.FORCE_DISCONNECT.code
    reason: str = disconnects.FORCE_DISCONNECT.reason


class _Ask(msgspec.Struct, frozen=True):
    """The parameters of every method: each reads its own, and what is not known here is left."""

    channel: str = ""
    channels: list[str] = []
    data: Raw = NOTHING
    user: str = ""
    client: str = ""
    limit: int = 0
    since: StreamPosition | None = None
    reverse: bool = False
    disconnect: _Kick = _Kick()


class _Batch(msgspec.Struct, frozen=True):
    commands: list[dict[str, _Ask]] = []


Called = tuple[str, errors.ReplyError | None, object]


class _Refused(Exception):
    """Answer with this error."""

    def __init__(self, error: errors.ReplyError) -> None:
        super().__init__(error.message)
        self.error = error


class ServerApi:
    """The methods. `name` is the hub's, `release` the product's."""

    def __init__(self, plain: PlainChannels, *, name: str, release: str) -> None:
        self._plain = plain
        self._name = name
        self._release = release
        self._methods: dict[str, Callable[[_Ask], Awaitable[object]]] = {
            "publish": self._publish,
            "broadcast": self._broadcast,
            "history": self._history,
            "history_remove": self._history_remove,
            "presence": self._presence,
            "presence_stats": self._presence_stats,
            "unsubscribe": self._unsubscribe,
            "disconnect": self._disconnect,
            "info": self._info,
        }

    async def answer(self, request: Request) -> Response:
        if not self._knows(request):
            return Response(status_code=401)
        method = request.path_params["method"]
        try:
            if method == "batch":
                asked = [
                    await self._call(*one)
                    for one in _commands(await body(request, _Batch, any_type=True))
                ]
                return answer(
                    {
                        "replies": [
                            {"error": error} if error else {name: result}
                            for name, error, result in asked
                        ]
                    }
                )
            if method not in self._methods:
                return Response(status_code=404)
            return answer(_told(await self._call(method, await body(request, _Ask, any_type=True))))
        except BadInput:
            return Response(status_code=400)

    def _knows(self, request: Request) -> bool:
        given = request.headers.get("x-api-key") or request.headers.get(
            "authorization", ""
        ).removeprefix("apikey ")
        return secrets.compare_digest(given.encode(), self._plain.profile.api_key)

    async def _call(self, method: str, ask: _Ask) -> Called:
        """(method, error, result)."""
        if method not in self._methods:
            return method, errors.METHOD_NOT_FOUND, None
        try:
            return method, None, await self._methods[method](ask)
        except _Refused as refused:
            return method, refused.error, None
        except EyrieError as error:
            return method, errors.of(error), None

    # methods

    async def _publish(self, ask: _Ask) -> dict[str, object]:
        self._known(ask.channel)
        if not bytes(ask.data):
            raise BadInput("there is no data")
        epoch, offset = await self._plain.publish(ask.channel, bytes(ask.data))
        return {"offset": offset, "epoch": epoch} if epoch else {}

    async def _broadcast(self, ask: _Ask) -> dict[str, object]:
        if not 1 <= len(ask.channels) <= MAX_CHANNELS:
            raise BadInput(f"a broadcast names 1 to {MAX_CHANNELS} channels")
        asked = [
            msgspec.structs.replace(ask, channel=channel, channels=[]) for channel in ask.channels
        ]
        return {"responses": [_told(await self._call("publish", one)) for one in asked]}

    async def _history(self, ask: _Ask) -> object:
        self._known(ask.channel, history=True)
        if ask.limit < -1:
            raise BadInput("limit is -1 or more")
        found = await self._plain.read(
            ask.channel, HistoryRequest(ask.channel, ask.limit, ask.since, ask.reverse)
        )
        if found is None:
            raise _Refused(errors.UNRECOVERABLE_POSITION)
        if any(envelope.binary for envelope in found.envelopes):
            raise BadInput("this history holds data that is not JSON")
        shown = found.result()
        return {"publications": shown.publications, "epoch": shown.epoch, "offset": shown.offset}

    async def _history_remove(self, ask: _Ask) -> dict[str, object]:
        self._known(ask.channel, history=True)
        await self._plain.forget_history(ask.channel)
        return {}

    async def _presence(self, ask: _Ask) -> PresenceResult:
        self._known(ask.channel, presence=True)
        return PresenceResult(await self._plain.present(ask.channel))

    async def _presence_stats(self, ask: _Ask) -> dict[str, int]:
        self._known(ask.channel, presence=True)
        found = stats(await self._plain.present(ask.channel))
        return {"num_clients": found.num_clients, "num_users": found.num_users}

    async def _unsubscribe(self, ask: _Ask) -> dict[str, object]:
        self._known(ask.channel)
        await self._plain.order(ConnectionOrder("unsubscribe", ask.user, ask.client, ask.channel))
        return {}

    async def _disconnect(self, ask: _Ask) -> dict[str, object]:
        kick = ask.disconnect
        if not 3000 <= kick.code < 5000 or len(kick.reason.encode()) > MAX_REASON:
            raise BadInput("a close code is 3000 to 4999, its reason short")
        await self._plain.order(
            ConnectionOrder("disconnect", ask.user, ask.client, "", kick.code, kick.reason)
        )
        return {}

    async def _info(self, _ask: _Ask) -> dict[str, object]:
        """This hub alone: what the others do, their own metrics say."""
        clients, users, channels = self._plain.count()
        node = {
            "uid": self._name,
            "name": self._name,
            "version": self._release,
            "num_clients": clients,
            "num_users": users,
        }
        return {"nodes": [node | {"num_channels": channels, "pid": os.getpid()}]}

    def _known(self, channel: str, *, history: bool = False, presence: bool = False) -> None:
        """Raises BadInput without a channel, NotFound where none is one of the profile's, _Refused
        where it does not keep that."""
        if not channel:
            raise BadInput("there is no channel")
        if self._plain.profile.parse(channel).lane != "plain":
            raise NotFound(
                f"{channel[:80]!r} is Eyrie's own channel; only its cameras publish there"
            )
        options = self._plain.profile.options(channel)
        if (history and not options.history_size) or (presence and not options.presence):
            raise _Refused(errors.NOT_AVAILABLE)


def _told(called: Called) -> dict[str, object]:
    _, error, result = called
    return {"error": error} if error else {"result": result}


def _commands(batch: _Batch) -> list[tuple[str, _Ask]]:
    if len(batch.commands) > MAX_COMMANDS or any(len(command) != 1 for command in batch.commands):
        raise BadInput(f"a batch has at most {MAX_COMMANDS} commands with one method each")
    return [next(iter(command.items())) for command in batch.commands]
