"""The secrets of a running deployment are in their files and nowhere that others look (check
63)."""

import asyncio
import base64
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from actors.core.settings import Settings
from cluster.ray.process import environment
from storage.ports.processes import HubRecord
from storage.postgres.pool import Database
from storage.postgres.processes import PostgresHubStore
from storage.process.settings_files import read_resolved
from tests.support.cluster.product import ROOT, Product, eyrie

TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.")
MIN_SECRET = 16  # characters; shorter ones are in everything

# What an insider of Ray sees: actors with all that is known of them, nodes, jobs with their runtime
# environments.
LISTING = """
import json, sys
import ray
from ray._private.state import state

ray.init(address=sys.argv[1], namespace=sys.argv[2], log_to_driver=False, logging_level="ERROR")
print(json.dumps([state.actor_table(None), state.job_table(), ray.nodes(), ray.cluster_resources()], default=str))
"""  # noqa: E501


def secrets_of(product: Product) -> dict[str, str]:
    """File → secret, of every file that the deployment keeps to itself."""
    found = {}
    for path in sorted(product.data.keys.rglob("*")):
        if path.is_file() and path.stat().st_mode & 0o077 == 0:
            text = path.read_bytes().strip()
            if len(text) >= MIN_SECRET:
                found[path.name] = text.decode("latin-1")
    return found


def written(secret: str) -> Iterator[str]:
    """The ways in which it might be written somewhere."""
    raw = secret.encode("latin-1")
    yield secret
    yield from (
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        raw.hex(),
    )
    if len(secret) % 2 == 0 and all(letter in "0123456789abcdef" for letter in secret):
        yield base64.b64encode(bytes.fromhex(secret)).decode().rstrip("=")


def leaked(product: Product, text: str) -> list[str]:
    """The names of the secrets that are in `text`; any token counts as one."""
    names = [
        name
        for name, secret in secrets_of(product).items()
        if any(form in text for form in written(secret))
    ]
    return names + (["a token"] if TOKEN.search(text) else [])


@pytest.fixture(scope="module")
def settings(stack: Product) -> Settings:
    return read_resolved(stack.data.settings_file)


async def hubs_of(settings: Settings) -> list[HubRecord]:
    """Where the hubs listen."""
    database = await Database.open(settings.postgres, name="test")
    try:
        return await PostgresHubStore(database).all()
    finally:
        await database.close()


def test_check_63_there_are_secrets_to_look_for(stack: Product) -> None:
    assert leaked(stack, f"x {stack.token} y") == ["a token"]
    assert "token" not in stack.ready, "and none is told when it is ready"
    assert len(secrets_of(stack)) >= 2
    for name, secret in secrets_of(stack).items():
        assert leaked(stack, f"x {base64.b64encode(secret.encode('latin-1')).decode()} y") == [name]


@pytest.mark.ray
def test_check_63_no_secret_is_in_an_argument_or_the_environment(stack: Product) -> None:
    seen = 0
    for pid in stack.processes():
        for kind in ("cmdline", "environ"):
            try:
                text = Path(f"/proc/{pid}/{kind}").read_bytes().decode("latin-1")
            except OSError:
                continue
            seen += 1
            assert leaked(stack, text) == [], (pid, kind, text.split("\0")[0])
    assert seen > 20


@pytest.mark.ray
def test_check_63_no_secret_is_in_a_log(stack: Product) -> None:
    """Those of the product, of Ray and of the servers: every file of the data directory that is no
    database and no key."""
    servers = (stack.data.path / name for name in ("postgres", "redis", "nats"))
    kept = (stack.data.keys, *servers)
    looked = []
    for path in stack.data.path.rglob("*"):
        if (
            path.is_symlink()
            or not path.is_file()
            or any(folder in path.parents for folder in kept)
        ):
            continue
        looked.append(path.suffix)
        assert leaked(stack, path.read_bytes().decode("latin-1")) == [], path
    assert looked.count(".log") > 3
    assert leaked(stack, stack.log()) == []


@pytest.mark.ray
def test_check_63_no_secret_is_in_what_is_shown(stack: Product, settings: Settings) -> None:
    for command in (("config",), ("config", "--json"), ("status",), ("status", "--json")):
        done = eyrie(*command, "--data-dir", stack.data.path)
        assert (done.returncode, leaked(stack, done.stdout + done.stderr)) == (0, []), command
    url = stack.url.partition("#")[0].rstrip("/")
    pages = [
        f"{url}{path}"
        for path in ("/", "/health/ready", "/schemas/", "/asyncapi.json", "/v1/cameras", "/v1/none")
    ]
    pages += [
        f"http://127.0.0.1:{hub.private_port}/metrics" for hub in asyncio.run(hubs_of(settings))
    ]
    assert len(pages) > 6
    with httpx.Client(headers={"authorization": f"Bearer {stack.token}"}, timeout=30) as http:
        for page in pages:
            assert leaked(stack, http.get(page).text) == [], page


@pytest.mark.ray
def test_check_63_no_secret_is_in_what_ray_tells_of_its_actors(
    stack: Product, settings: Settings
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LISTING, settings.ray.address, settings.ray.namespace],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**environment(Path(settings.ray.token_file)), "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    actors, *_ = json.loads(done.stdout.strip().splitlines()[-1])
    assert any("RayHub" in str(actor) for actor in actors.values())
    assert leaked(stack, done.stdout) == []
