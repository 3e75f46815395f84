"""The registry as a TOML file: sites and cameras with their scenes, in the shapes of REST. Pure:
text in, steps out.

    [sites.north]
    name = "North gate"

    [cameras.gate-1]
    site = "north"
    tags = ["outdoor"]

    [cameras.gate-1.scene.zones.door]
    points = [[0.1, 0.1], [0.4, 0.1], [0.4, 0.9]]

What the file names is brought about; what it leaves out stays as it is. Nothing is ever deleted by
a file.
"""

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from actors.core.errors import BadInput
from actors.core.identifiers import CameraId, SiteId
from actors.core.messages.registry import CameraFields, Name, NewCamera, NewSite, SiteFields, Tags
from actors.core.scene.checks import require_sound
from actors.core.scene.scene import Place, Scene

MAX_BYTES = 16 * 1024 * 1024


class FileSite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A site in the file."""

    name: Name | UnsetType = UNSET
    place: Place | UnsetType = UNSET


class FileCamera(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A camera in the file. A scene that is given is the whole scene."""

    site: SiteId
    name: Name | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    scene: Scene | UnsetType = UNSET


class RegistryFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    sites: dict[SiteId, FileSite] = {}
    cameras: dict[CameraId, FileCamera] = {}


class KnownSite(msgspec.Struct, frozen=True):
    """A registered site as it was read, and its ETag."""

    fields: SiteFields
    tag: str


class KnownCamera(msgspec.Struct, frozen=True):
    """A registered camera as it was read, with the ETags of it and of its scene."""

    site: str
    fields: CameraFields
    scene: Scene
    tag: str
    scene_tag: str


class RegisteredState(msgspec.Struct, frozen=True):
    """What is registered of what the file names."""

    sites: dict[str, KnownSite]
    cameras: dict[str, KnownCamera]


class AddSite(msgspec.Struct, frozen=True):
    """Add a site."""

    new: NewSite


class ChangeSite(msgspec.Struct, frozen=True):
    """Change a site that is still as `tag` says."""

    site: str
    fields: SiteFields
    tag: str


class AddCamera(msgspec.Struct, frozen=True):
    """Add a camera."""

    new: NewCamera


class ChangeCamera(msgspec.Struct, frozen=True):
    """Change a camera that is still as `tag` says."""

    camera: str
    fields: CameraFields
    tag: str


class SetScene(msgspec.Struct, frozen=True):
    """Replace a scene that is still as `tag` says."""

    camera: str
    scene: Scene
    tag: str


Action = AddSite | ChangeSite | AddCamera | ChangeCamera | SetScene


class RegistryChange(msgspec.Struct, frozen=True):
    """One change: what it is about, what differs line by line, and what to do."""

    what: str
    lines: list[str]
    action: Action


def parse(text: bytes) -> RegistryFile:
    """The file. Raises BadInput that says where it is wrong, or which zone or line makes no
    sense."""
    if len(text) > MAX_BYTES:
        raise BadInput(f"a registry file has at most {MAX_BYTES} bytes")
    try:
        found = msgspec.convert(tomllib.loads(text.decode("utf-8")), RegistryFile)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"the registry file is no TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise BadInput(f"the registry file is not what is asked for: {error}") from error
    for name, camera in found.cameras.items():
        if camera.scene is not UNSET:
            try:
                require_sound(camera.scene)
            except BadInput as error:
                raise BadInput(f"camera {name}: {error.detail}", hint=error.next_step) from error
    return found


def plan(file: RegistryFile, known: RegisteredState) -> list[RegistryChange]:
    """The steps from what is `known` to what the file wants, sites first; none when nothing
    differs.

    Raises BadInput for a camera in a site that is neither registered nor declared by the file, as a
    slip of the keys makes one, and for one that is registered in another site: a camera's site
    never changes.
    """
    steps: list[RegistryChange] = []
    for name, camera in sorted(file.cameras.items()):
        if (
            name not in known.cameras
            and camera.site not in file.sites
            and camera.site not in known.sites
        ):
            like = get_close_matches(camera.site, [*file.sites, *known.sites], 1)
            raise BadInput(
                f"camera {name} is to be in site {camera.site}, which is not registered",
                hint=f"{f'Is it {like[0]}? ' if like else ''}A new site has to be declared in "
                f"the file: [sites.{_key(camera.site)}].",
            )
    for name, site in sorted(file.sites.items()):
        steps += _site_steps(name, site, known.sites.get(name))
    for name, camera in sorted(file.cameras.items()):
        steps += _camera_steps(name, camera, known.cameras.get(name))
    return steps


def _site_steps(name: str, site: FileSite, known: KnownSite | None) -> list[RegistryChange]:
    if known is None:
        new = NewSite(site=name, name=_or(site.name, ""), place=_or(site.place, None))
        return [RegistryChange(f"site {name}", ["+ new"], AddSite(new))]
    fields = SiteFields(
        name=_or(site.name, known.fields.name), place=_or(site.place, known.fields.place)
    )
    lines = differences(msgspec.to_builtins(known.fields), msgspec.to_builtins(fields))
    return (
        [RegistryChange(f"site {name}", lines, ChangeSite(name, fields, known.tag))]
        if lines
        else []
    )


def _camera_steps(name: str, camera: FileCamera, known: KnownCamera | None) -> list[RegistryChange]:
    what = f"camera {name}"
    if known is None:
        scene = _or(camera.scene, Scene())
        new = NewCamera(
            camera=name,
            site=camera.site,
            name=_or(camera.name, ""),
            tags=_or(camera.tags, []),
            scene=scene,
        )
        lines = [
            f"+ new in site {camera.site}",
            *differences(msgspec.to_builtins(Scene()), msgspec.to_builtins(scene)),
        ]
        return [RegistryChange(what, lines, AddCamera(new))]
    if known.site != camera.site:
        raise BadInput(
            f"camera {name} is registered in site {known.site}, the file says {camera.site}",
            hint="A camera's site never changes: give the other place another camera id, or mend "
            "the file.",
        )
    steps = []
    fields = CameraFields(
        name=_or(camera.name, known.fields.name), tags=_or(camera.tags, known.fields.tags)
    )
    if lines := differences(msgspec.to_builtins(known.fields), msgspec.to_builtins(fields)):
        steps.append(RegistryChange(what, lines, ChangeCamera(name, fields, known.tag)))
    if camera.scene is not UNSET and (
        lines := differences(msgspec.to_builtins(known.scene), msgspec.to_builtins(camera.scene))
    ):
        steps.append(
            RegistryChange(f"{what}: scene", lines, SetScene(name, camera.scene, known.scene_tag))
        )
    return steps


def differences(old: Mapping[str, Any], new: Mapping[str, Any], path: str = "") -> list[str]:
    """What differs, a line each: ``+ zones.door``, ``- lines.gate``, ``~ min_hits: 3 -> 2``. Two
    levels deep, as zones and lines are."""
    lines = []
    for key in sorted(old.keys() | new.keys()):
        name = f"{path}{key}"
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        if not path and key in ("zones", "lines", "severities"):
            lines += differences(before or {}, after or {}, f"{name}.")
        elif before is None or key not in old:
            lines.append(f"+ {name}" if path else f"+ {name}: {_short(after)}")
        elif after is None or key not in new:
            lines.append(f"- {name}")
        else:
            lines.append(
                f"~ {name}"
                if isinstance(after, dict)
                else f"~ {name}: {_short(before)} -> {_short(after)}"
            )
    return lines


def to_toml(sites: Mapping[str, SiteFields], cameras: Mapping[str, KnownCamera]) -> str:
    """A file that :func:`parse` reads back to the same."""
    lines: list[str] = []
    for name, site in sorted(sites.items()):
        lines += _table(f"sites.{_key(name)}", msgspec.to_builtins(site))
    for name, camera in sorted(cameras.items()):
        fields = {"site": camera.site, **msgspec.to_builtins(camera.fields)}
        lines += _table(f"cameras.{_key(name)}", fields)
        lines += _table(f"cameras.{_key(name)}.scene", msgspec.to_builtins(camera.scene))
    return "\n".join(lines).strip() + "\n"


def _table(name: str, values: Mapping[str, Any]) -> list[str]:
    lines = ["", f"[{name}]"]
    tables = []
    for key, value in values.items():
        if isinstance(value, dict) and key in ("zones", "lines", "alerts"):
            tables += [
                line
                for shape, fields in value.items()
                for line in _table(f"{name}.{_key(key)}.{_key(shape)}", fields)
            ]
        elif value is not None:
            lines.append(f"{_key(key)} = {_value(value)}")
    return lines + tables


def _key(name: str) -> str:
    return (
        name
        if all(
            character.isascii() and (character.isalnum() or character in "_-") for character in name
        )
        and name
        else _value(name)
    )


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return (
            "{ "
            + ", ".join(
                f"{_key(key)} = {_value(item)}" for key, item in value.items() if item is not None
            )
            + " }"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    # Strings, numbers and booleans of JSON are those of TOML, but for DEL, which TOML wants
    # escaped.
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")


def _or(value: Any, default: Any) -> Any:
    return default if value is UNSET else value


def _short(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else text[:57] + "..."
