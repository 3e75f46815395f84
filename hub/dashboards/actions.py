"""What a session tells its shell to do (pure values): answers, endings, and inquiries that need
waiting."""

import msgspec

from hub.protocol.channels import Channel
from hub.protocol.disconnects import CloseCode
from hub.protocol.errors import ReplyError
from hub.protocol.messages import NOTHING, ConnectRequest, HistoryRequest, Raw, SubscribeRequest


class SendReply(msgspec.Struct, frozen=True):
    """Answer command `id`."""

    id: int
    method: str
    result: object


class Fail(msgspec.Struct, frozen=True):
    """Refuse command `id`."""

    id: int
    error: ReplyError


class SendPing(msgspec.Struct, frozen=True):
    """Send the empty reply."""


class Shut(msgspec.Struct, frozen=True):
    """Close the connection."""

    close: CloseCode


class Leave(msgspec.Struct, frozen=True):
    """Take the connection off a channel."""

    channel: str


class Authorize(msgspec.Struct, frozen=True):
    """Verify the token and decide about the connection; then :meth:`Session.connected` or a
    :class:`Shut`/:class:`Fail`."""

    id: int
    request: ConnectRequest


class Renew(msgspec.Struct, frozen=True):
    """Verify a newer token of the same user; then :meth:`Session.renewed`."""

    id: int
    token: str


class Join(msgspec.Struct, frozen=True):
    """Decide about a subscription and start it; then :meth:`Session.joined` or
    :meth:`Session.not_joined`."""

    id: int
    channel: Channel
    request: SubscribeRequest


class ReadHistory(msgspec.Struct, frozen=True):
    """Read a stream; the shell answers with a HistoryResult."""

    id: int
    channel: Channel
    request: HistoryRequest


class Operate(msgspec.Struct, frozen=True):
    """Publish, ask who is there, or renew a subscription, where a namespace has that; `data` and
    `token` where the method has them."""

    id: int
    method: str
    channel: str
    data: Raw = NOTHING
    token: str = ""


class Expel(msgspec.Struct, frozen=True):
    """End a subscription whose token has expired, its grace included."""

    channel: str


Inquiry = Authorize | Renew | Join | ReadHistory | Operate
Action = SendReply | Fail | SendPing | Shut | Leave | Expel | Inquiry
