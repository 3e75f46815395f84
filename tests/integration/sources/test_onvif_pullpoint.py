"""PullPoint against a simulated device, and docs/sources/onvif.md as it stands there."""

import argparse
import asyncio
import re
import shlex
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from actors.core.errors import BadInput, Unavailable
from actors.core.messages.observations import Alarm
from edge.adapters.readings import ReadMessage, RefusedInput
from edge.sources.bounded_xml import MAX_BYTES
from edge.sources.onvif.device import DeviceSettings, OnvifDevice
from edge.sources.onvif.pulled import PulledEvents
from edge.sources.onvif.pullpoint import PullPointOrigin
from edge.sources.options import add_device, device_settings
from edge.sources.receipts import Memory
from tests.support.certificates import authority
from tests.support.servers.edge_server import EdgeServer
from tests.support.servers.onvif_device import (
    PASSWORD,
    USER,
    SimulatedOnvifDevice,
    enveloped,
)
from tests.support.sources.running import arrived
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "sources" / "onvif.md").read_text(encoding="utf-8")
MOTION = "tns1:RuleEngine/CellMotionDetector/Motion"
CROSSED = "tns1:RuleEngine/LineDetector/Crossed"


def settings(device: SimulatedOnvifDevice, *more: str) -> DeviceSettings:
    """What the command line makes of these options."""
    parser = argparse.ArgumentParser()
    add_device(parser)
    return device_settings(parser.parse_args(["--device", device.url, *more]))


async def test_a_device_behind_tls_is_one_that_is_trusted(tmp_path: Path) -> None:
    ours = authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ours.file("server.pem"), ours.file("server.key"))
    async with SimulatedOnvifDevice(context) as device:
        trusting = OnvifDevice(settings(device, "--ca", ours.file("ca.pem")))
        assert (await trusting.events_address()).startswith("https://127.0.0.1:")
        with pytest.raises(Unavailable, match="certificate"):
            await OnvifDevice(settings(device)).events_address()
        assert device.calls == ["GetCapabilities"]


@pytest.mark.parametrize(
    "address", ["camera", "mqtt://a", "http://", "http://a:99999", "http://u:p@a", "http://u@a"]
)
def test_what_is_no_address_of_a_device_is_refused(address: str) -> None:
    device = SimulatedOnvifDevice()
    device.url = address
    with pytest.raises(BadInput):
        settings(device)


class Listener:
    """An origin with its mapping: `heard` are the alarms, `refused` what could not be read."""

    def __init__(self, device: SimulatedOnvifDevice, password: str, **settings: int) -> None:
        self.heard: list[Alarm] = []
        self.refused: list[str] = []
        self.origin = PullPointOrigin(
            DeviceSettings(device.url, lambda: (USER, password), None, **settings), refused_s=0.1
        )
        self._events = PulledEvents(Memory(), "gate")

    async def run(self) -> None:
        while True:
            deliveries = await self.origin.receive(10, 1.0)
            for delivery in deliveries:
                try:
                    readings = self._events.read(delivery.receipt)
                except RefusedInput as refused:
                    self.refused.append(refused.code)
                    continue
                found = [one.observation.alarm for one in readings if isinstance(one, ReadMessage)]
                self.heard += [one for one in found if one is not None]
            self.origin.acknowledge(deliveries)

    def states(self) -> list[object]:
        """The values of all alarms."""
        return [(alarm.data or {}).get("State") for alarm in self.heard]


@asynccontextmanager
async def listening(
    device: SimulatedOnvifDevice, password: str = PASSWORD, **settings: int
) -> AsyncIterator[Listener]:
    """A listener at work."""
    listener = Listener(device, password, **{"lifetime_s": 60, "pull_s": 1, **settings})
    listener.origin.start()
    task = asyncio.create_task(listener.run())
    try:
        yield listener
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await listener.origin.stop()


async def online(listener: Listener) -> None:
    await until(lambda: listener.origin.state == "online", what="the subscription")


@pytest.mark.parametrize("access", ["none", "digest", "token"])
async def test_properties_and_events_of_a_device_whose_clock_is_hours_off(access: str) -> None:
    async with SimulatedOnvifDevice() as device:
        device.switches.access = access
        device.switches.ahead_s = -5 * 3600
        device.switches.elsewhere = "192.0.2.7:9"  # a camera behind NAT names what it knows
        device.properties = {MOTION: "true", "tns1:VideoSource/ImageTooDark": "false"}
        async with listening(device) as listener:
            await until(lambda: listener.states() == ["true"], what="what it is at now")
            for value in ("false", "true", "false"):  # in one second of the device
                await device.set(MOTION, value)
                await until(lambda: listener.states()[-1] == value, what=value)  # noqa: B023
            for _ in range(2):  # no property: the same words are two events
                await device.happens(CROSSED, "7")
            await until(lambda: len(listener.heard) == 6, what="both crossings")
            assert listener.states() == ["true", "false", "true", "false", "7", "7"]
            assert listener.heard[-1].type == "onvif.line_detector.crossed"
            _, account = listener.origin.account()
            assert account["clock_offset_s"] == pytest.approx(-5 * 3600, abs=3)
        assert device.calls[-1] == "Unsubscribe"
        assert device.subscriptions == {}
        assert device.violations == []


async def test_a_subscription_is_renewed_before_it_ends() -> None:
    async with SimulatedOnvifDevice() as device, listening(device, lifetime_s=2) as listener:
        await until(lambda: listener.origin.renewals >= 3, what="renewals")
        await device.set(MOTION, "true")
        await until(lambda: listener.states() == ["true"], what="the motion")
        assert listener.origin.subscriptions == 1


async def test_a_forgotten_subscription_is_made_again_and_tells_what_changed_meanwhile() -> None:
    async with SimulatedOnvifDevice() as device, listening(device) as listener:
        await online(listener)
        await device.set(MOTION, "true")
        await until(lambda: listener.states() == ["true"], what="the motion")
        await device.forget()
        await device.set(MOTION, "false")  # nobody hears it
        await until(lambda: listener.states() == ["true", "false"], what="what it is at now")
        port = device.port
        await device.stop()
        await until(lambda: listener.origin.state == "away", what="the loss")
        await device.start(port)
        await online(listener)
        await device.set(MOTION, "true")
        await until(lambda: len(listener.heard) == 3, what="the next motion")


async def test_a_device_that_knows_no_synchronization_point_is_listened_to() -> None:
    async with SimulatedOnvifDevice() as device:
        device.switches.no_synchronization = True
        async with listening(device) as listener:
            await online(listener)
            await device.set(MOTION, "true")
            await until(lambda: listener.states() == ["true"], what="the motion")


@pytest.mark.parametrize("access", ["digest", "token"])
async def test_a_wrong_password_is_tried_seldom_and_said(access: str) -> None:
    async with SimulatedOnvifDevice() as device:
        device.switches.access = access
        async with listening(device, "wrong") as listener:
            await until(lambda: listener.origin.state == "refused", what="the refusal")
            assert "does not let us in" in listener.origin.why
            tries = device.calls.count("GetSystemDateAndTime")
            assert device.refusals <= 2 * tries  # without a word of us, and with one password
            device.switches.password = "wrong"  # the operator changes it there
            await online(listener)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "doctype"),
        (b"<a>" * 10_000, "too_large"),
        (b"<a>" + b"x" * (MAX_BYTES + 100) + b"</a>", "too_large"),
        (b"\xff\xfe\x00", "malformed"),
    ],
    ids=["doctype", "deep", "long", "no-xml"],
)
async def test_an_answer_that_nobody_should_read_costs_itself(reply: bytes, code: str) -> None:
    async with SimulatedOnvifDevice() as device, listening(device) as listener:
        await online(listener)
        device.switches.replies = [reply]
        await device.set(MOTION, "true")
        await until(lambda: listener.refused == [code], what="the refusal")
        await until(lambda: listener.states() == ["true"], what="the motion afterwards")


async def test_half_an_answer_is_none() -> None:
    async with SimulatedOnvifDevice() as device, listening(device) as listener:
        await online(listener)
        device.switches.half = True
        await device.set(MOTION, "true")
        await until(lambda: listener.origin.subscriptions == 2, what="another subscription")
        await until(lambda: listener.states() == ["true"], what="the motion, as it is at")


async def test_an_empty_answer_is_no_message() -> None:
    async with SimulatedOnvifDevice() as device, listening(device) as listener:
        await online(listener)
        device.switches.replies = [enveloped("<tev:PullMessagesResponse/>")]
        await device.set(MOTION, "true")
        await until(lambda: listener.states() == ["true"], what="the motion")
        assert listener.refused == []


async def test_the_command_of_the_page_brings_a_camera_in(tmp_path: Path) -> None:
    (command,) = re.findall(r"^```console onvif-source\n(.+?)\n```$", TEXT, re.M | re.S)
    (tmp_path / "edge.token").write_text("token\n")
    (tmp_path / "camera.credentials").write_text(f"{USER}\n{PASSWORD}\n")
    async with SimulatedOnvifDevice() as device, EdgeServer() as hub:
        device.switches.access = "digest"
        device.properties = {MOTION: "true"}
        command = command.replace("http://192.168.1.20", f"http://127.0.0.1:{device.port}")
        command = command.replace("ws://eyrie:8000/v1/edge", hub.url) + " --status status.json"
        source = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "edge", *shlex.split(command)[1:]),
            cwd=tmp_path,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PYTHONPATH": str(ROOT)},
        )
        try:
            await until(lambda: len(arrived(hub, "gate")) == 1, within_s=60, what="the motion")
            await device.set(MOTION, "false")
            await until(lambda: len(arrived(hub, "gate")) == 2, within_s=60, what="its end")
            await until(lambda: told(tmp_path) == ("online", 1), within_s=60, what="the status")
        finally:
            source.terminate()
            assert await asyncio.wait_for(source.wait(), 60) == 0
        alarms = [seen.alarm for seen in arrived(hub, "gate")]
        assert {alarm.type for alarm in alarms if alarm} == {"onvif.cell_motion_detector.motion"}
        assert device.subscriptions == {}


def told(folder: Path) -> tuple[object, object]:
    """State and subscriptions as the status file says them."""
    path = folder / "status.json"
    said = msgspec.json.decode(path.read_bytes())["device"] if path.exists() else {}
    return said.get("state"), said.get("subscriptions")
