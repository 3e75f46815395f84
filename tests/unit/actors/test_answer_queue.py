"""The outbox of an actor: one long poll per hub, cumulative acks, bounds."""

import asyncio

import pytest

from actors import answer_queue
from actors.answer_queue import HubAnswers, hub_of
from actors.core.messages.deliveries import Acked, AskedAgain, Refused


def test_the_hub_of_a_link() -> None:
    assert hub_of("hub-0.ab12/x7") == "hub-0.ab12"


async def test_what_is_due_returns_at_once_and_acks_are_folded() -> None:
    answers = HubAnswers()
    call = answers.arrive("h")
    for seq in (1, 2, 3):
        answers.post(Acked("a", "h/1", seq, 10))
    answers.post(Acked("b", "h/1", 7, 10))
    assert await answers.take("h", call) == [Acked("a", "h/1", 3, 10), Acked("b", "h/1", 7, 10)]


async def test_an_ack_stays_in_front_of_what_was_said_after_it() -> None:
    answers = HubAnswers()
    call = answers.arrive("h")
    answers.post(Acked("a", "h/1", 1, 10))
    answers.post(AskedAgain("a", "h/1", 2))
    answers.post(Acked("a", "h/1", 4, 10))
    assert await answers.take("h", call) == [
        Acked("a", "h/1", 1, 10),
        AskedAgain("a", "h/1", 2),
        Acked("a", "h/1", 4, 10),
    ]


async def test_a_newer_call_releases_the_parked_one() -> None:
    answers = HubAnswers(park_s=60)
    first = asyncio.create_task(answers.take("h", answers.arrive("h")))
    await asyncio.sleep(0)
    second = answers.arrive("h")
    assert await first == []
    answers.post(Acked("a", "h/1", 1, 10))
    assert await answers.take("h", second) == [Acked("a", "h/1", 1, 10)]


async def test_a_parked_call_returns_when_nothing_comes_and_when_the_actor_closes() -> None:
    brief = HubAnswers(park_s=0.01)
    assert await brief.take("h", brief.arrive("h")) == []
    closing = HubAnswers(park_s=60)
    parked = asyncio.create_task(closing.take("h", closing.arrive("h")))
    await asyncio.sleep(0)
    closing.close()
    assert await parked == []


async def test_answers_for_an_unknown_hub_are_dropped() -> None:
    answers = HubAnswers(park_s=0.01)
    answers.post(Acked("a", "h/1", 1, 10))
    assert await answers.take("h", answers.arrive("h")) == []


async def test_a_hub_that_does_not_fetch_is_forgotten_beyond_the_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answer_queue, "MAX_ANSWERS", 3)
    answers = HubAnswers(park_s=0.01)
    answers.arrive("h")
    for seq in range(5):
        answers.post(Refused("a", "h/1", seq, "bad_input", ""))
    assert await answers.take("h", answers.arrive("h")) == []


async def test_a_silent_hub_is_forgotten_in_time() -> None:
    now = [0.0]
    answers = HubAnswers(clock=lambda: now[0], park_s=0.01)
    answers.arrive("gone")
    answers.post(Acked("a", "gone/1", 1, 10))
    now[0] = answer_queue.FORGET_S + 1
    answers.arrive("h")
    assert await answers.take("gone", answers.arrive("gone")) == []
