"""What becomes of one message, without a broker or a hub."""

import time
from pathlib import Path
from typing import TextIO

import msgspec

from actors.core.errors import ConfigError
from edge.adapters.readings import RefusedInput, Rejection
from edge.replay_account import told
from edge.sources.frames import FrameFormat
from edge.sources.receipts import Receipt

MAX_BYTES = 1_048_576


def try_sample(frame_format: FrameFormat, topic: str, path: Path, out: TextIO) -> int:
    """Write each observation as a line of JSON, and what was left out of it; 0, or 1 when nothing
    came of the message."""
    try:
        with path.open("rb") as file:
            payload = file.read(MAX_BYTES)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    receipt = Receipt(topic, payload, time.time_ns() // 1_000)
    try:
        readings = frame_format.read(receipt)
    except RefusedInput as refused:
        out.write(f"refused: {refused.code}: {refused.detail}\n")
        return 1
    given = 0
    for reading in readings:
        if isinstance(reading, Rejection):
            out.write(f"refused: {reading.code}: {reading.detail}\n")
            continue
        given += 1
        shown = {"camera": reading.source, **msgspec.to_builtins(told(reading))}
        out.write(msgspec.json.encode(shown).decode() + "\n")
        for dropped in reading.dropped:
            out.write(f"left out or changed: {dropped.code}: {dropped.detail}\n")
    return 0 if given else 1
