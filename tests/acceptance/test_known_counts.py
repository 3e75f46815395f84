"""A MOT recording with known counts through the whole product: the scene by a file, `eyrie replay`,
and what `eyrie audit export` says."""

import json
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from cluster.event_proofs import AuditEvent, CameraTotals, read_export
from tests.support.cluster.product import Product, eyrie
from tests.support.load.pedestrians import HEIGHT, SCENE, WIDTH, crowd, mot_text, naive_counts

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

FPS = 25
CAMERA = "mall"


def registry() -> str:
    """The registry file of the camera."""
    line, zone = SCENE.lines["gate"], SCENE.zones["square"]
    return "\n".join(
        [
            "[sites.centre]",
            f"[cameras.{CAMERA}]",
            'site = "centre"',
            f"[cameras.{CAMERA}.scene.lines.gate]",
            f"points = {[list(point) for point in line.points]}",
            f"[cameras.{CAMERA}.scene.zones.square]",
            f"points = {[list(point) for point in zone.points]}",
        ]
    )


def test_a_mot_recording_is_counted_right(bare_stack: Product, tmp_path: Path) -> None:
    known = crowd(4, FPS)
    detections = known.detections(4)
    recording, scene = tmp_path / "mall.txt", tmp_path / "cameras.toml"
    recording.write_text(mot_text(detections, known.frames, FPS), encoding="ascii")
    scene.write_text(registry(), encoding="utf-8")
    options = [
        "--format",
        "mot",
        "--camera",
        CAMERA,
        "--frame-size",
        f"{WIDTH}x{HEIGHT}",
        "--fps",
        str(FPS),
        "--speed",
        "max",
        "--json",
    ]
    path = bare_stack.data.path
    applied = eyrie("registry", "apply", scene, "--data-dir", path)
    assert applied.returncode == 0, applied.stdout + applied.stderr
    replayed = eyrie("replay", recording, *options, "--data-dir", path, timeout_s=200)
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    export = tmp_path / "export.ndjson"
    assert eyrie("audit", "export", export, "--source", path).returncode == 0
    verified = eyrie("audit", "verify", path)
    assert json.loads(replayed.stdout.splitlines()[-1])["adds_up"]
    assert verified.returncode == 0, verified.stdout
    records = [
        record
        for record in read_export(export.read_bytes().splitlines())
        if record.camera == CAMERA
    ]
    (totals,) = [record for record in records if isinstance(record, CameraTotals)]
    events = [
        msgspec.json.decode(record.body) for record in records if isinstance(record, AuditEvent)
    ]
    assert totals.counts == {"gate": {"in": known.to_right, "out": known.to_left}}
    assert totals.occupancy == {}
    kinds = Counter(event["type"] for event in events)
    assert (kinds["line.crossed"], kinds["zone.entered"]) == (
        known.to_right + known.to_left,
        known.entries,
    )
    assert sum(naive_counts(detections)) > 2 * (known.to_right + known.to_left)
