"""A zone that changes on a running camera, a camera that is deleted, a dead letter that is
replayed: through the whole product."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.cluster.product import Product, data_folder, eyrie, product
from tests.support.waiting import block_until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

# The whole picture: whatever walks through the simulated camera's view is in it.
EVERYWHERE = {"points": [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], "enter_frames": 1}
FILE = """
[sites.demo]

[cameras.demo-2]
site = "demo"
name = "From the file"

[cameras.demo-2.scene.zones.all]
points = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
"""


def client(running: Product) -> httpx.Client:
    return httpx.Client(
        base_url=running.url,
        headers={"authorization": f"Bearer {running.token}"},
        trust_env=False,
        timeout=20,
    )


def events(http: httpx.Client, camera: str, kind: str) -> list[dict[str, Any]]:
    found = http.get(f"/v1/cameras/{camera}/events", params={"limit": 500}).json()["events"]
    return [event for event in found if event["type"] == kind]


def test_the_registry_moves_the_running_fleet(tmp_path: Path) -> None:
    file = tmp_path / "cameras.toml"
    file.write_text(FILE)
    env = {"EYRIE_CLUSTER_CAMERAS_PER_ACTOR": "4", "EYRIE_REGISTRY_SCENES_FILE": str(file)}
    with (
        data_folder() as path,
        product(path, "--cameras", "3", env=env) as running,
        client(running) as http,
    ):
        block_until(
            lambda: len(http.get("/v1/cameras").json()["cameras"]) == 3,
            "all cameras are registered",
            within_s=60,
        )
        assert http.get("/v1/cameras/demo-2").json()["name"] == "From the file"

        scene = http.get("/v1/cameras/demo-1/scene")
        block_until(
            lambda: http.get("/v1/cameras/demo-1/state").json()["status"] == "online",
            "the camera is online",
            within_s=60,
        )
        path_of_zone = "/v1/cameras/demo-1/scene/zones/everywhere"
        assert (
            http.put(path_of_zone, json=EVERYWHERE, headers={"if-match": '"999"'}).status_code
            == 412
        )
        changed = http.put(
            path_of_zone, json=EVERYWHERE, headers={"if-match": scene.headers["etag"]}
        )
        assert changed.status_code == 200, changed.text
        version = changed.json()["scene_version"]
        assert changed.json()["in_force"] == version, (
            "the running actor has followed before the answer"
        )
        (event,) = [
            e
            for e in events(http, "demo-1", "camera.scene_changed")
            if e["data"]["version"] == version
        ]
        assert event["data"]["added"] == ["zone:everywhere"]

        def entered() -> list[dict[str, Any]]:
            return [e for e in events(http, "demo-1", "zone.entered") if e["zone"] == "everywhere"]

        block_until(lambda: bool(entered()), "somebody is in the new zone", within_s=60)
        assert all(e["offset"] > event["offset"] and e["seq"] > event["seq"] for e in entered())

        block_until(
            lambda: http.get("/v1/cameras/demo-3/state").json()["status"] == "online",
            "the third camera is online",
            within_s=60,
        )
        assert http.delete("/v1/cameras/demo-3", headers={"if-match": "*"}).status_code == 204
        wall = http.get("/v1/sites/demo/state").json()["cameras"]
        assert sorted(camera["camera"] for camera in wall) == ["demo-1", "demo-2"]

        def seq() -> int:
            return int(http.get("/v1/cameras/demo-1/state").json()["health"]["seq"])

        after = seq()
        block_until(
            lambda: seq() > after + 20, "the neighbours of a deleted camera stream on", within_s=60
        )

        again = eyrie("registry", "apply", file, "--data-dir", path)
        assert (again.returncode, "nothing differs" in again.stderr) == (0, True), (
            again.stdout + again.stderr
        )
        said = "".join(
            log.read_text(encoding="utf-8", errors="replace") for log in running.data.logs.iterdir()
        )
        assert "demo-3 is streamed no more" in said, "its edge was told, for good"
        listed = eyrie("dead-letters", "list", "--json", "--data-dir", path)
        assert listed.returncode == 0, listed.stderr
        verified = eyrie("audit", "verify", path)
        assert verified.returncode == 0, verified.stdout
