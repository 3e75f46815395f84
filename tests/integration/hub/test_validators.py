"""What others' validators say of our documents and metrics: Redocly's recommended rules, the
AsyncAPI parser, promtool."""

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

import cluster.api.endpoints
from actors import metrics
from cluster.supervisor import metrics as cluster_metrics
from hub.rest import table
from hub.web import schemas
from storage.embedded.data_dir import DataDir
from storage.process.metrics import NodeMetrics, ProcessMetrics
from tests.support.cluster.cluster_api import SNAPSHOT
from tests.support.doubles.local_actor import local_actor
from tests.support.doubles.stores import memory_stores
from tests.support.hub.hub import running_hub
from tools.build_console import npm_command
from tools.install_validators import FOLDER, STAMP

PROMTOOL = os.environ.get("PROMTOOL_BINARY") or shutil.which("promtool")
installed = pytest.mark.skipif(
    not STAMP.is_file(), reason="the validators are not installed (make validators)"
)
QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}


def validate(script: str, document: object, folder: Path) -> tuple[int, str]:
    """(exit code, what was said)."""
    path = folder / "document.json"
    path.write_bytes(msgspec.json.encode(document))
    done = subprocess.run(
        [*npm_command("auto"), "--prefix", str(FOLDER), "run", "--silent", script, "--", str(path)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env=os.environ | QUIET,
    )
    return done.returncode, done.stdout + done.stderr


@installed
@pytest.mark.parametrize(
    "document",
    [table.openapi("1.0.0"), cluster.api.endpoints.openapi("1.0.0")],
    ids=["hub", "cluster"],
)
def test_openapi_passes_the_recommended_rules(document: dict[str, object], tmp_path: Path) -> None:
    code, said = validate("openapi", document, tmp_path)
    assert code == 0, said
    assert " error " not in said
    assert " warning " not in said, said


@installed
def test_asyncapi_is_valid_from_disk(tmp_path: Path) -> None:
    document = schemas.asyncapi("1.0.0")
    assert document["asyncapi"] == "3.1.0"
    assert validate("asyncapi", document, tmp_path) == (0, "")
    broken = {
        **document,
        "operations": {"toEdge": {"action": "shout", "channel": {"$ref": "#/channels/none"}}},
    }
    assert validate("asyncapi", broken, tmp_path)[0] == 1, "the validator looks"


def promtool(text: bytes) -> tuple[int, bytes]:
    """(exit code, what it found)."""
    done = subprocess.run(
        [str(PROMTOOL), "check", "metrics"],
        input=text,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.skipif(PROMTOOL is None, reason="there is no promtool (PROMTOOL_BINARY)")
async def test_promtool_finds_nothing_in_the_metrics_of_a_hub(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        assert await asyncio.to_thread(promtool, hub.hub.metrics.text()) == (0, b"")
    assert (await asyncio.to_thread(promtool, b"# TYPE x_total gauge\nx_total 1\n"))[0] != 0, (
        "promtool looks"
    )


@pytest.mark.skipif(PROMTOOL is None, reason="there is no promtool (PROMTOOL_BINARY)")
async def test_promtool_finds_nothing_in_the_merged_metrics_of_a_node(tmp_path: Path) -> None:
    """Those of a hub, an actor process and the supervisor, as `/metrics/node` shows them."""
    data, memory = DataDir(tmp_path / "data"), memory_stores()
    async with local_actor(memory) as actor, running_hub(tmp_path, memory=memory) as hub:
        sources = [
            hub.hub.metrics.collect,
            lambda: metrics.collect(actor.actor),
            lambda: cluster_metrics.collect(SNAPSHOT),
        ]
        for collect in sources:
            copy = ProcessMetrics(data, collect)
            copy.write()
            copy.close()
        merged = await asyncio.to_thread(NodeMetrics(data).text)
    for name in (b"eyrie_hub_dashboards", b"eyrie_actor_commits_total", b"eyrie_cluster_nodes"):
        assert b"\n" + name in merged
    assert await asyncio.to_thread(promtool, merged) == (0, b"")
