"""Every socket that the running product listens on is one of ours, on loopback, or lies in Ray's
configured range; and what Ray serves there is refused to whoever has not the token
(`docs/deploy.md`)."""

import os
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from storage.process.settings_files import read_resolved
from tests.support.cluster.product import Product
from tests.support.grpc_probe import OK, UNAUTHENTICATED, UNIMPLEMENTED, call
from tests.support.waiting import block_until

pytestmark = pytest.mark.ray

LISTEN = "0A"  # state of a socket in /proc/net/tcp
# One method of every service that Ray 2.60 has on some port.
METHODS = (
    "/ray.rpc.NodeInfoGcsService/GetAllNodeInfo",
    "/ray.rpc.InternalKVGcsService/InternalKVKeys",
    "/ray.rpc.JobInfoGcsService/GetAllJobInfo",
    "/ray.rpc.ActorInfoGcsService/GetAllActorInfo",
    "/ray.rpc.NodeManagerService/GetNodeStats",
    "/ray.rpc.ObjectManagerService/Pull",
    "/ray.rpc.CoreWorkerService/GetCoreWorkerStats",
)
HEALTH = "/grpc.health.v1.Health/Check"
AGENT = "ray::RuntimeEnv"  # speaks HTTP


class Listening(msgspec.Struct, frozen=True):
    """A socket and whose it is."""

    host: str
    port: int
    owner: str


def listening(pids: list[int]) -> list[Listening]:
    """What these processes listen on (proc(5): net/tcp, fd)."""
    owners = {inode: title(pid) for pid in pids for inode in sockets(pid)}
    found = []
    for family in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{family}").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            host, _, port = fields[1].partition(":")
            if fields[3] == LISTEN and fields[9] in owners:
                found.append(Listening(address(host), int(port, 16), owners[fields[9]]))
    return found


def address(text: str) -> str:
    """As people write it: the kernel prints words of four bytes, the lowest first."""
    raw = b"".join(bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8))
    raw = raw[12:] if len(raw) == 16 and raw[:12] == b"\0" * 10 + b"\xff\xff" else raw
    return ".".join(map(str, raw)) if len(raw) == 4 else "::" if not any(raw) else raw.hex(":", 2)


def sockets(pid: int) -> Iterator[str]:
    """The inodes of its sockets."""
    try:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            if (found := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(link))) is not None:
                yield found[1]
    except OSError:
        return


def title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
    except OSError:
        return ""


def test_nothing_of_ours_is_reached_from_outside_and_nothing_of_ray_without_its_token(
    stack: Product,
) -> None:
    settings = read_resolved(stack.data.settings_file)
    everything = listening(stack.processes())
    ray = [
        found
        for found in everything
        if settings.ray.port_min <= found.port <= settings.ray.port_max
    ]
    ours = [found for found in everything if found not in ray]
    assert settings.hub.port in [found.port for found in ours]
    assert [found for found in ours if not found.host.startswith("127.")] == []
    assert [
        found
        for found in ours
        if not re.search("ray::(RayHub|RaySupervisor)|cluster.cli.main up|nats-server", found.owner)
    ] == []
    (broker,) = [found for found in ours if "nats-server" in found.owner]
    with socket.create_connection((broker.host, broker.port), 5) as link:
        assert b'"auth_required":true' in link.recv(4096)
    kinds = (
        "gcs_server",
        "raylet",
        "ray::RayHub",
        "ray::RayCamera",
        "ray::RayPolicy",
        "ray::RaySupervisor",
        AGENT,
    )
    assert [kind for kind in kinds if not any(kind in found.owner for found in ray)] == []
    links = stack.data.socket_folder("links")
    assert links.stat().st_mode & 0o777 == 0o700
    assert [link.name for link in links.iterdir() if link.stat().st_mode & 0o777 != 0o600] == []
    assert any(links.iterdir()), "camera actors take links there, and on no port"
    token = Path(settings.ray.token_file).read_text(encoding="ascii").strip()
    for found in ray:
        host = found.host if found.host.startswith("127.") else "127.0.0.1"
        if AGENT in found.owner:
            assert status(f"http://{host}:{found.port}/") == 401
            continue
        strangers = {method: call(host, found.port, method) for method in METHODS}
        assert set(strangers.values()) <= {UNAUTHENTICATED, UNIMPLEMENTED}, (found, strangers)
        served = [method for method, answer in strangers.items() if answer == UNAUTHENTICATED]
        assert served, f"no service is known on {found}"
        assert OK in [
            call(host, found.port, method, (("authorization", f"Bearer {token}"),))
            for method in served
        ], found
        assert call(host, found.port, HEALTH) == OK  # that it lives is all that it tells


def status(url: str) -> int:
    """Of a GET without credentials."""
    try:
        with urllib.request.urlopen(url, timeout=5.0) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_node_s_metrics_are_those_of_all_its_processes(stack: Product) -> None:
    url = str(stack.ready["metrics"])
    assert url.startswith("http://127.0.0.1:")

    def told() -> dict[str, float]:
        with urllib.request.urlopen(url, timeout=5.0) as answer:
            lines = answer.read().decode().splitlines()
        return {
            line.split()[0]: float(line.split()[1])
            for line in lines
            if line and "{" not in line and line[0] != "#"
        }

    block_until(
        lambda: told().get("eyrie_actor_cameras") == 8.0, "every camera is counted", within_s=60
    )
    block_until(
        lambda: told().get("eyrie_policy_calls_total", 0.0) > 0.0,
        "the policy replica is counted",
        within_s=60,
    )
    found = told()
    assert found["eyrie_actor_processes"] == 8.0
    assert found["eyrie_hub_broker_up"] == 1.0
    assert found["eyrie_actor_observations_total"] > 0.0
    assert found["eyrie_policy_replicas"] == 1.0
    assert (found["eyrie_cluster_nodes"], found["eyrie_cluster_nodes_silent"]) == (1.0, 0.0)
    assert found["eyrie_cluster_cameras_hosted"] == 8.0
