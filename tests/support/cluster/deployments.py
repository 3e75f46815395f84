"""What is wrong with a deployment's file, in words: rules that `deploy/compose.yaml` and
`deploy/kuberay.yaml` hold."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from actors.core.errors import EyrieError
from policy.engine.opa_engine import OpaEngine
from storage.process.settings_files import load

DIGEST = re.compile(r"@sha256:[0-9a-f]{64}\Z")
OURS = re.compile(r"\A\$\{EYRIE_IMAGE(:\?[^}]*)?\}\Z")  # the id or digest that the build gave
# An option that takes a secret, a shell that puts one into an argument, a password in an address.
IN_ARGUMENTS = re.compile(
    r"--?(requirepass|password|masterauth|token|redis[-_]password)\b|\$\$?\(\s*(cat|<)|`|://[^/\s:@]*:[^/\s@]+@"
)
NAME_OF_A_SECRET = re.compile(r"(?i)(password|passwd|secret|token|_key)\Z")


def of_compose(found: Mapping[str, Any]) -> list[str]:
    """Of a compose file, as read from YAML."""
    services: Mapping[str, Any] = found["services"]
    sources = Counter(
        secret["source"]
        for service in services.values()
        for secret in service.get("secrets", [])
        if isinstance(secret, dict)
    )
    users = Counter(str(service.get("user", "root")) for service in services.values())
    problems = [
        f"secret {source} is mounted by several" for source, times in sources.items() if times > 1
    ]
    for name, service in services.items():
        image, user = str(service.get("image", "")), str(service.get("user", "root"))
        problems += [f"{name}: {problem}" for problem in _of_image(image)]
        words = [
            *_words(service.get("entrypoint", [])),
            *_words(service.get("command", [])),
            *_words(service.get("healthcheck", {}).get("test", [])),
        ]
        problems += [
            f"{name}: {problem}"
            for problem in [*_of_arguments(words), *_of_environment(service.get("environment", {}))]
        ]
        if user.split(":")[0] in ("root", "0", "") or users[user] > 1:
            problems.append(f"{name}: no user of its own: {user}")
        if (
            service.get("cap_drop") != ["ALL"]
            or "no-new-privileges:true" not in service.get("security_opt", [])
            or not service.get("read_only")
        ):
            problems.append(f"{name}: may do more than it needs")
        for option in ("privileged", "pid", "ipc", "network_mode", "cap_add", "devices"):
            if option in service:
                problems.append(f"{name}: {option}")
        for secret in service.get("secrets", []):
            source = secret["source"] if isinstance(secret, dict) else secret
            path = str(found["secrets"][source]["file"])
            if path.split("/")[-2:] != [name, secret["target"] if isinstance(secret, dict) else ""]:
                problems.append(f"{name}: {source} is no file of its own: {path}")
        problems += [
            f"{name}: mounts {volume}"
            for volume in service.get("volumes", [])
            if volume.split(":")[0] not in found["volumes"]
        ]
        problems += [
            f"{name}: publishes {port}"
            for port in service.get("ports", [])
            if not port.startswith("127.0.0.1:")
        ]
    environments = [service.get("environment", {}) for service in services.values()]
    return problems + _of_policy(environments)


def of_manifest(objects: Iterable[Mapping[str, Any]]) -> list[str]:
    """Of a manifest of Kubernetes, as read from YAML."""
    problems: list[str] = []
    environments: list[Mapping[str, str]] = []
    users: Counter[int] = Counter()
    for found in objects:
        if found["kind"] == "ConfigMap":
            environments.append(found["data"])
            problems += _of_environment(found["data"])
        if "gcsFaultToleranceOptions" in found.get("spec", {}):
            problems.append("Ray gets the password of a Redis, which it hands on as an argument")
        for name, pod in _pods(found):
            problems += [f"{name}: {problem}" for problem in _of_pod(pod)]
            users[pod.get("securityContext", {}).get("runAsUser", 0)] += 1
    if users[0] or any(times > 1 for times in users.values()):
        problems.append(f"pods without a user of their own: {dict(users)}")
    return problems + _of_policy(environments)


def _pods(found: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    spec = found.get("spec", {})
    groups = (
        [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
        if found["kind"] == "RayCluster"
        else [spec]
    )
    for group in groups:
        if isinstance(group, dict) and "template" in group:
            yield (
                f"{found['kind']} {found['metadata']['name']} {group.get('groupName', '')}".strip(),
                group["template"]["spec"],
            )


def _of_pod(pod: Mapping[str, Any]) -> Iterator[str]:
    for volume in pod.get("volumes", []):
        if "secret" in volume and not volume["secret"].get("items"):
            yield f"mounts the whole secret {volume['secret']['secretName']}"
        mode = volume.get("secret", {}).get("defaultMode", 0o644) if "secret" in volume else 0
        if mode & 0o007:
            yield f"everybody in the pod may read {volume['name']}"
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        name, context = container["name"], container.get("securityContext", {})
        lists = [container.get("command", []), container.get("args", []), *_probes(container)]
        yield from (f"{name}: {problem}" for problem in _of_image(container["image"]))
        yield from (
            f"{name}: {problem}"
            for problem in _of_arguments([word for words in lists for word in words])
        )
        given = {
            entry["name"]: entry["value"] for entry in container.get("env", []) if "value" in entry
        }
        yield from (f"{name}: {problem}" for problem in _of_environment(given))
        yield from (
            f"{name}: {e['name']} is a secret in the environment"
            for e in container.get("env", [])
            if "secretKeyRef" in e.get("valueFrom", {})
        )
        locked = (
            context.get("allowPrivilegeEscalation") is False
            and context.get("readOnlyRootFilesystem") is True
        )
        if not locked or context.get("capabilities") != {"drop": ["ALL"]}:
            yield f"{name}: may do more than it needs"


def _probes(container: Mapping[str, Any]) -> Iterator[list[str]]:
    for name in ("livenessProbe", "readinessProbe"):
        yield container.get(name, {}).get("exec", {}).get("command", [])


def _words(given: Any) -> list[str]:
    return [str(given)] if isinstance(given, str) else [str(word) for word in given]


def _of_image(image: str) -> Iterator[str]:
    if not OURS.match(image) and not DIGEST.search(image):
        yield f"an image by its tag: {image}"


def _of_arguments(words: Iterable[str]) -> Iterator[str]:
    for word in words:
        if IN_ARGUMENTS.search(word):
            yield f"a secret in an argument: {word}"


def _of_environment(variables: Mapping[str, str]) -> Iterator[str]:
    for name, value in variables.items():
        if NAME_OF_A_SECRET.search(name) or IN_ARGUMENTS.search(value):
            yield f"a secret in the environment: {name}"


def _of_policy(environments: Iterable[Mapping[str, str]]) -> list[str]:
    """What Eyrie itself says of the settings, and whether an OPA that they name is asked with a
    token."""
    problems = []
    for variables in environments:
        given = {
            name: re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value)
            for name, value in variables.items()
            if name.startswith("EYRIE_")
        }
        try:
            opa = load("", given).settings.opa
            if opa.url and not opa.token_file:
                problems.append(f"{opa.url} is asked without a token")
            if opa.url:
                OpaEngine(type(opa)(url=opa.url), "a revision").close()
        except EyrieError as error:
            problems.append(f"Eyrie refuses the settings: {error}")
    return problems
