"""Peers of the fan-out bench that are programs of their own: a NATS server and Centrifugo, found by
an environment variable or on the PATH, started on a free port of loopback, and driven by one
publishing connection. The processor time is that of the program alone."""

import http
import http.client
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from actors.core.errors import StartError
from cluster.launcher.launcher import free_port
from load_tests.benches.fanout.receiver import ReceiverPlan
from load_tests.benches.fanout.servers import BODY_BYTES, ReceiverProgress, drive, serve, stamped

START_S = 20.0  # a program that takes no connection for so long has failed
PROGRAMS = {
    "nats": ("NATS_SERVER_BINARY", "nats-server"),
    "centrifugo": ("CENTRIFUGO_BINARY", "centrifugo"),
}
HOUR_S = 3600  # between pings, so that none is counted as a publication
CHANNEL = "c"
QUEUE_BYTES = (
    256 * 2**20
    # that a peer may hold for one client before it closes it: the window of the bench is the only
    # bound
)


def program(peer: str) -> str | None:
    """The path of a peer's program, None when the machine has none."""
    variable, name = PROGRAMS[peer]
    return os.environ.get(variable) or shutil.which(name)


def nats(
    pipe: Connection,
    progress_path: str,
    clients: int,
    rounds: int,
    publications: int,
    burst: int = 1,
) -> None:
    """A NATS server, core publish and subscribe. `burst` publications go in one write."""
    port = free_port("127.0.0.1", 0)
    with _folder() as folder:
        config = folder / "nats.conf"
        config.write_text(
            f'host: "127.0.0.1"\nport: {port}\nping_interval: "{HOUR_S}s"\nmax_pending: '
            f"{QUEUE_BYTES}\n",
            encoding="utf-8",
        )
        with _running([program("nats") or "", "-c", str(config)], port) as pid:
            publisher = socket.create_connection(("127.0.0.1", port), timeout=START_S)
            publisher.sendall(b'CONNECT {"verbose":false}\r\n')

            def send(bodies: list[bytes]) -> None:
                publisher.sendall(
                    b"".join(b"PUB c %d\r\n%s\r\n" % (len(body), body) for body in bodies)
                )

            plan = ReceiverPlan(
                port,
                clients,
                hello='CONNECT {"verbose":false}\r\nSUB c 1\r\nPING\r\n',
                answer=b"PONG\r\n",
            )
            _drive(pipe, progress_path, plan, send, pid, clients, rounds, publications, burst)
            publisher.close()


def centrifugo(
    pipe: Connection,
    progress_path: str,
    clients: int,
    rounds: int,
    publications: int,
    burst: int = 1,
) -> None:
    """Centrifugo: its websocket with JSON, everything in its memory, no history, no compression, no
    pings; published to by its HTTP API over one connection, `burst` publications in one request."""
    port = free_port("127.0.0.1", 0)
    with _folder() as folder:
        config = folder / "centrifugo.json"
        config.write_bytes(
            msgspec.json.encode(
                {
                    "http_server": {"address": "127.0.0.1", "port": port},
                    "log": {"level": "none"},
                    "client": {
                        "insecure": True,
                        "ping_interval": f"{HOUR_S}s",
                        "queue_max_size": QUEUE_BYTES,
                    },
                    "http_api": {"insecure": True},
                }
            )
        )
        with _running([program("centrifugo") or "", "-c", str(config)], port) as pid:
            publisher = http.client.HTTPConnection("127.0.0.1", port, timeout=START_S)

            def send(bodies: list[bytes]) -> None:
                commands = [
                    b'{"channel":"%s","data":%s}' % (CHANNEL.encode(), body) for body in bodies
                ]
                if len(commands) == 1:
                    publisher.request("POST", "/api/publish", commands[0])
                else:
                    many = b",".join(b'{"publish":%s}' % command for command in commands)
                    publisher.request("POST", "/api/batch", b'{"commands":[%s]}' % many)
                answer = publisher.getresponse()
                text = answer.read()
                if answer.status != http.HTTPStatus.OK or b'"error"' in text:
                    raise StartError(
                        f"Centrifugo refused a publication: {answer.status} {text[:200]!r}"
                    )

            hello = f'{{"id":1,"connect":{{}}}}\n{{"id":2,"subscribe":{{"channel":"{CHANNEL}"}}}}'
            plan = ReceiverPlan(port, clients, "/connection/websocket", hello, b'"subscribe":')
            _drive(pipe, progress_path, plan, send, pid, clients, rounds, publications, burst)
            publisher.close()


def _drive(
    pipe: Connection,
    progress_path: str,
    plan: ReceiverPlan,
    send: Callable[[list[bytes]], None],
    pid: int,
    clients: int,
    rounds: int,
    publications: int,
    burst: int,
) -> None:
    async def main() -> None:
        progress = ReceiverProgress(progress_path)
        size = 0

        async def publish() -> int:
            nonlocal size
            send([stamped(BODY_BYTES) for _ in range(burst)])
            if not size:
                size = await progress.settled() // clients
            progress.sent += size * clients
            return size

        await drive(
            pipe,
            plan,
            progress,
            publish,
            clients,
            rounds,
            publications // burst,
            per_publication=burst,
            used_cpu_s=lambda: processor_s(pid),
            pid=pid,
        )

    serve(main)


def processor_s(pid: int) -> float:
    """Processor seconds that a process's threads have used, by the scheduler's own count (proc(5),
    schedstat; nanoseconds)."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return (
        sum(
            int((thread / "schedstat").read_text(encoding="ascii").split()[0]) for thread in threads
        )
        / 1e9
    )


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="eyrie-bench-") as folder:
        yield Path(folder)


@contextmanager
def _running(command: list[str], port: int) -> Iterator[int]:
    """The program's pid while it takes connections on `port`."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
