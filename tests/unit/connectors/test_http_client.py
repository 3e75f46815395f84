"""`connectors.sinks.http_client` against receivers on loopback that nobody should trust."""

from collections.abc import Sequence

import pytest

from connectors.sinks.guard import networks
from connectors.sinks.http_client import MAX_ANSWER, HttpClient, Limits
from tests.support.connectors.receiver import receiving

BODY = b'{"id":"c1/e/1"}'


async def test_a_name_is_resolved_once_and_that_address_is_connected_to() -> None:
    """Trap B1: public when it is looked at, private when it is connected to."""
    answers = [["127.0.0.1"], ["10.0.0.1"]]
    asked: list[str] = []

    async def look_up(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    client = HttpClient(networks(["127.0.0.0/8"]), look_up=look_up)
    async with receiving(lambda _: 200) as receiver:
        port = receiver.url.split(":")[2].split("/")[0]
        answer = await client.post(f"http://rebinding.example:{port}/in", {}, BODY)
    assert answer.status == 200
    assert asked == ["rebinding.example"]
    assert receiver.seen[0].headers["host"] == f"rebinding.example:{port}"


async def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    async def look_up(host: str, port: int) -> Sequence[str]:
        return ["8.8.8.8", "10.0.0.1"]

    answer = await HttpClient(look_up=look_up).post("https://receiver.example/", {}, BODY)
    assert (answer.status, answer.refused) == (0, True)
    assert "10.0.0.1 is not public" in answer.detail


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433", "0177.0.0.1", "[::1]"])
async def test_spellings_of_loopback_are_refused(host: str) -> None:
    async with receiving(lambda _: 200) as receiver:
        port = receiver.url.split(":")[2].split("/")[0]
        answer = await HttpClient().post(f"https://{host}:{port}/", {}, BODY)
    assert answer.refused
    assert receiver.seen == []


async def test_plain_http_is_for_listed_receivers_alone() -> None:
    async def look_up(host: str, port: int) -> Sequence[str]:
        return ["8.8.8.8"]

    answer = await HttpClient(look_up=look_up).post("http://receiver.example/", {}, BODY)
    assert answer.refused
    assert "plain http" in answer.detail


async def test_no_redirect_is_followed() -> None:
    where = {"location": "http://169.254.169.254/latest/meta-data"}
    async with receiving(lambda _: (302, where)) as receiver:
        answer = await HttpClient(networks(["127.0.0.0/8"])).post(receiver.url, {}, BODY)
    assert answer.status == 302
    assert len(receiver.seen) == 1


async def test_an_answer_without_end_is_cut_off() -> None:
    async with receiving(lambda _: "flood") as receiver:
        answer = await HttpClient(networks(["127.0.0.0/8"])).post(receiver.url, {}, BODY)
    assert answer.status == 200
    assert len(answer.detail) <= MAX_ANSWER


@pytest.mark.parametrize("behaviour", ["hang", "drip"])
async def test_an_answer_takes_a_bounded_time(behaviour: str) -> None:
    client = HttpClient(networks(["127.0.0.0/8"]), Limits(total_s=0.3))
    async with receiving(lambda _: behaviour) as receiver:
        answer = await client.post(receiver.url, {}, BODY)
    assert (answer.status, answer.detail) == (0, "no answer within 0.3 s")
