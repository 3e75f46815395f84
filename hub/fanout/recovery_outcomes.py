"""What became of a recovery, for metrics (pure)."""

from hub.protocol.messages import SubscribeRequest, SubscribeResult


def outcome(asked: SubscribeRequest, got: SubscribeResult) -> str:
    """What became of a recovery: ``recovered``, or why not.

    ``epoch``: another numbering; ``ahead``: a position that is not there yet; ``retention``: too far behind.
    """
    if got.recovered:
        return "recovered"
    if asked.epoch not in ("", got.epoch):
        return "epoch"
    return "ahead" if asked.offset > got.offset else "retention"
