"""The settings of the cluster, kept in the Ray head's key-value store, where the launcher of a
joining node reads them.

The tree holds no secret, only paths of files that do. As a program (``python -m
cluster.ray.settings ADDRESS``, the token by its variable) it prints the tree: the launcher itself
imports no Ray.
"""

import sys
from importlib import import_module
from typing import Any

import msgspec
import ray.exceptions
from ray.experimental import internal_kv

from actors.core.errors import EyrieError, Unavailable
from actors.core.settings import Settings

KEY = b"settings"
NAMESPACE = b"eyrie"
ASK_S = 10  # seconds the head may take

_raylet: Any = import_module("ray._raylet")


def publish(settings: Settings) -> None:
    """Keep `settings` in the head that this process has joined; blocking. A head that starts again
    has forgotten them."""
    internal_kv._internal_kv_put(
        KEY, msgspec.json.encode(settings), overwrite=True, namespace=NAMESPACE
    )


def fetch(address: str) -> bytes:
    """The tree as JSON, of the head at `address` (``host:port``), which this process need not have
    joined. Raises Unavailable."""
    try:
        found = _raylet.GcsClient(address=address).internal_kv_get(
            KEY, namespace=NAMESPACE, timeout=ASK_S
        )
    except (ray.exceptions.RayError, RuntimeError, OSError, ValueError) as error:
        raise Unavailable(
            f"the Ray head at {address} cannot be asked: {error}",
            hint="Is the address right, and the token the head's?",
        ) from error
    if found is None:
        raise Unavailable(
            f"no Eyrie runs in the cluster of {address}",
            hint="Start the head with `eyrie up` first.",
        )
    return bytes(found)


if __name__ == "__main__":
    try:
        sys.stdout.buffer.write(fetch(sys.argv[1]))
    except EyrieError as error:
        sys.exit(f"{error.detail}\n{error.next_step}")
