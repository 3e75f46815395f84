"""A simulated Frigate: its configuration over HTTP, its messages over MQTT, in the form that its
documentation shows; the values are made here. It can end, crash, come back, and repeat itself."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

START = 1_790_000_000.0  # of the scene, on Frigate's clock
WIDTH, HEIGHT = 1280, 720
Step = tuple[str, bytes]  # topic below the prefix, payload


def tracked(
    key: str,
    camera: str = "yard",
    *,
    at: float = 0.0,
    x: float = 0.5,
    y: float = 0.5,
    label: str = "person",
    **more: Any,
) -> dict[str, Any]:
    """An object with its feet at (x, y) of the picture, `at` seconds into the scene."""
    left, right = round((x - 0.05) * WIDTH), round((x + 0.05) * WIDTH)
    top, bottom = round((y - 0.3) * HEIGHT), round(y * HEIGHT)
    return {
        "id": key,
        "camera": camera,
        "frame_time": START + at,
        "snapshot": {"frame_time": START + at, "box": [left, top, right, bottom], "score": 0.8},
        "label": label,
        "sub_label": None,
        "top_score": 0.9,
        "false_positive": False,
        "start_time": START,
        "end_time": None,
        "score": 0.8,
        "box": [left, top, right, bottom],
        "area": (right - left) * (bottom - top),
        "ratio": 0.6,
        "region": [0, 0, WIDTH, HEIGHT],
        "current_zones": [],
        "entered_zones": [],
        "thumbnail": None,
        "has_snapshot": False,
        "has_clip": False,
        "active": True,
        "stationary": False,
        "motionless_count": 0,
        "position_changes": 1,
        "attributes": {},
        "current_attributes": [],
        **more,
    }


def event(kind: str, key: str, **more: Any) -> Step:
    """A message of ``events``: new, update or end."""
    after = tracked(key, **more)
    if kind == "end" and "end_time" not in more:
        after["end_time"] = after["frame_time"]
    return "events", msgspec.json.encode({"type": kind, "before": after, "after": after})


def review(kind: str, key: str, severity: str, *, at: float = 0.0, camera: str = "yard") -> Step:
    """A message of ``reviews``."""
    item = {
        "id": key,
        "camera": camera,
        "start_time": START,
        "end_time": START + at if kind == "end" else None,
        "severity": severity,
        "thumb_path": "",
        "data": {
            "detections": [],
            "objects": ["person"],
            "sub_labels": [],
            "zones": [],
            "audio": [],
        },
    }
    return "reviews", msgspec.json.encode({"type": kind, "before": item, "after": item})


def walk(
    key: str,
    camera: str = "yard",
    *,
    at: float = 0.0,
    steps: int = 20,
    step_s: float = 0.5,
    label: str = "person",
) -> list[Step]:
    """Somebody comes in on the left, walks through the picture and goes."""
    said = []
    for index in range(steps):
        x = 0.1 + 0.8 * index / (steps - 1)
        kind = "new" if index == 0 else "update"
        said.append(
            event(kind, key, camera=camera, at=at + index * step_s, x=x, y=0.7, label=label)
        )
    last = at + (steps - 1) * step_s
    said.append(event("end", key, camera=camera, at=last, x=0.9, y=0.7, label=label))
    return said


def config(*cameras: str) -> dict[str, Any]:
    """What ``/api/config`` answers, as far as it matters, and something of the rest."""
    return {
        "version": "0.16-0",
        "mqtt": {"enabled": True, "topic_prefix": "frigate"},
        "cameras": {
            name: {
                "enabled": True,
                "detect": {"enabled": True, "width": WIDTH, "height": HEIGHT, "fps": 5},
                "zones": {
                    "Middle": {
                        "coordinates": "0.4,0.4,0.6,0.4,0.6,0.9,0.4,0.9",
                        "objects": ["person"],
                    },
                },
            }
            for name in cameras
        },
        "ui": {"unit_system": "metric"},
    }


class SimulatedFrigate:
    """Talks to the broker at `port` while started. `prefix`: its ``mqtt.topic_prefix``."""

    def __init__(self, port: int, prefix: str = "frigate") -> None:
        self._port = port
        self._prefix = prefix
        self._client: Client | None = None

    async def start(self, user: tuple[str, str] | None = None) -> None:
        """Connect with its will, and say that it is online."""
        client = Client(CallbackAPIVersion.VERSION2, client_id=f"frigate-{self._prefix}")
        client.will_set(f"{self._prefix}/available", b"offline", qos=1, retain=True)
        if user is not None:
            client.username_pw_set(*user)
        connected = threading.Event()

        def on_connect(client: Client, *_: object) -> None:
            client.publish(f"{self._prefix}/available", b"online", qos=1, retain=True)
            connected.set()

        client.on_connect = on_connect
        client.connect("127.0.0.1", self._port)
        client.loop_start()
        assert await asyncio.to_thread(connected.wait, 30)
        self._client = client

    async def say(self, *steps: Step, qos: int = 1, retain: bool = False) -> None:
        """Publish in order; returns when the broker has them."""
        assert self._client is not None
        waiting = [
            self._client.publish(f"{self._prefix}/{topic}", payload, qos=qos, retain=retain)
            for topic, payload in steps
        ]
        for one in waiting:
            await asyncio.to_thread(one.wait_for_publish, 30)
            assert one.is_published()

    async def stop(self) -> None:
        """End cleanly, as Frigate does."""
        await self.say(("available", b"stopped"), retain=True)
        await self._leave()

    async def crash(self) -> None:
        """Go without a word: the broker publishes the will."""
        assert self._client is not None
        client, self._client = self._client, None
        sock = client.socket()
        await asyncio.to_thread(client.loop_stop)
        assert sock is not None
        sock.close()

    async def _leave(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            client.disconnect()
            await asyncio.to_thread(client.loop_stop)


@asynccontextmanager
async def simulated_frigate(port: int, prefix: str = "frigate") -> AsyncIterator[SimulatedFrigate]:
    """A started one."""
    frigate = SimulatedFrigate(port, prefix)
    await frigate.start()
    try:
        yield frigate
    finally:
        await frigate._leave()


@asynccontextmanager
async def config_server(answer: dict[str, Any]) -> AsyncIterator[str]:
    """The address of an ``/api/config`` that gives `answer`."""
    body = msgspec.json.encode(answer)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(ConnectionError):
                self.send_response(200 if self.path == "/api/config" else 404)
                self.end_headers()
                if self.path == "/api/config":
                    self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api/config"
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()
