"""The MQTT way in beside a real broker: when a message is the broker's, and when it is ours."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge.sources.mqtt import Delivery, MqttOrigin, MqttSettings, Version
from tests.support.servers.frigate import SimulatedFrigate, Step
from tests.support.servers.mosquitto import Mosquitto, mosquitto
from tests.support.waiting import until

STEPS: list[Step] = [("events", b"%d" % number) for number in range(30)]


@asynccontextmanager
async def subscribed(broker: Mosquitto, version: Version = "5") -> AsyncIterator[MqttOrigin]:
    settings = MqttSettings("127.0.0.1", broker.port, "eyrie-test", version)
    origin = MqttOrigin(settings, ["frigate/events"])
    origin.start()
    try:
        await until(lambda: origin.state == "online", what="the subscription")
        yield origin
    finally:
        await origin.stop()


async def some(origin: MqttOrigin, count: int) -> list[Delivery]:
    found: list[Delivery] = []
    while len(found) < count:
        more = await origin.receive(count - len(found), 30)
        assert more, f"{len(found)} of {count} came"
        found += more
    return found


def bodies(found: list[Delivery]) -> list[bytes]:
    return [one.receipt.payload for one in found]


@pytest.mark.parametrize("version", ["3.1.1", "5"])
async def test_what_was_not_acknowledged_comes_again_and_the_rest_does_not(
    tmp_path: Path, version: Version
) -> None:
    async with mosquitto(tmp_path) as broker:
        frigate = SimulatedFrigate(broker.port)
        await frigate.start()
        async with subscribed(broker, version) as origin:
            await frigate.say(*STEPS)
            origin.acknowledge((await some(origin, 10))[:5])
        async with subscribed(broker, version) as origin:
            (first,) = await some(origin, 1)
            began = int(first.receipt.payload)
            assert began <= 5  # the last acknowledgements may be lost with the connection
            assert first.receipt.again
            found = [first, *await some(origin, 29 - began)]
            assert bodies(found) == [payload for _, payload in STEPS[began:]]
            origin.acknowledge(found)
            await frigate.say(("events", b"last"))
            assert bodies(await some(origin, 1)) == [b"last"]
        await frigate.stop()


async def test_packets_of_a_lost_connection_are_not_acknowledged(tmp_path: Path) -> None:
    """A broker that lost its sessions numbers anew: an old id would take a new message away."""
    options = "persistence false"
    async with mosquitto(tmp_path, options) as broker:
        frigate = SimulatedFrigate(broker.port)
        await frigate.start()
        async with subscribed(broker) as origin:
            await frigate.say(*STEPS[:3])
            old = await some(origin, 3)
            await broker.stop()
            await until(lambda: origin.state == "away", what="the loss")
            await broker.start()
            await until(lambda: origin.state == "online", what="the subscription")
            assert origin.lost_session == 1
            await frigate.say(*STEPS[3:6])
            new = await some(origin, 3)
            assert {one.packet for one in new} & {one.packet for one in old}
            origin.acknowledge(old)
        async with subscribed(broker) as origin:
            assert bodies(await some(origin, 3)) == [payload for _, payload in STEPS[3:6]]
        await frigate.crash()


async def test_a_message_of_qos_0_cannot_be_acknowledged_and_says_so(tmp_path: Path) -> None:
    async with mosquitto(tmp_path) as broker, subscribed(broker) as origin:
        frigate = SimulatedFrigate(broker.port)
        await frigate.start()
        await frigate.say(*STEPS[:1], qos=0)
        (found,) = await some(origin, 1)
        assert found.qos == 0
        await frigate.stop()
