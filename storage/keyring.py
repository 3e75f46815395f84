"""A keyring in a folder: one file per key, ``<day>/<site>/<camera>/<class>/<n>.key`` (0600, folders
0700), on disk before it is used.

Of a scope the key with the highest number is current. A destroyed key leaves an empty file
``<n>.destroyed``: so its number never comes again, and its values are told as erased rather than
as missing. Files are erased by their name alone; what lies below (a copying file system, a backup
of the folder) must forget them too, or holds the values with them (docs/privacy.md).
"""

import asyncio
import contextlib
import errno
import os
import re
import secrets
import stat
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TypeVar

from actors.core.errors import Unavailable
from actors.core.identifiers import is_id
from storage.ports.keyring import KEY_BYTES, Key, KeyScope

MAX_CACHED = 4_096  # keys kept in memory, of each kind
# seconds a key is used without looking at its file: so long after it was destroyed, at most, is
# something still encrypted under it or shown
FRESH_S = 1.0
DAY = re.compile(r"[0-9]{8}\Z")
CLASS = re.compile(r"[a-z]{1,32}\Z")
NUMBER = re.compile(r"[1-9][0-9]{0,8}\Z")

_T = TypeVar("_T")
_K = TypeVar("_K")
_V = TypeVar("_V")
_Seen = tuple[float, bytes | None]  # when its file was read last, and the secret


class FolderKeyring:
    """`storage.ports.keyring.Keyring` in `folder`, which is made when the first key is."""

    def __init__(self, folder: Path, *, now: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._now = now
        self._current: OrderedDict[KeyScope, tuple[float, Key]] = OrderedDict()
        self._seen: OrderedDict[str, _Seen] = OrderedDict()

    async def current(self, scopes: Collection[KeyScope]) -> dict[KeyScope, Key]:
        found: dict[KeyScope, Key] = {}
        since = self._now() - FRESH_S
        for scope in scopes:
            if (known := self._current.get(scope)) is not None and known[0] >= since:
                found[scope] = known[1]
        missing = [scope for scope in scopes if scope not in found]
        if missing:
            began = self._now()
            made = await self._apart(lambda: {scope: self._make(scope) for scope in missing})
            for scope, key in made.items():
                _remember(self._current, scope, (began, key))
            found |= made
        return found

    async def find(self, ids: Collection[str]) -> dict[str, bytes | None]:
        found: dict[str, bytes | None] = {}
        since = self._now() - FRESH_S
        for name in ids:
            if (known := self._seen.get(name)) is not None and known[0] >= since:
                found[name] = known[1]
        missing = [name for name in ids if name not in found]
        if missing:
            began = self._now()
            read = await self._apart(lambda: dict(self._read_all(missing)))
            for name, secret in read.items():
                _remember(self._seen, name, (began, secret))
            found |= read
        return found

    async def renew(self, ids: Collection[str]) -> dict[str, Key]:
        wanted = sorted(set(ids))
        made = await self._apart(lambda: {name: self._renew(name) for name in wanted})
        gone = set(wanted)
        for scope in [scope for scope, (_, key) in self._current.items() if key.id in gone]:
            del self._current[scope]
        return made

    async def destroy(self, ids: Collection[str]) -> list[str]:
        wanted = sorted(set(ids))
        for name in wanted:
            self._seen.pop(name, None)
        gone = set(wanted)
        for scope in [scope for scope, (_, key) in self._current.items() if key.id in gone]:
            del self._current[scope]
        return await self._apart(lambda: [name for name in wanted if self._destroy(name)])

    async def ids(self) -> list[str]:
        return await self._apart(
            lambda: sorted(
                str(path.relative_to(self._folder).with_suffix(""))
                for path in self._folder.glob("*/*/*/*/*.key")
            )
        )

    async def _apart(self, work: Callable[[], _T]) -> _T:
        """`work` in a thread: a disk may take its time."""
        try:
            return await asyncio.to_thread(work)
        except OSError as error:
            raise Unavailable(
                f"the keyring {self._folder} cannot be used: {error.strerror}",
                hint="Personal values are neither stored nor shown without it: "
                "look at events.keyring_dir.",
            ) from error

    def _renew(self, name: str) -> Key:
        *scope, number = name.split("/")
        _checked(name)
        return self._make(KeyScope(*scope), above=int(number))

    def _make(self, scope: KeyScope, above: int = 0) -> Key:
        folder = self._folder / _checked_scope(scope)
        if not folder.is_dir():
            _make_folders(self._folder, folder)
        while True:
            number, live = _newest(folder)
            if live and number > above:
                name = f"{folder.relative_to(self._folder)}/{number}"
                with contextlib.suppress(FileNotFoundError):  # destroyed just now: look again
                    return Key(name, _read(folder / f"{number}.key"))
                continue
            with contextlib.suppress(FileExistsError):  # another process was faster: look again
                fresh = max(number, above) + 1
                _write_new(folder / f"{fresh}.key", secrets.token_bytes(KEY_BYTES))

    def _read_all(self, names: list[str]) -> Iterator[tuple[str, bytes | None]]:
        for name in names:
            path = self._folder / _checked(name)
            if path.with_suffix(".destroyed").exists():
                yield name, None
                continue
            with contextlib.suppress(FileNotFoundError):
                yield name, _read(path)

    def _destroy(self, name: str) -> bool:
        """The mark first: a crash between the two leaves a key that is read no more, and that the
        next try erases."""
        path = self._folder / _checked(name)
        mark = path.with_suffix(".destroyed")
        if not path.parent.is_dir():
            _make_folders(self._folder, path.parent)
        fresh = not mark.exists()
        if fresh:
            with contextlib.suppress(FileExistsError):
                _write_new(mark, b"")
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
            fresh = True
        _sync(path.parent)
        return fresh


def _newest(folder: Path) -> tuple[int, bool]:
    """(the highest number there is or was, whether its key can be used)."""
    live, gone = 0, 0
    for entry in os.listdir(folder):
        stem, _, kind = entry.partition(".")
        if NUMBER.match(stem) and kind == "key":
            live = max(live, int(stem))
        elif NUMBER.match(stem) and kind == "destroyed":
            gone = max(gone, int(stem))
    return (live, True) if live > gone else (gone, False)


def _checked_scope(scope: KeyScope) -> str:
    if not (
        DAY.match(scope.day)
        and is_id(scope.site)
        and is_id(scope.camera)
        and CLASS.match(scope.class_)
    ):
        raise ValueError(f"{scope!r} is no scope of a key")
    return "/".join(scope)


def _checked(name: str) -> str:
    """The file of a key, relative: an id is never more than names and a number."""
    *scope, number = name.split("/")
    if len(scope) != 4 or not NUMBER.match(number):
        raise ValueError(f"{name[:200]!r} is no key")
    return f"{_checked_scope(KeyScope(*scope))}/{number}.key"


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
            raise PermissionError(errno.EPERM, f"others may read {path.name}")
        secret = file.read(KEY_BYTES + 1)
    if len(secret) != KEY_BYTES:
        raise OSError(errno.EIO, f"{path.name} is no key")
    return secret


def _write_new(path: Path, data: bytes) -> None:
    """On disk when this returns, whole or not at all. Raises FileExistsError."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    _sync(path.parent)


def _make_folders(root: Path, folder: Path) -> None:
    """Each of its own mode, and known to the folder above it on disk."""
    for part in reversed([folder, *folder.parents]):
        if part == root or part.is_relative_to(root):
            with contextlib.suppress(FileExistsError):
                part.mkdir(0o700, parents=part == root)
            _sync(part.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remember(cache: OrderedDict[_K, _V], key: _K, value: _V) -> None:
    cache[key] = value
    cache.move_to_end(key)
    while len(cache) > MAX_CACHED:
        cache.popitem(last=False)
