"""What crosses between a gate and the policy actor: msgpack of questions one way, of a revision and
decisions the other."""

import msgspec

from policy.decision.model import Decision, DecisionInput


class DecisionReply(msgspec.Struct, frozen=True, array_like=True):
    """The decisions in the order of the questions, and the revision that made them."""

    revision: str
    decisions: list[Decision]


_encoder = msgspec.msgpack.Encoder()
_questions = msgspec.msgpack.Decoder(list[DecisionInput])
_reply = msgspec.msgpack.Decoder(DecisionReply)


def encode_questions(questions: list[DecisionInput]) -> bytes:
    """Questions for :meth:`policy.actor.policy_actor.PolicyActor.decide`."""
    return _encoder.encode(questions)


def decode_questions(data: bytes) -> list[DecisionInput]:
    """Raises msgspec.DecodeError."""
    return _questions.decode(data)


def encode_reply(reply: DecisionReply) -> bytes:
    """The answer to them."""
    return _encoder.encode(reply)


def decode_reply(data: bytes) -> DecisionReply:
    """Raises msgspec.DecodeError."""
    return _reply.decode(data)
