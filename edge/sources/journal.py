"""What a source has taken over from its origin, on disk before the origin is told.

A record says what one round of receipts changed in the mapping's memory and which observations they
gave, each with the place (session, seq) that it gets in the spool. It is synced before anything of
it is spooled or acknowledged. After a crash the spool may lack the last observations: `repair` adds
them at their places, so each is there once, and the memory knows the receipts that come again.

On disk: ``journal-<number>``, records of length, CRC-32 and MessagePack; the first of a file holds
the whole memory. What is torn at the end was never acknowledged and is cut off. A new file is begun
by `rewrite`, when all spools are synced.
"""

import fcntl
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from actors.core.errors import ConfigError, Conflict, Unavailable
from edge.spool import DiskSpool
from edge.spool_folder import CameraFolder

MAX_BYTES = 8 * 1024 * 1024  # of one file, then it is rewritten
MAX_RECORD_BYTES = 16 * 1024 * 1024
_HEAD = struct.Struct("<II")


class SpooledItem(msgspec.Struct, frozen=True, array_like=True):
    """An encoded observation and where it goes in the spool of its camera."""

    camera: str
    session: str
    seq: int
    alarm: bool
    body: bytes


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One record. `memory`: changed values by key, None for forgotten ones."""

    memory: dict[str, Any]
    placed: list[SpooledItem] = []


class SourceJournal:
    """The journal of one source; one process at a time. `memory` and `placed` are what it held when
    it was opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.memory: dict[str, Any] = {}
        self.placed: list[SpooledItem] = []
        self.size = 0  # bytes of the file in use
        self._descriptor = -1
        self._number = 0
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(
                f"the folder {folder} cannot be used: {error.strerror}",
                hint="Name a folder of your own.",
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise Conflict(
                f"another process uses {folder}",
                hint="End it, or give this one another spool folder.",
            ) from error
        self._recover()

    def append(self, entry: Entry) -> None:
        """Write and sync (blocks). Raises Unavailable when the disk refuses; nothing is kept
        then."""
        data = _record(entry)
        try:
            if os.write(self._descriptor, data) != len(data):
                raise OSError(28, "no space left on device")
            os.fsync(self._descriptor)
        except OSError as error:
            os.ftruncate(self._descriptor, self.size)
            raise Unavailable(
                f"the journal {self.folder} cannot be written: {error.strerror}",
                hint="Make room on its disk; the origin keeps what was not acknowledged.",
            ) from error
        self.size += len(data)

    def rewrite(self, memory: dict[str, Any]) -> None:
        """Begin a new file with the whole `memory` (blocks). All spools are synced. Raises
        Unavailable."""
        number = self._number + 1
        path = self._path(number)
        temporary = path.with_suffix(".new")
        data = _record(Entry(memory))
        try:
            descriptor = os.open(
                temporary,
                os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC,
                0o600,
            )
            if os.write(descriptor, data) != len(data):
                raise OSError(28, "no space left on device")
            os.fsync(descriptor)
            temporary.rename(path)
            _sync_folder(self.folder)
        except OSError as error:
            raise Unavailable(
                f"the journal {self.folder} cannot be written: {error.strerror}"
            ) from error
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._path(self._number).unlink(missing_ok=True)
        self._descriptor, self._number, self.size = descriptor, number, len(data)

    def close(self) -> None:
        """Let go of the folder."""
        for descriptor in (self._descriptor, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._lock = -1

    def _path(self, number: int) -> Path:
        return self.folder / f"journal-{number:08d}"

    def _recover(self) -> None:
        numbers = sorted(
            int(path.name[8:]) for path in self.folder.glob("journal-*") if path.name[8:].isdigit()
        )
        for number in numbers[:-1]:  # a crash fell between a rewrite and the end of its forerunner
            self._path(number).unlink(missing_ok=True)
        if not numbers:
            self.rewrite({})
            return
        self._number = numbers[-1]
        path = self._path(self._number)
        data = path.read_bytes()
        while (entry := _entry_at(data, self.size)) is not None:
            found, self.size = entry
            self.placed += found.placed
            for key, value in found.memory.items():
                if value is None:
                    self.memory.pop(key, None)
                else:
                    self.memory[key] = value
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        os.ftruncate(self._descriptor, self.size)


def repair(spool: Path, placed: Sequence[SpooledItem], capacity: int) -> int:
    """Add to the spool of each camera what the journal holds beyond its last seq; how many (blocks,
    before a client opens it). A session that is gone was delivered whole."""
    added = 0
    by_camera: dict[str, list[SpooledItem]] = {}
    for one in placed:
        by_camera.setdefault(one.camera, []).append(one)
    for camera, wanted in by_camera.items():
        folder = CameraFolder(spool, camera)
        try:
            known = {name for name, _ in folder.sessions()}
            for session in dict.fromkeys(one.session for one in wanted):
                if known and session not in known:
                    continue
                disk = DiskSpool(folder.place(session), capacity=capacity)
                for one in wanted:
                    if one.session == session and one.seq >= disk.recovered.next_seq:
                        disk.append(one.seq, one.body, alarm=one.alarm)
                        added += 1
                disk.close()
        finally:
            folder.close()
    return added


def _record(entry: Entry) -> bytes:
    payload = msgspec.msgpack.encode(entry)
    return _HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def _entry_at(data: bytes, offset: int) -> tuple[Entry, int] | None:
    """The record at `offset` and where the next begins; None at the end and for a torn one."""
    start = offset + _HEAD.size
    if start > len(data):
        return None
    length, checksum = _HEAD.unpack_from(data, offset)
    payload = data[start : start + length]
    if length > MAX_RECORD_BYTES or len(payload) < length or zlib.crc32(payload) != checksum:
        return None
    return msgspec.msgpack.decode(payload, type=Entry), start + length


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
