"""``eyrie-edge source …``: a way in, run near the cameras without Ray or a server."""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from actors.core.errors import BadInput, ConfigError, EyrieError, Unavailable
from actors.core.identifiers import require_id
from edge.adapters.readings import camera_id
from edge.client import EdgeClient
from edge.sources.frigate import FrigateMapping, FrigateOptions
from edge.sources.frigate_config import load_config, proposal
from edge.sources.frigate_messages import FrigateConfig
from edge.sources.mqtt import MqttOrigin, MqttSettings
from edge.sources.runner import SourceFolders, SourceRunner, open_journal

CONFIG_RETRY_S = 5.0
CONFIG_EVERY_S = 300.0  # how often the configuration is read again
STATUS_EVERY_S = 1.0
MAX_SECRET_BYTES = 16_384

log = logging.getLogger("eyrie.sources")


def add_source(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command ``source`` with its kinds."""
    source = commands.add_parser("source", help="bring a foreign stream in")
    kinds = source.add_subparsers(dest="kind", required=True)
    frigate = kinds.add_parser("frigate", help="a Frigate, over MQTT and its configuration")
    frigate.add_argument("--config", help="address of /api/config, or a file with its answer")
    frigate.add_argument("--topic-prefix", default="frigate", help="mqtt.topic_prefix of Frigate")
    frigate.add_argument("--detect", type=_size, help="WIDTHxHEIGHT where no configuration says it")
    frigate.add_argument("--settle-s", type=float, default=6.0, help="see docs/sources/frigate.md")
    frigate.add_argument("--propose", metavar="SITE", help="print a registry file, and end")
    _names(frigate)
    _broker(frigate)
    _hub(frigate)
    frigate.set_defaults(run=_frigate)


def _names(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--camera-prefix", default="", help="before every camera's id")
    parser.add_argument(
        "--camera", action="append", default=[], metavar="NAME=ID", help="the id of a camera"
    )
    parser.add_argument("--only", action="store_true", help="only those named by --camera")


def _broker(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--broker", help="mqtt://HOST[:PORT] or mqtts://…")
    parser.add_argument("--mqtt", choices=("3.1.1", "5"), default="5", help="version of MQTT")
    parser.add_argument("--client-id", help="names our session at the broker (from --folder)")
    parser.add_argument("--credentials", type=Path, help="file: user, and password on line 2")
    parser.add_argument("--ca", type=Path, help="whom to trust with mqtts://")
    parser.add_argument("--cert", type=Path, help="our certificate for mqtts://")
    parser.add_argument("--key", type=Path, help="and its key")


def _hub(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--hub", help="ws://HOST:PORT/v1/edge or wss://…")
    parser.add_argument("--token", type=Path, help="file with the edge token (else EYRIE_TOKEN)")
    parser.add_argument("--hub-ca", type=Path, help="whom to trust with wss://")
    parser.add_argument("--folder", type=Path, default=Path("eyrie-source"), help="spool, journal")
    parser.add_argument("--status", type=Path, help="file to write the state to, as JSON")


async def _frigate(options: argparse.Namespace) -> int:
    named = camera_names(options)
    if options.propose is not None:
        require_id(options.propose, "site")
        if options.config is None:
            raise BadInput("there is no configuration to propose from", hint="Name it: --config.")
        sys.stdout.write(proposal(load_config(options.config), options.propose, named) + "\n")
        return 0
    folders = SourceFolders.under(options.folder)
    journal, memory, added = await asyncio.to_thread(open_journal, folders)
    if added:
        log.info("%d observations were taken over from the journal into the spool", added)
    mapping = FrigateMapping(
        FrigateOptions(options.topic_prefix, options.detect, options.settle_s), memory
    )
    config = await _configured(options.config, mapping)
    if config is not None:
        mapping.configured(config)
    async with EdgeClient(
        _required(options.hub, "--hub"),
        _token(options.token),
        spool=folders.spool,
        producer="eyrie-source-frigate",
        tls=_trust(options.hub_ca),
    ) as client:
        runner = SourceRunner(journal, memory, mapping, client, named)
        origin = MqttOrigin(mqtt_settings(options), mapping.topics)
        tasks = [asyncio.create_task(_watch(options.status, runner, origin, mapping))]
        if options.config is not None:
            tasks.append(asyncio.create_task(_reload(options.config, mapping)))
        try:
            await runner.begin()
            origin.start()
            await runner.run(origin)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await origin.stop()
            await runner.rewrite()
            journal.close()
    return 0


async def _configured(place: str | None, mapping: FrigateMapping) -> FrigateConfig | None:
    """The configuration. Without one known from before, nothing is begun until it can be had."""
    if place is None:
        return None
    while True:
        try:
            return await asyncio.to_thread(load_config, place)
        except Unavailable as error:
            log.warning("%s", error.detail)
            if mapping.is_configured:
                return None
            await asyncio.sleep(CONFIG_RETRY_S)


async def _reload(place: str, mapping: FrigateMapping) -> None:
    while True:
        await asyncio.sleep(CONFIG_EVERY_S)
        try:
            mapping.configured(await asyncio.to_thread(load_config, place))
        except EyrieError as error:
            log.warning("%s", error.detail)


async def _watch(
    path: Path | None, runner: SourceRunner, origin: MqttOrigin, mapping: FrigateMapping
) -> None:
    """Write the state of the source to `path` whenever it changed."""
    before = b""
    while path is not None:
        now = msgspec.json.format(msgspec.json.encode(status(runner, origin, mapping)))
        if now != before:
            temporary = path.with_suffix(".new")
            await asyncio.to_thread(temporary.write_bytes, now)
            await asyncio.to_thread(temporary.rename, path)
            before = now
        await asyncio.sleep(STATUS_EVERY_S)


def status(runner: SourceRunner, origin: MqttOrigin, mapping: FrigateMapping) -> dict[str, object]:
    """What the source says of itself. `cannot_tell`: what its origin does not say, and nobody
    guesses."""
    cameras = {}
    for name in sorted({*mapping.cameras, *runner.cameras}):
        stream = runner.cameras.get(name)
        error = stream.error if stream is not None else None
        cameras[name] = {
            "camera": stream.camera if stream is not None else None,
            "state": "unheard" if stream is None else error.code if error else "open",
            "waiting": stream.pending if stream is not None else 0,
        }
    return {
        "broker": {
            "state": origin.state,
            "why": origin.why,
            "connections": origin.connections,
            "lost_session": origin.lost_session,
        },
        "cameras": cameras,
        "counts": {**msgspec.to_builtins(runner.counts), "nothing_new": dict(mapping.counts)},
        "cannot_tell": list(mapping.CANNOT_TELL),
    }


def camera_names(options: argparse.Namespace) -> Callable[[str], str | None]:
    """The id of a camera by its name at the origin. Raises :class:`BadInput`."""
    given: dict[str, str] = {}
    for pair in options.camera:
        name, equals, camera = pair.rpartition("=")
        if not equals:
            raise BadInput(f"--camera {pair!r} is not NAME=ID")
        given[name] = require_id(camera, "camera")

    def named(name: str) -> str | None:
        if name in given or options.only:
            return given.get(name)
        return camera_id(f"{options.camera_prefix}{name}")

    return named


def mqtt_settings(options: argparse.Namespace) -> MqttSettings:
    """Where the broker is. Raises :class:`BadInput`, ConfigError."""
    parts = urlsplit(_required(options.broker, "--broker"))
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise BadInput(f"{options.broker} is no address of a broker", hint="mqtt://HOST:PORT")
    if parts.password is not None:
        raise BadInput(
            "a password stands in the address, where everybody sees it",
            hint="Write user and password into a file: --credentials FILE.",
        )
    secure = parts.scheme == "mqtts"
    tls = _trust(options.ca) or ssl.create_default_context() if secure else None
    if tls is not None and options.cert is not None:
        try:
            tls.load_cert_chain(options.cert, options.key)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"{options.cert} is no certificate with its key: {error}") from error
    path = options.credentials
    if path is not None:
        _credentials(path)
    return MqttSettings(
        parts.hostname,
        parts.port or (8883 if secure else 1883),
        options.client_id or f"eyrie-{options.folder.resolve().name}"[:64],
        version=options.mqtt,
        tls=tls,
        credentials=(lambda: _credentials(path)) if path is not None else None,
    )


def _credentials(path: Path) -> tuple[str, str]:
    lines = _secret(path).splitlines()
    if len(lines) != 2:
        raise ConfigError(f"{path} has not two lines", hint="The user, then the password.")
    return lines[0], lines[1]


def _token(path: Path | None) -> Callable[[], str] | str | None:
    """A file is read at every connection: it may have been renewed."""
    if path is None:
        return os.environ.get("EYRIE_TOKEN")
    _secret(path)
    return lambda: _secret(path).strip()


def _secret(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(MAX_SECRET_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def _trust(path: Path | None) -> ssl.SSLContext | None:
    if path is None:
        return None
    try:
        return ssl.create_default_context(cafile=str(path))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{path} holds no certificates: {error}") from error


def _required(value: str | None, option: str) -> str:
    if not value:
        raise BadInput(f"{option} is missing")
    return value


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT")
    return int(width), int(height)


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
