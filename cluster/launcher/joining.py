"""What a machine that joins a cluster makes of the cluster's settings (pure). Paths below the
head's data directory become paths below its own: that is where the launcher of either keeps
secrets, so copying ``keys/`` is all there is to do."""

import re
from collections.abc import Callable, Iterator
from pathlib import PurePath

import msgspec

from actors.core.errors import StartError
from actors.core.settings import Settings, sections

_SOCKET = re.compile(
    r"(?:^unix://([^?]+))|(?:[?&\s]host=(/[^&\s]+))|(?:^host=(/[^\s]+))"
)  # of a Redis URL, of a PostgreSQL DSN


def localized(
    settings: Settings,
    folder: str,
    *,
    address: str,
    host: str | None = None,
    port: int | None = None,
) -> Settings:
    """`settings` of the cluster at `address` as a node with the data directory `folder` uses them;
    its hubs listen at `host`, `port`."""
    replace, head = msgspec.structs.replace, settings.data.dir
    moved = {
        section: replace(
            getattr(settings, section),
            **{name: _moved(value, head, folder) for name, value in _paths(settings, section)},
        )
        for section in sections()
    }
    tree = replace(settings, **moved)
    hub = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    return replace(
        tree,
        data=replace(tree.data, dir=folder),
        ray=replace(tree.ray, address=address, host=""),
        hub=replace(tree.hub, **hub),
        registry=replace(tree.registry, scenes_file=""),
        auth=replace(tree.auth, signing_key_file=""),  # for the head and for people
    )


def check(settings: Settings, exists: Callable[[str], bool]) -> None:
    """Raises StartError when something that the settings name is not on this machine (`exists`
    tells), saying how to bring it there."""
    sockets = [
        path
        for text in (settings.postgres.dsn, settings.redis.url)
        for path in _sockets(text)
        if not exists(path)
    ]
    if sockets:
        raise StartError(
            f"the cluster keeps its data behind {', '.join(sockets)}, which is not on this machine",
            hint="PostgreSQL and Redis inside `eyrie up` are for one machine. Start the head "
            "with EYRIE_POSTGRES_DSN and EYRIE_REDIS_URL.",
        )
    missing = [
        f"{section}.{name} = {path}"
        for section in sections()
        for name, path in _paths(settings, section)
        if not exists(path)
    ]
    if missing:
        raise StartError(
            f"files that the cluster's settings name are not on this machine: {', '.join(missing)}",
            hint="Copy them from the head: those below its data directory belong below this "
            "one's, the others to the same place.",
        )


def _paths(settings: Settings, section: str) -> Iterator[tuple[str, str]]:
    """The settings of a section that name files or folders, and are set."""
    for field in msgspec.structs.fields(getattr(settings, section)):
        value = getattr(getattr(settings, section), field.name)
        if field.name.endswith(("_file", "_dir")) and isinstance(value, str) and value:
            yield field.name, value


def _moved(path: str, head: str, folder: str) -> str:
    inside = PurePath(path).is_relative_to(head) if head else False
    return str(PurePath(folder) / PurePath(path).relative_to(head)) if inside else path


def _sockets(address: str) -> Iterator[str]:
    for match in _SOCKET.finditer(address):
        yield next(group for group in match.groups() if group)
