"""The whole stack on Ray, without the launcher: bare servers, a Ray head, the driver as a child.
For the tests of `cluster`."""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from actors.core.settings import (
    AuthSettings,
    CameraSettings,
    ClusterSettings,
    DataSettings,
    HubSettings,
    PolicySettings,
    PostgresSettings,
    RaySettings,
    RedisSettings,
    Settings,
)
from cluster.launcher import launcher
from cluster.ray.head import RayHead
from cluster.ray.process import descendants, environment
from policy.identity.keys import ensure_secret
from policy.identity.tokens import issue
from storage.embedded.data_dir import DataDir
from storage.process.settings_files import write_resolved
from tests.support.servers import store_servers

ROOT = Path(__file__).parents[3]
READY_S = 120.0


class Stack:
    """The running stack."""

    def __init__(
        self,
        settings: Settings,
        path: Path,
        driver: "subprocess.Popen[bytes]",
        ready: dict[str, Any],
        started_s: float,
    ) -> None:
        self.settings = settings
        self.path = path
        self.driver = driver
        self.ready = ready
        self.started_s = started_s
        self.durable: bool | None = None

    @property
    def url(self) -> str:
        """The edge socket of a hub."""
        hub = self.ready["hubs"][0]
        return f"ws://{hub['host']}:{hub['port']}/v1/edge"

    def token(
        self, *, sites: tuple[str, ...] = ("*",), cameras: tuple[str, ...] | None = None
    ) -> str:
        """An edge token."""
        return issue(
            self.settings.auth,
            sub="edge-test",
            typ="edge",
            jti=secrets.token_hex(8),
            now_s=time.time(),
            roles=("edge",),
            sites=sites,
            cameras=cameras,
        )

    def pids(self, title: str) -> list[int]:
        """Processes of this stack whose title begins with `title`, such as ``ray::RayHub``."""
        found = []
        for pid in descendants(os.getpid()):
            try:
                if Path(f"/proc/{pid}/cmdline").read_text(errors="replace").startswith(title):
                    found.append(pid)
            except OSError:
                continue
        return found

    def stop(self) -> bool:
        """SIGTERM to the driver; True when it says that everything is durable."""
        if self.durable is None:
            self.driver.send_signal(signal.SIGTERM)
            out, _ = self.driver.communicate(timeout=60)
            lines = [msgspec.json.decode(line) for line in out.splitlines() if line.strip()]
            self.durable = bool(lines and lines[-1].get("durable"))
        return self.durable


def free_port() -> int:
    """A port that nobody listens on, now or by chance later: a hub that is replaced must come back
    on the same one."""
    return launcher.free_port("127.0.0.1", 0)


@contextmanager
def stack(*, variant: str = "", **sections: Mapping[str, Any]) -> Iterator[Stack]:
    """Start everything, stop everything. `sections` override settings (``cluster={...}``);
    `variant`: of `tests.support.load.broken_product`."""
    with (
        tempfile.TemporaryDirectory(prefix="eyrie-stack-") as name,
        store_servers.postgres() as (_postgres, dsn),
        store_servers.redis() as (_redis, url),
    ):
        folder = Path(name)
        data = DataDir(folder)
        data.prepare()
        secret = data.keys / "hs256"
        secret.write_text(secrets.token_hex(32))
        secret.chmod(0o600)
        seal = (
            data.keys / "policy.secret"
        )  # seals the audit log: without, nobody may register a camera
        ensure_secret(seal)
        os.environ["PYTHONPATH"] = os.pathsep.join(
            [str(ROOT / "tests/support/load/broken"), str(ROOT)] if variant else [str(ROOT)]
        )
        os.environ["BROKEN_VARIANT"] = variant
        head = RayHead(data, cameras=64)
        head.spawn()
        try:
            head.wait()
            settings = Settings(
                data=DataSettings(dir=str(folder)),
                postgres=PostgresSettings(dsn=dsn, **sections.get("postgres", {})),
                redis=RedisSettings(url=url),
                ray=RaySettings(address=head.address, token_file=str(head.token_file)),
                auth=AuthSettings(hs256_secret_file=str(secret)),
                policy=PolicySettings(key_file=str(seal)),
                camera=CameraSettings(**sections.get("camera", {})),
                hub=HubSettings(**{"port": free_port(), **sections.get("hub", {})}),
                cluster=ClusterSettings(
                    **{"api_port": 0, "workers": 0, **sections.get("cluster", {})}
                ),
            )
            write_resolved(data.settings_file, settings)
            prepare = (
                "import sys; from cluster.launcher.setup import prepare_stores; from "
                "storage.process.settings_files import read_resolved; "
                "prepare_stores(read_resolved(sys.argv[1]))"
            )
            subprocess.run(
                [sys.executable, "-c", prepare, str(data.settings_file)], check=True, cwd=ROOT
            )
            began = time.monotonic()
            with (folder / "driver.err").open("wb") as errors:
                driver = subprocess.Popen(
                    [sys.executable, "-m", "cluster.launcher.driver", str(data.settings_file)],
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    cwd=ROOT,
                    env=environment(head.token_file),
                )
            running: Stack | None = None
            try:
                assert driver.stdout is not None
                first = driver.stdout.readline()
                told: dict[str, Any] = (
                    msgspec.json.decode(first)
                    if first
                    else {"error": (folder / "driver.err").read_text()[-3000:]}
                )
                assert "ready" in told, told
                running = Stack(
                    settings, data.settings_file, driver, told["ready"], time.monotonic() - began
                )
                yield running
            finally:
                if running is not None and driver.poll() is None:
                    running.stop()
                if driver.poll() is None:
                    driver.kill()
                    driver.wait(10)
                if driver.stdout is not None:
                    driver.stdout.close()
        finally:
            head.stop()
