"""Frigate's configuration: fetched from its API or read from a file, and what it proposes to
register (TOML for ``eyrie registry apply``)."""

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from actors.core.errors import BadInput, Unavailable
from actors.core.identifiers import is_id
from edge.adapters.readings import RefusedInput, camera_id
from edge.sources.frigate.messages import FrigateConfig, read_config, zone_points

MAX_BYTES = 16 * 1024 * 1024
TIMEOUT_S = 10.0


def load_config(place: str) -> FrigateConfig:
    """The configuration at `place`: a file with what ``/api/config`` answers, or its address
    (blocks, `TIMEOUT_S`). Raises :class:`BadInput`, and :class:`Unavailable` when nothing
    answers."""
    try:
        if urlsplit(place).scheme in ("http", "https"):
            with urllib.request.urlopen(place, timeout=TIMEOUT_S) as answer:
                data = answer.read(MAX_BYTES + 1)
        else:
            with Path(place).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
    except urllib.error.HTTPError as error:
        raise Unavailable(f"{place} answers {error.code}") from error
    except OSError as error:
        raise Unavailable(f"{place} cannot be read: {error}") from error
    if len(data) > MAX_BYTES:
        raise BadInput(f"{place} has more than {MAX_BYTES} bytes")
    try:
        return read_config(data)
    except RefusedInput as refused:
        raise BadInput(
            f"{place}: {refused.detail}", hint="It is what /api/config of Frigate answers."
        ) from refused


def proposal(config: FrigateConfig, site: str, named: Callable[[str], str | None]) -> str:
    """Site, cameras and their zones as a registry file. An object that Frigate tells of is
    confirmed there, so one sighting is enough here; no frame rate is expected."""
    lines = [f"[sites.{site}]", ""]
    for name, camera in config.cameras.items():
        camera_key = named(name)
        if camera_key is None:
            continue
        lines += [f"[cameras.{camera_key}]", f'site = "{site}"', f"name = {_text(name[:100])}", ""]
        lines += [f"[cameras.{camera_key}.scene]", "min_hits = 1", "event_only = true", ""]
        detect = camera.detect
        size = (detect.width, detect.height) if detect.width and detect.height else None
        for zone_name, zone in camera.zones.items():
            points = zone_points(zone.coordinates, size)
            if points is None:
                lines += [f"# zone {_text(zone_name)[1:-1]} has no polygon that can be read", ""]
                continue
            key = zone_name if is_id(zone_name) else camera_id(zone_name)
            lines += [f"[cameras.{camera_key}.scene.zones.{key}]"]
            lines += [f"points = {[list(point) for point in points]}"]
            labels = [zone.objects] if isinstance(zone.objects, str) else zone.objects
            if labels:
                lines += [f"labels = [{', '.join(_text(word) for word in labels)}]"]
            lines += ["enter_frames = 1", "exit_frames = 1", ""]
    return "\n".join(lines)


def _text(value: str) -> str:
    """A TOML string: JSON's, which it understands."""
    return msgspec.json.encode(value).decode()
