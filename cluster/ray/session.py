"""Connecting this process to the Ray cluster. Ray's token authentication is always on (`reference`:
Ray's own security page)."""

import logging
import os

import ray
import ray.exceptions
import ray.util

from actors.core.errors import ConfigError, Unavailable
from actors.core.settings import RaySettings


def connect(settings: RaySettings) -> None:
    """Become a driver of the cluster at `settings.address` (empty: the one of this machine). Raises
    Unavailable, ConfigError."""
    os.environ["RAY_AUTH_MODE"] = "token"
    if settings.token_file:
        os.environ["RAY_AUTH_TOKEN_PATH"] = settings.token_file
    try:
        ray.init(
            address=settings.address or "auto",
            namespace=settings.namespace,
            log_to_driver=False,
            configure_logging=False,
            logging_level=logging.WARNING,
        )
    except ValueError as error:
        raise ConfigError(f"ray.address {settings.address!r} cannot be used: {error}") from error
    except (ConnectionError, ray.exceptions.RayError, RuntimeError) as error:
        raise Unavailable(
            f"the Ray cluster cannot be reached: {error}",
            hint="Is it running, and is ray.address right?",
        ) from error


def disconnect() -> None:
    """Leave the cluster; detached actors go on."""
    ray.shutdown()


def cores() -> int:
    """CPUs of the cluster, at least 1."""
    return max(1, int(_resources().get("CPU", 1)))


def has_resource(name: str) -> bool:
    """True when some node of the cluster has this custom resource."""
    return _resources().get(name, 0.0) > 0.0


def named_actors(namespace: str) -> list[str]:
    """The names of the living detached actors of `namespace`. Raises Unavailable."""
    try:
        found = ray.util.list_named_actors(all_namespaces=True)
    except ray.exceptions.RayError as error:
        raise Unavailable(f"Ray does not tell its actors: {type(error).__name__}") from error
    return [str(actor["name"]) for actor in found if actor["namespace"] == namespace]


def _resources() -> dict[str, float]:
    found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return found
