"""What a consumer may end with, and what an effect may say."""


class ConsumeError(Exception):
    """All of ours."""


class NotOurs(ConsumeError):
    """Something in the stream was not written by Eyrie."""


class HoleFound(ConsumeError):
    """Messages are missing, and nobody said what to do then. Nothing was passed over."""


class Displaced(ConsumeError):
    """Another consumer of the same name goes on: this one must end."""


class Away(ConsumeError):
    """The broker does not answer; come again."""


class BrokerRefuses(ConsumeError):
    """The broker lets nobody in with this token, or has no such stream. Waiting does not help."""


class Refuse(Exception):
    """Raised by an effect: this message can never be dealt with. It becomes a dead letter, and its
    camera goes on."""
