"""Attack 7, run: the image is built, `deploy/compose.yaml` comes up as it says, a site streams, a
container is lost, and all of it goes.

Needs root and Debian's docker.io, docker-compose and debootstrap; the daemon is the test's own. The
tests go on one after the other.
"""

import asyncio
import json
import os
import secrets
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.core.errors import StartError
from actors.core.settings import AuthSettings
from cluster.launcher.first_publication import first_publication
from cluster.ray.ports import free_ports
from cluster.ray.process import descendants
from edge.client import EdgeClient
from edge.simulate import site as simulated
from policy.identity import key_pairs
from policy.identity.tokens import issue
from storage.embedded.data_dir import start_time
from tests.support.cluster.product import ROOT
from tests.support.servers.docker_daemon import Daemon, daemon, impossible
from tests.support.waiting import block_until, until

pytestmark = [
    pytest.mark.ray,
    pytest.mark.prove,
    pytest.mark.timeout(3000),
    pytest.mark.skipif(bool(impossible()), reason=impossible()),
]

USERS = {"head": 10001, "node-1": 10002, "node-2": 10003, "postgres": 10010, "redis": 10011}
OF_EYRIE = {"jwks", "policy_key", "postgres_password", "ray_token", "redis_password"}
MOUNTED = {
    "head": OF_EYRIE,
    "node-1": OF_EYRIE,
    "node-2": OF_EYRIE,
    "postgres": {"postgres_password"},
    "redis": {"redis_acl"},
}
CAMERAS = 6
SITE = "default"  # where an unknown camera is registered
BUILD_S = 1800.0
UP_S = 300.0


class Deployment:
    """The compose file as it runs."""

    def __init__(self, docker: Daemon, folder: Path) -> None:
        self.docker = docker
        self.secrets = folder / "secrets"
        self._keys = folder / "keys"
        self._env_file = folder / "env"
        self.ports = dict(
            zip(("head", "node-1", "node-2"), free_ports(range(20_100, 20_900), 3), strict=True)
        )

    def build(self) -> None:
        """The wheel, the image, the secrets."""
        self.docker.run("make", "-C", ROOT, "wheel", timeout_s=600.0)
        self.docker.run(
            ROOT / "deploy" / "build.sh", env={"ENV_FILE": str(self._env_file)}, timeout_s=BUILD_S
        )
        key_pairs.make(self._keys, "ES256")
        self.docker.run(ROOT / "deploy" / "make-secrets.sh", self.secrets, self._keys / "jwks.json")

    def compose(self, *words: str, timeout_s: float = UP_S) -> str:
        """A command of docker-compose."""
        ports = {
            f"EYRIE_PORT_{name.upper().replace('-', '_')}": str(port)
            for name, port in self.ports.items()
        }
        file = ["--file", str(ROOT / "deploy" / "compose.yaml"), "--env-file", str(self._env_file)]
        env = {**ports, "EYRIE_SECRETS": str(self.secrets)}
        return self.docker.run("docker-compose", *file, *words, env=env, timeout_s=timeout_s)

    def up(self) -> None:
        """All of it, healthy, with a hub in each container of Eyrie."""
        self.compose("up", "--detach")
        for service in USERS:
            self.wait_healthy(service)
        self.docker.run(
            "docker",
            "exec",
            "--interactive",
            name("head"),
            "sh",
            "-c",
            "umask 077; cat > /tmp/admin",
            given=self.token("user"),
        )
        self.docker.run(
            "docker",
            "exec",
            name("head"),
            "eyrie",
            "cluster",
            "scale",
            "hubs",
            "3",
            "--token-file",
            "/tmp/admin",
        )

    def wait_healthy(self, service: str) -> None:
        """Until Docker says so."""
        block_until(
            lambda: self.docker.inspect(name(service))["State"]["Health"]["Status"] == "healthy",
            f"{service} is healthy",
            within_s=UP_S,
        )

    def token(self, typ: Any) -> str:
        """As an identity provider would make it: nothing that runs has the key."""
        auth = AuthSettings(
            jwks_file=str(self._keys / "jwks.json"),
            signing_key_file=str(self._keys / "signing.json"),
        )
        roles = ["admin"] if typ == "user" else []
        return issue(
            auth,
            sub="somebody",
            typ=typ,
            jti=secrets.token_hex(8),
            now_s=time.time(),
            roles=roles,
            sites=["*"],
        )

    def processes(self, service: str) -> list[int]:
        """Of its container, as this machine numbers them."""
        first = int(self.docker.inspect(name(service))["State"]["Pid"])
        return [first, *descendants(first)]

    def cameras(self) -> dict[str, dict[str, Any]]:
        """What PostgreSQL has of each, as `eyrie status` tells it."""
        told = json.loads(
            self.docker.run("docker", "exec", name("head"), "eyrie", "status", "--json")
        )
        return {camera["camera"]: camera for camera in told["cameras"]}

    async def see(self, service: str) -> None:
        """Wait for a live publication of the site on a dashboard of that container's hub. It comes
        again after an error, as SDKs do."""
        url, deadline = (
            f"ws://127.0.0.1:{self.ports[service]}/connection/websocket",
            time.monotonic() + 120.0,
        )
        while True:
            try:
                await first_publication(url, self.token("user"), SITE, 60.0, None, hint="")
                return
            except StartError:
                if time.monotonic() > deadline:
                    raise

    def edge(self, service: str) -> str:
        """The address for devices."""
        return f"ws://127.0.0.1:{self.ports[service]}/v1/edge"


def name(service: str) -> str:
    """Of its container."""
    return f"eyrie_{service}_1"


def read(pid: int, what: str) -> str:
    """A file of a process below /proc; nothing of one that has gone."""
    try:
        return Path(f"/proc/{pid}/{what}").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with daemon() as docker:
        made = Deployment(docker, tmp_path_factory.mktemp("deployment"))
        made.build()
        try:
            made.up()
            yield made
        except AssertionError as error:
            error.add_note(made.compose("logs", "--tail", "60"))
            raise
        finally:
            made.compose("down", "--volumes", "--timeout", "60")


def test_attack_07_every_process_has_a_user_of_its_own_and_can_do_nothing_else(
    running: Deployment,
) -> None:
    for service, user in USERS.items():
        status = [text for pid in running.processes(service) if (text := read(pid, "status"))]
        assert len(status) >= 2, service
        fields = [
            {line.split(":")[0]: line.split(":")[1].split() for line in text.splitlines()}
            for text in status
        ]
        assert {number for found in fields for number in (*found["Uid"], *found["Gid"])} == {
            str(user)
        }, service
        assert {
            found["CapEff"][0].strip("0") or found["CapBnd"][0].strip("0") for found in fields
        } == {""}, service
        assert {found["NoNewPrivs"][0] for found in fields} == {"1"}, service
        assert running.docker.inspect(name(service))["HostConfig"]["ReadonlyRootfs"] is True, (
            service
        )


def test_attack_07_no_secret_is_in_an_argument_the_environment_or_what_docker_knows(
    running: Deployment,
) -> None:
    secret = {
        path.name: path.read_text(encoding="ascii").strip()
        for path in (running.secrets / "common").iterdir()
        if path.name != "jwks"
    }
    assert set(secret) == {
        "policy_key",
        "postgres_password",
        "ray_token",
        "redis_acl",
        "redis_password",
    }
    for service, files in MOUNTED.items():
        known = json.dumps(running.docker.inspect(name(service))) + running.docker.run(
            "docker", "logs", name(service)
        )
        known += "".join(
            read(pid, what) for pid in running.processes(service) for what in ("cmdline", "environ")
        )
        assert [what for what, text in secret.items() if text in known] == [], service
        listed = running.docker.run(
            "docker", "exec", name(service), "sh", "-c", "stat --format '%n %a %u' /run/secrets/*"
        ).splitlines()
        assert {line.removeprefix("/run/secrets/") for line in listed} == {
            f"{file} 400 {USERS[service]}" for file in files
        }


async def test_a_site_streams_and_nothing_acked_is_lost_with_a_container(
    running: Deployment,
) -> None:
    cameras, stop = simulated.cameras("north", CAMERAS), asyncio.Event()
    async with EdgeClient(running.edge("node-1"), running.token("edge")) as client:
        streaming = asyncio.create_task(
            simulated.stream(
                client,
                cameras,
                seed=7,
                fps=5.0,
                session=f"s-{secrets.token_hex(4)}",
                stop=stop,
                seconds=None,
            )
        )
        for service in running.ports:
            await running.see(service)
        acked, lost = (
            client.account.committed,
            int(running.docker.inspect(name("node-1"))["State"]["Pid"]),
        )
        client.url = running.edge("node-2")  # a device has more than one address
        os.kill(
            lost, signal.SIGKILL
        )  # its first process: the kernel ends all others of the container
        before = await until_more(client, acked, CAMERAS * 50)
        for service in ("head", "node-2"):
            await running.see(service)
        await asyncio.to_thread(running.wait_healthy, "node-1")
        assert int(running.docker.inspect(name("node-1"))["State"]["Pid"]) != lost
        await until_more(client, before, CAMERAS * 50)
        stop.set()
        frames = await streaming
        await client.drain(60.0)
        account = client.account
    assert (account.offered, account.committed, account.rejected, account.shed) == (
        frames,
        frames,
        0,
        0,
    )
    stored = await asyncio.to_thread(running.cameras)
    assert sum(stored[camera]["last_seq"] for camera in cameras) == frames
    assert len({stored[camera]["last_seq"] for camera in cameras}) <= 2  # none stood still


async def until_more(client: EdgeClient, than: int, more: int) -> int:
    """Wait until so many more observations are acked; how many are then."""
    await until(
        lambda: client.account.committed >= than + more,
        within_s=180.0,
        what=f"{more} acks more than {than}",
    )
    return client.account.committed


def test_it_stops_in_order_and_leaves_nothing(running: Deployment) -> None:
    living = {pid: start_time(pid) for service in USERS for pid in running.processes(service)}
    running.compose("stop", "--timeout", "120")
    ended = {
        service: running.docker.inspect(name(service))["State"]["ExitCode"] for service in USERS
    }
    assert ended["head"] == 0, running.docker.run("docker", "logs", "--tail", "40", name("head"))
    assert ended["postgres"] == 0
    running.compose("down", "--volumes")
    assert [
        pid for pid, started in living.items() if started is not None and start_time(pid) == started
    ] == []
    for listed in (
        ("ps", "--all"),
        ("volume", "ls"),
        ("network", "ls", "--filter", "driver=bridge"),
    ):
        assert running.docker.run("docker", *listed, "--quiet") == "", listed
