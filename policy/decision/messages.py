"""What crosses between a gate and the policy actor: msgpack of questions one way, of a revision and decisions the other."""

import msgspec

from policy.decision.model import Decision, Question


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """The decisions in the order of the questions, and the revision that made them."""

    revision: str
    decisions: list[Decision]


_encoder = msgspec.msgpack.Encoder()
_questions = msgspec.msgpack.Decoder(list[Question])
_reply = msgspec.msgpack.Decoder(Reply)


def encode_questions(questions: list[Question]) -> bytes:
    """Questions for :meth:`policy.actor.policy_actor.PolicyActor.decide`."""
    return _encoder.encode(questions)


def decode_questions(data: bytes) -> list[Question]:
    """Raises msgspec.DecodeError."""
    return _questions.decode(data)


def encode_reply(reply: Reply) -> bytes:
    """The answer to them."""
    return _encoder.encode(reply)


def decode_reply(data: bytes) -> Reply:
    """Raises msgspec.DecodeError."""
    return _reply.decode(data)
