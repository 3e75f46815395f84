"""The outboxes of an actor: what is due to a hub goes in one frame a turn, acks cumulative."""

import asyncio

from actors.answer_queue import HubAnswers, hub_of
from actors.core.messages import deliveries
from actors.core.messages.deliveries import Acked, Answer, AskedAgain


class Hub:
    """The frames that came."""

    def __init__(self) -> None:
        self.frames: list[list[Answer]] = []

    def send(self, answers: bytes) -> None:
        self.frames.append(deliveries.answers_decoder.decode(answers))


def test_the_hub_of_a_link() -> None:
    assert hub_of("hub-0.ab12/x7") == "hub-0.ab12"


async def test_what_is_due_in_a_turn_goes_in_one_frame_and_acks_are_folded() -> None:
    answers, hub, other = HubAnswers(), Hub(), Hub()
    answers.linked("h", hub.send)
    answers.linked("i", other.send)
    for seq in (1, 2, 3):
        answers.post(Acked("a", "h/1", seq, 10))
    answers.post(Acked("b", "h/1", 7, 10))
    answers.post(Acked("a", "i/1", 1, 10))
    assert hub.frames == []
    await asyncio.sleep(0)
    assert hub.frames == [[Acked("a", "h/1", 3, 10), Acked("b", "h/1", 7, 10)]]
    assert other.frames == [[Acked("a", "i/1", 1, 10)]]
    answers.post(Acked("a", "h/1", 4, 10))
    await asyncio.sleep(0)
    assert hub.frames[1:] == [[Acked("a", "h/1", 4, 10)]]


async def test_an_ack_stays_in_front_of_what_was_said_after_it() -> None:
    answers, hub = HubAnswers(), Hub()
    answers.linked("h", hub.send)
    answers.post(Acked("a", "h/1", 1, 10))
    answers.post(AskedAgain("a", "h/1", 2))
    answers.post(Acked("a", "h/1", 4, 10))
    answers.flush()
    assert hub.frames == [
        [Acked("a", "h/1", 1, 10), AskedAgain("a", "h/1", 2), Acked("a", "h/1", 4, 10)]
    ]
    await asyncio.sleep(0)
    assert len(hub.frames) == 1


async def test_answers_go_to_the_newest_link_alone_and_without_one_nowhere() -> None:
    answers, old, new = HubAnswers(), Hub(), Hub()
    answers.post(Acked("a", "h/1", 1, 10))
    answers.linked("h", old.send)
    answers.post(Acked("a", "h/1", 2, 10))
    answers.linked("h", new.send)  # what was due by the old link is said anew after the attach
    await asyncio.sleep(0)
    assert (old.frames, new.frames) == ([], [])
    answers.unlinked("h", old.send)  # late: that one was over already
    answers.post(Acked("a", "h/1", 3, 10))
    await asyncio.sleep(0)
    assert (old.frames, new.frames) == ([], [[Acked("a", "h/1", 3, 10)]])
    answers.unlinked("h", new.send)
    answers.post(Acked("a", "h/1", 4, 10))
    await asyncio.sleep(0)
    assert len(new.frames) == 1
