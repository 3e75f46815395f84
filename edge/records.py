"""The records of a spool's segments: a header with checksums of its own and of the payload, so that
damage costs one record.

Header: magic, kind, payload length, seq, CRC-32 of the payload, CRC-32 of the header before it;
little endian.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

MAX_PAYLOAD_BYTES = 65_536
LIVE, ALARM, GAP, ACKED, CLOSED = 1, 2, 3, 4, 5  # kinds

_HEADER = struct.Struct("<2sBxIQII")
_MAGIC = b"Ey"
HEADER_BYTES = _HEADER.size


@dataclass(slots=True, frozen=True)
class SpoolRecord:
    """A whole record and where it begins."""

    kind: int
    seq: int
    payload: bytes
    offset: int


def encode_record(kind: int, seq: int, payload: bytes) -> bytes:
    """A record of `kind`."""
    head = _HEADER.pack(_MAGIC, kind, len(payload), seq, zlib.crc32(payload), 0)[:-4]
    return head + struct.pack("<I", zlib.crc32(head)) + payload


def read_records(data: bytes) -> Iterator[SpoolRecord]:
    """The whole records of `data`, in order, whatever lies between them."""
    offset = 0
    while (offset := data.find(_MAGIC, offset)) >= 0:
        if offset + _HEADER.size > len(data):
            return
        _, kind, length, seq, payload_crc, head_crc = _HEADER.unpack_from(data, offset)
        start = offset + _HEADER.size
        if zlib.crc32(data[offset : start - 4]) != head_crc or length > MAX_PAYLOAD_BYTES:
            offset += 1
            continue
        payload = data[start : start + length]
        if len(payload) == length and zlib.crc32(payload) == payload_crc:
            yield SpoolRecord(kind, seq, payload, offset)
            offset = start + length
        else:
            offset = start
