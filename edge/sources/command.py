"""``eyrie-edge source …``: a way in, run near the cameras without Ray or a server."""

import argparse
import asyncio
import contextlib
import functools
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from actors.core.errors import BadInput, ConfigError, EyrieError, Unavailable
from actors.core.identifiers import require_id
from edge.sources.axis import AxisFrames
from edge.sources.deepstream import DeepStreamFrames
from edge.sources.frames import FrameFormat, FrameMapping
from edge.sources.frigate.config import load_config, proposal
from edge.sources.frigate.mapping import FrigateMapping, FrigateOptions
from edge.sources.mapping_file import JsonFrames, read_mapping
from edge.sources.mqtt import MqttOrigin
from edge.sources.onvif.events import OnvifEvents
from edge.sources.onvif.metadata import OnvifMetadata
from edge.sources.onvif.pulled import PulledEvents
from edge.sources.onvif.pullpoint import PullPointOrigin
from edge.sources.options import (
    add_broker,
    add_device,
    add_hub,
    add_names,
    camera_names,
    device_settings,
    mqtt_settings,
    required,
    size,
)
from edge.sources.receipts import Memory
from edge.sources.running import run_source
from edge.sources.sample import try_sample

CONFIG_RETRY_S = 5.0
CONFIG_EVERY_S = 300.0  # how often the configuration is read again
FORMATS = ("axis", "deepstream", "json", "onvif", "onvif-xml")

log = logging.getLogger("eyrie.sources")


def add_source(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command ``source`` with its kinds."""
    source = commands.add_parser("source", help="bring a foreign stream in")
    kinds = source.add_subparsers(dest="kind", required=True)
    frigate = kinds.add_parser("frigate", help="a Frigate, over MQTT and its configuration")
    frigate.add_argument("--config", help="address of /api/config, or a file with its answer")
    frigate.add_argument("--topic-prefix", default="frigate", help="mqtt.topic_prefix of Frigate")
    frigate.add_argument("--detect", type=size, help="WIDTHxHEIGHT where no configuration says it")
    frigate.add_argument("--settle-s", type=float, default=6.0, help="see docs/sources/frigate.md")
    frigate.add_argument("--propose", metavar="SITE", help="print a registry file, and end")
    frigate.set_defaults(run=_frigate)
    mqtt = kinds.add_parser("mqtt", help="cameras and analytics that publish over MQTT")
    mqtt.add_argument("--topic", action="append", default=[], help="what to subscribe to")
    mqtt.set_defaults(run=_mqtt)
    onvif = kinds.add_parser("onvif", help="the events of a camera, from its ONVIF PullPoint")
    add_device(onvif)
    onvif.set_defaults(run=_onvif)
    sample = kinds.add_parser("test", help="show what becomes of a message, and end")
    sample.add_argument("--topic", default="", help="the topic that the message came by")
    sample.add_argument("--sample", type=Path, required=True, help="a file with one message")
    sample.set_defaults(run=_test)
    for parser in (mqtt, sample):
        parser.add_argument("--format", choices=FORMATS, required=True, help="how they write")
        parser.add_argument("--mapping", type=Path, help="the mapping file of --format json")
        parser.add_argument("--frame-size", type=size, help="WIDTHxHEIGHT of --format deepstream")
        parser.add_argument("--topic-level", type=int, help="which level names the camera, from 0")
    for parser in (frigate, mqtt):
        add_broker(parser)
    for parser in (frigate, mqtt, onvif):
        add_names(parser)
        add_hub(parser)


async def _frigate(options: argparse.Namespace) -> int:
    if options.propose is not None:
        require_id(options.propose, "site")
        config = load_config(required(options.config, "--config"))
        sys.stdout.write(proposal(config, options.propose, camera_names(options)) + "\n")
        return 0
    chosen = FrigateOptions(options.topic_prefix, options.detect, options.settle_s)

    async def make(memory: Memory) -> FrigateMapping:
        mapping = FrigateMapping(chosen, memory)
        if options.config is not None:
            await _configure(options.config, mapping)
        return mapping

    async def reload(mapping: FrigateMapping) -> None:
        while options.config is not None:
            await asyncio.sleep(CONFIG_EVERY_S)
            try:
                mapping.configured(await asyncio.to_thread(load_config, options.config))
            except EyrieError as error:
                log.warning("%s", error.detail)

    topics = FrigateMapping(chosen, Memory()).topics
    connect = _broker(options, topics)
    return await run_source(options, "eyrie-source-frigate", connect, make, reload)


async def _configure(place: str, mapping: FrigateMapping) -> None:
    """The configuration. Without one known from before, nothing is begun until it can be had."""
    while True:
        try:
            mapping.configured(await asyncio.to_thread(load_config, place))
            return
        except Unavailable as error:
            log.warning("%s", error.detail)
            if mapping.is_configured:
                return
            await asyncio.sleep(CONFIG_RETRY_S)


async def _mqtt(options: argparse.Namespace) -> int:
    if not options.topic:
        raise BadInput("there is nothing to subscribe to", hint="Name topics: --topic.")

    async def make(memory: Memory) -> FrameMapping:
        return FrameMapping(frame_format(options, memory), memory)

    connect = _broker(options, options.topic)
    return await run_source(options, f"eyrie-source-{options.format}", connect, make)


def _broker(options: argparse.Namespace, topics: list[str]) -> Callable[[], MqttOrigin]:
    return lambda: MqttOrigin(mqtt_settings(options), topics)


async def _onvif(options: argparse.Namespace) -> int:
    name = required(options.name, "--name")
    settings = device_settings(options)

    async def make(memory: Memory) -> FrameMapping:
        return FrameMapping(PulledEvents(memory, name), memory)

    connect = functools.partial(PullPointOrigin, settings)
    return await run_source(options, "eyrie-source-onvif", connect, make)


async def _test(options: argparse.Namespace) -> int:
    return try_sample(frame_format(options, Memory()), options.topic, options.sample, sys.stdout)


def frame_format(options: argparse.Namespace, memory: Memory) -> FrameFormat:
    """How the origin writes. Raises :class:`BadInput`, ConfigError."""
    level = options.topic_level
    match options.format:
        case "axis":
            return AxisFrames(1 if level is None else level)
        case "onvif":
            return OnvifEvents(memory, 0 if level is None else level)
        case "onvif-xml":
            return OnvifMetadata(memory, 0 if level is None else level)
        case "deepstream":
            if options.frame_size is None:
                raise BadInput(
                    "DeepStream's boxes are pixels, and it does not say of what",
                    hint="Give the size of its stream multiplexer: --frame-size 1920x1080.",
                )
            return DeepStreamFrames(options.frame_size)
    if options.mapping is None:
        raise BadInput("--format json needs a mapping file", hint="--mapping FILE")
    try:
        return JsonFrames(read_mapping(options.mapping.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{options.mapping} cannot be read: {error}") from error


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; 0 then, 1 for an error of the family, told in two lines."""
    parser = argparse.ArgumentParser(prog="eyrie-edge", description="The device side of Eyrie.")
    add_source(parser.add_subparsers(dest="command", required=True))
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    try:
        return asyncio.run(_until_stopped(options))
    except EyrieError as error:
        sys.stderr.write(f"{error.detail}\n{error.next_step}\n")
        return 1


async def _until_stopped(options: argparse.Namespace) -> int:
    loop = asyncio.get_running_loop()
    work = asyncio.ensure_future(options.run(options))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        return int(await work)
    return 0
