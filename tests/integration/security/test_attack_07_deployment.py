"""Attack 7: what `deploy/` starts. Files that named an OPA which Eyrie refuses, passwords in
arguments, a whole secret where one key is needed, images by tag. Every rule is shown on our files,
and on our files with its fault put back."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.support.cluster.deployments import of_compose, of_manifest

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
Change = Callable[[Any], None]


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8")))


def manifest() -> list[dict[str, Any]]:
    """Every object of the file; no part of one is shared with another, as the anchors of YAML would
    have it."""
    return [
        copy.deepcopy(found)
        for found in yaml.safe_load_all((DEPLOY / "kuberay.yaml").read_text(encoding="utf-8"))
        if found
    ]


def test_attack_07_the_compose_file_starts_nothing_that_gives_a_secret_away() -> None:
    assert of_compose(compose()) == []


def test_attack_07_the_manifest_starts_nothing_that_gives_a_secret_away() -> None:
    assert of_manifest(manifest()) == []


def of(service: str, **fields: Any) -> Change:
    return lambda found: found["services"][service].update(fields)


def with_setting(name: str, value: str) -> Change:
    def change(found: Any) -> None:
        settings = (
            found["services"]["head"]["environment"]
            if isinstance(found, dict)
            else found[0]["data"]
        )
        settings[name] = value

    return change


FAULTS_OF_COMPOSE = {
    "refuses the settings: opa.url: plain http": with_setting("EYRIE_OPA_URL", "http://opa:8181"),
    "https://opa:8181 is asked without a token": with_setting("EYRIE_OPA_URL", "https://opa:8181"),
    "refuses the settings: postgres.dsn": with_setting(
        "EYRIE_POSTGRES_DSN", "postgresql://eyrie:letmein@postgres/eyrie"
    ),
    "in the environment: REDIS_PASSWORD": with_setting("REDIS_PASSWORD", "letmein"),
    "redis: a secret in an argument": of(
        "redis", entrypoint=["sh", "-c", "exec valkey-server --requirepass $$(cat /run/secrets/it)"]
    ),
    "redis: an image by its tag: redis:8-bookworm": of("redis", image="redis:8-bookworm"),
    "redis: no user of its own: root": of("redis", user="root"),
    "node-2: no user of its own": of("node-2", user="10002:10002"),
    "head: may do more": of("head", cap_drop=[]),
    "head: privileged": of("head", privileged=True),
    "head: mounts ./secrets": of("head", volumes=["./secrets:/run/secrets:ro"]),
    "head_jwks is no file of its own": lambda found: found["secrets"].update(
        head_jwks={"file": "./secrets/jwks"}
    ),
    "secret postgres_password is mounted by several": of(
        "redis", secrets=[{"source": "postgres_password", "target": "postgres_password"}]
    ),
    "head: publishes 8000:8000": of("head", ports=["8000:8000"]),
}


@pytest.mark.parametrize(
    ("problem", "fault"),
    FAULTS_OF_COMPOSE.items(),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_attack_07_a_fault_put_back_into_the_compose_file_is_found(
    problem: str, fault: Change
) -> None:
    found = compose()
    fault(found)
    assert [told for told in of_compose(found) if problem in told], of_compose(found)


def pod(name: str) -> Callable[[Any], Any]:
    """Finds the pod of a workload in the objects."""
    return lambda objects: next(
        found
        for found in objects
        if "template" in found.get("spec", {}) and found["metadata"]["name"] == name
    )["spec"]["template"]["spec"]


def of_container(name: str, **fields: Any) -> Change:
    return lambda objects: pod(name)(objects)["containers"][0].update(fields)


def with_whole_secret(objects: Any) -> None:
    pod("postgres")(objects)["volumes"][0] = {
        "name": "password",
        "secret": {"secretName": "eyrie-keys", "defaultMode": 0o440},
    }


def with_password_of_ray(objects: Any) -> None:
    cluster = next(found for found in objects if found["kind"] == "RayCluster")
    cluster["spec"]["gcsFaultToleranceOptions"] = {"redisAddress": "gcs-redis:6379"}


def as_root(objects: Any) -> None:
    del pod("redis")(objects)["securityContext"]


SECRET_VARIABLE = [
    {
        "name": "PASSWORD",
        "valueFrom": {"secretKeyRef": {"name": "eyrie-keys", "key": "redis_password"}},
    }
]
FAULTS_OF_MANIFEST = {
    "refuses the settings: opa.url: plain http": with_setting(
        "EYRIE_OPA_URL", "http://opa.eyrie:8181"
    ),
    "https://opa.eyrie:8181 is asked without a token": with_setting(
        "EYRIE_OPA_URL", "https://opa.eyrie:8181"
    ),
    "mounts the whole secret eyrie-keys": with_whole_secret,
    "Ray gets the password of a Redis": with_password_of_ray,
    "a secret in an argument": of_container(
        "redis", command=["sh", "-c", "exec redis-server --requirepass $(cat /etc/eyrie/it)"]
    ),
    "an image by its tag: openpolicyagent/opa:1.22.2": of_container(
        "redis", image="openpolicyagent/opa:1.22.2"
    ),
    "PASSWORD is a secret in the environment": of_container("redis", env=SECRET_VARIABLE),
    "redis: may do more": of_container("redis", securityContext={}),
    "pods without a user of their own": as_root,
}


@pytest.mark.parametrize(
    ("problem", "fault"),
    FAULTS_OF_MANIFEST.items(),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_attack_07_a_fault_put_back_into_the_manifest_is_found(problem: str, fault: Change) -> None:
    objects = manifest()
    fault(objects)
    assert [told for told in of_manifest(objects) if problem in told], of_manifest(objects)
