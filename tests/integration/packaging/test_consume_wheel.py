"""The wheel `eyrie-consume`, installed alone: what it holds can be imported without the rest."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from tools.build_consume_wheel import build

PROGRAM = """
import asyncio, importlib, sys
from consume.consumer import Consumer
from consume.errors import BrokerRefuses
from consume.memory import MemoryLedger
from consume.stream import Source
import consume.judging, consume.ledger, consume.watch
for name in ("actors", "storage", "hub", "ray", "connectors"):
    try:
        importlib.import_module(name)
    except ImportError:
        continue
    sys.exit(f"{name} is there")
async def effect(transaction, message): ...
source = Source("nats://127.0.0.1:1", token_file="/nowhere/token")
try:
    asyncio.run(Consumer(source, MemoryLedger(), effect).run())
except BrokerRefuses as refused:
    print(refused)
"""


def test_it_works_alone(tmp_path: Path) -> None:
    wheel = build(tmp_path)
    packages = tmp_path / "packages"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    quiet = ["--disable-pip-version-check", "--target", str(packages)]
    subprocess.run([*command, *quiet, str(wheel)], check=True, timeout=100)
    for name in ("msgspec", "nats"):
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        (packages / name).symlink_to(Path(spec.origin).parent)
    start = f"import sys; sys.path.insert(0, {str(packages)!r})\n"
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", start + PROGRAM],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "the token cannot be read" in ended.stdout
