"""What a file looks like, by its first bytes: for a message, never for a decision."""

from itertools import islice
from typing import Any

from edge.adapters.documents import Document, documents

SAMPLE_BYTES = 65_536
SAMPLE_DOCUMENTS = 8


def looks_like(sample: bytes) -> str | None:
    """The format that the beginning of a file resembles, None when it resembles none."""
    lines = [line.strip() for line in sample.splitlines() if line.strip()]
    if not lines:
        return None
    if _numbers(lines[0]) or (len(lines) > 1 and _numbers(lines[1])):
        return "mot"
    found = islice(documents(line + b"\n" for line in sample.split(b"\n")), SAMPLE_DOCUMENTS)
    names = (_document(document.value) for document in found if isinstance(document, Document))
    return next((name for name in names if name is not None), None)


def _numbers(line: bytes) -> bool:
    fields = line.replace(b",", b" ").split()
    try:
        return len([float(field) for field in fields]) >= 6
    except ValueError:
        return False


def _document(value: dict[str, Any]) -> str | None:
    if "image_id" in value and "bbox" in value:
        return "coco"
    if "@timestamp" in value or "sensorId" in value:
        return "deepstream"
    if "frameId" in value or ("frame" in value and "detections" in value):
        return "opendatacam"
    return "ndjson" if "time" in value else None
