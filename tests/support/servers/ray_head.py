"""A Ray of the test's own: one node in this process's care, on loopback, gone at the end."""

import contextlib
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import ray

ROOT = Path(__file__).resolve().parents[3]


@contextlib.contextmanager
def local_ray(namespace: str, *, cpus: int = 1) -> Iterator[None]:
    """Start Ray with `cpus` logical CPUs, without dashboard; workers import from the repository."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH", "")])])
    with (
        tempfile.TemporaryDirectory(
            prefix="ray-", dir="/tmp", ignore_cleanup_errors=True
        ) as folder,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # Ray itself warns of what later versions will change
        ray.init(
            num_cpus=cpus,
            include_dashboard=False,
            namespace=namespace,
            log_to_driver=False,
            _temp_dir=folder,
            object_store_memory=80_000_000,
            runtime_env={"env_vars": {"PYTHONPATH": path}},
        )
        try:
            yield
        finally:
            ray.shutdown()
