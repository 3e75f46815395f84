"""What every way in is told on its command line: names of cameras, the broker, the hub. Secrets are
in files; a password in an address is refused."""

import argparse
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from actors.core.errors import BadInput, ConfigError
from actors.core.identifiers import require_id
from edge.adapters.readings import camera_id
from edge.sources.mqtt import MqttSettings
from edge.sources.onvif.device import SERVICE, DeviceSettings

MAX_SECRET_BYTES = 16_384


def add_names(parser: argparse.ArgumentParser) -> None:
    """Ids of cameras."""
    parser.add_argument("--camera-prefix", default="", help="before every camera's id")
    parser.add_argument(
        "--camera", action="append", default=[], metavar="NAME=ID", help="the id of a camera"
    )
    parser.add_argument("--only", action="store_true", help="only those named by --camera")


def add_broker(parser: argparse.ArgumentParser) -> None:
    """Where the broker is."""
    parser.add_argument("--broker", help="mqtt://HOST[:PORT] or mqtts://…")
    parser.add_argument("--mqtt", choices=("3.1.1", "5"), default="5", help="version of MQTT")
    parser.add_argument("--client-id", help="names our session at the broker (from --folder)")
    parser.add_argument("--credentials", type=Path, help="file: user, and password on line 2")
    parser.add_argument("--ca", type=Path, help="whom to trust with mqtts://")
    parser.add_argument("--cert", type=Path, help="our certificate for mqtts://")
    parser.add_argument("--key", type=Path, help="and its key")


def add_device(parser: argparse.ArgumentParser) -> None:
    """Where a device is that speaks ONVIF."""
    parser.add_argument("--device", help="http://HOST[:PORT] or https://…, of its device service")
    parser.add_argument("--name", help="what the camera is called: its id, unless --camera says so")
    parser.add_argument("--credentials", type=Path, help="file: user, and password on line 2")
    parser.add_argument("--ca", type=Path, help="whom to trust with https://")


def add_hub(parser: argparse.ArgumentParser) -> None:
    """Where observations go, and what is kept here."""
    parser.add_argument("--hub", help="ws://HOST:PORT/v1/edge or wss://…")
    parser.add_argument("--token", type=Path, help="file with the edge token (else EYRIE_TOKEN)")
    parser.add_argument("--hub-ca", type=Path, help="whom to trust with wss://")
    parser.add_argument("--folder", type=Path, default=Path("eyrie-source"), help="spool, journal")
    parser.add_argument("--status", type=Path, help="file to write the state to, as JSON")


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
    parts = urlsplit(required(options.broker, "--broker"))
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise BadInput(f"{options.broker} is no address of a broker", hint="mqtt://HOST:PORT")
    if parts.password is not None:
        raise BadInput(
            "a password stands in the address, where everybody sees it",
            hint="Write user and password into a file: --credentials FILE.",
        )
    secure = parts.scheme == "mqtts"
    tls = trust(options.ca) or ssl.create_default_context() if secure else None
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


def device_settings(options: argparse.Namespace) -> DeviceSettings:
    """Where the device is. Raises :class:`BadInput`, ConfigError."""
    address = required(options.device, "--device")
    parts = urlsplit(address)
    try:
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port beyond 65535
        is_one = False
    if not is_one:
        raise BadInput(f"{address} is no address of a device", hint="http://HOST[:PORT]")
    if parts.username is not None:
        raise BadInput(
            "a user stands in the address, where everybody sees it",
            hint="Write user and password into a file: --credentials FILE.",
        )
    path = options.credentials
    if path is not None:
        _credentials(path)
    secure = parts.scheme == "https"
    return DeviceSettings(
        address if parts.path.strip("/") else f"{parts.scheme}://{parts.netloc}{SERVICE}",
        credentials=(lambda: _credentials(path)) if path is not None else None,
        tls=trust(options.ca) or ssl.create_default_context() if secure else None,
    )


def _credentials(path: Path) -> tuple[str, str]:
    lines = _secret(path).splitlines()
    if len(lines) != 2:
        raise ConfigError(f"{path} has not two lines", hint="The user, then the password.")
    return lines[0], lines[1]


def token(path: Path | None) -> Callable[[], str] | str | None:
    """The edge token. A file is read at every connection: it may have been renewed."""
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


def trust(path: Path | None) -> ssl.SSLContext | None:
    """Whom to trust; None for what the system does. Raises ConfigError."""
    if path is None:
        return None
    try:
        return ssl.create_default_context(cafile=str(path))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{path} holds no certificates: {error}") from error


def required(value: str | None, option: str) -> str:
    """`value`. Raises :class:`BadInput` without one."""
    if not value:
        raise BadInput(f"{option} is missing")
    return value


def size(text: str) -> tuple[int, int]:
    """``1280x720``."""
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT")
    return int(width), int(height)
