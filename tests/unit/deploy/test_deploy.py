"""deploy/, as far as a machine without Docker and Kubernetes can check it: form, names of settings,
commands, and that nothing dangles.

The forms are written from the Compose specification, Kubernetes' API and KubeRay's RayCluster: the
fields that these files use, no others.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml  # type: ignore[import-untyped]

from actors.core.errors import ConfigError
from cluster.cli.commands.config import fleet_settings
from cluster.cli.main import main
from cluster.ray.process import KNOBS
from storage.process.settings_files import OTHER_VARIABLES, load, read_resolved

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"
FILES = sorted(
    path
    for path in DEPLOY.rglob("*")
    if path.is_file() and path.name != ".env" and "secrets" not in path.parts
)
SECRET = re.compile(
    r"(?i)(BEGIN [A-Z ]*PRIVATE "
    r"KEY|eyJ[\w-]{20,}|[0-9a-f]{32,}|password\s*[:=]\s*['\"]?[\w]{6,}['\"]?\s*$)",
    re.M,
)


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8")))


def objects() -> list[dict[str, Any]]:
    return [
        found
        for found in yaml.safe_load_all((DEPLOY / "kuberay.yaml").read_text(encoding="utf-8"))
        if found
    ]


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {found["metadata"]["name"]: found for found in objects() if found["kind"] == kind}


def only(*required: str, **properties: Any) -> dict[str, Any]:
    """A JSON Schema of an object with these fields and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


TEXT: dict[str, Any] = {"type": "string"}
TEXTS = {"type": "array", "items": TEXT}
TABLE = {"type": "object", "additionalProperties": TEXT}
ANY: dict[str, Any] = {}
SECRET_OF_SERVICE = {"type": "array", "items": only("source", "target", source=TEXT, target=TEXT)}
SERVICE = only(
    "image",
    "user",
    image=TEXT,
    restart={"enum": ["unless-stopped"]},
    init={"type": "boolean"},
    read_only={"type": "boolean"},
    user={"pattern": r"^\d+:\d+$"},
    stop_signal=TEXT,
    stop_grace_period={"pattern": r"^\d+s$"},
    shm_size={"pattern": r"^\d+m$"},
    pids_limit={"type": "integer"},
    cap_drop=TEXTS,
    security_opt=TEXTS,
    logging=only("driver", "options", driver=TEXT, options=TABLE),
    entrypoint=TEXTS,
    command=TEXTS,
    environment=TABLE,
    secrets=SECRET_OF_SERVICE,
    volumes=TEXTS,
    tmpfs=TEXTS,
    ports=TEXTS,
    networks=ANY,
    depends_on={
        "type": "object",
        "additionalProperties": only("condition", condition={"enum": ["service_healthy"]}),
    },
    healthcheck=only("test", test=TEXTS, interval=TEXT, timeout=TEXT, retries={"type": "integer"}),
)
COMPOSE = {
    **only(
        "services",
        services={"type": "object", "additionalProperties": SERVICE},
        networks={"type": "object"},
        volumes={"type": "object"},
        secrets={"type": "object", "additionalProperties": only("file", file=TEXT)},
    ),
    "patternProperties": {"^x-": ANY},
}
CONTAINER = only(
    "name",
    "image",
    name=TEXT,
    image=TEXT,
    command=TEXTS,
    args=TEXTS,
    env={"type": "array"},
    envFrom={"type": "array"},
    volumeMounts={
        "type": "array",
        "items": only("name", "mountPath", name=TEXT, mountPath=TEXT, readOnly={"type": "boolean"}),
    },
    ports={
        "type": "array",
        "items": only("containerPort", name=TEXT, containerPort={"type": "integer"}),
    },
    lifecycle=only("preStop", preStop={"type": "object"}),
    livenessProbe={"type": "object"},
    readinessProbe={"type": "object"},
    resources=only(requests=ANY, limits=ANY),
    securityContext=ANY,
)
POD = only(
    "containers",
    containers={"type": "array", "items": CONTAINER, "minItems": 1},
    initContainers={"type": "array", "items": CONTAINER},
    volumes={"type": "array"},
    securityContext=ANY,
    terminationGracePeriodSeconds={"type": "integer"},
    automountServiceAccountToken={"type": "boolean"},
)
TEMPLATE = only("metadata", "spec", metadata=only("labels", labels=TABLE), spec=POD)
RAY_CLUSTER = only(
    "rayVersion",
    "headGroupSpec",
    "workerGroupSpecs",
    rayVersion=TEXT,
    headGroupSpec=only("rayStartParams", "template", rayStartParams=TABLE, template=TEMPLATE),
    workerGroupSpecs={
        "type": "array",
        "items": only(
            "groupName",
            "replicas",
            "minReplicas",
            "maxReplicas",
            "rayStartParams",
            "template",
            groupName=TEXT,
            replicas=ANY,
            minReplicas=ANY,
            maxReplicas=ANY,
            rayStartParams=TABLE,
            template=TEMPLATE,
        ),
    },
)


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every pod template of the manifest, with its name."""
    for found in objects():
        spec = found.get("spec", {})
        groups = (
            [spec.get("headGroupSpec"), *spec.get("workerGroupSpecs", [])]
            if found["kind"] == "RayCluster"
            else [spec]
        )
        for group in groups:
            if group and "template" in group:
                yield f"{found['kind']} {found['metadata']['name']}", group["template"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_there_is_no_secret_and_every_file_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.removeprefix("#!/bin/sh\n").startswith("# ")
    assert SECRET.search(text) is None


def test_the_compose_file_has_the_form_of_the_specification() -> None:
    jsonschema.validate(compose(), COMPOSE)


def test_the_compose_file_names_only_what_it_has() -> None:
    found = compose()
    for name, service in found["services"].items():
        secrets = {secret["target"]: secret["source"] for secret in service.get("secrets", [])}
        assert set(secrets.values()) <= set(found["secrets"]), name
        assert set(service.get("depends_on", [])) <= set(found["services"]), name
        assert set(service.get("networks", [])) <= set(found["networks"]), name
        named = {volume.split(":")[0] for volume in service.get("volumes", [])}
        assert named <= set(found["volumes"]), name
        for value in service.get("environment", {}).values():
            if value.startswith("/run/secrets/"):
                assert value.removeprefix("/run/secrets/") in secrets, (name, value)


def test_a_node_has_the_files_that_the_settings_of_the_head_name() -> None:
    services = compose()["services"]
    named = {
        value.removeprefix("/run/secrets/")
        for value in services["head"]["environment"].values()
        if value.startswith("/run/secrets/")
    }
    for name in ("head", "node-1", "node-2"):
        assert {secret["target"] for secret in services[name]["secrets"]} == named, name


def test_only_hubs_are_published_and_on_loopback() -> None:
    published = {
        name: service["ports"]
        for name, service in compose()["services"].items()
        if "ports" in service
    }
    assert sorted(published) == ["head", "node-1", "node-2"]
    for ports in published.values():
        assert [
            re.fullmatch(r"127\.0\.0\.1:\$\{\w+:-800[0-2]\}:8000", port) is not None
            for port in ports
        ] == [True]


def test_the_image_has_the_users_and_files_of_the_compose_file() -> None:
    """And the secrets are given to those users."""
    image = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    made = (DEPLOY / "make-secrets.sh").read_text(encoding="utf-8")
    found = compose()
    for name, service in found["services"].items():
        user = service["user"].split(":")[0]
        assert f"--uid {user} " in image, name
        assert re.search(rf"\b{name}[ :]{user}\b", made), name
        for word in [*service.get("entrypoint", []), *service["healthcheck"]["test"]]:
            if word.startswith("/opt/eyrie/deploy/"):
                assert f"deploy/{Path(word).name}" in image, word
    assert {secret["file"].split("/")[-2] for secret in found["secrets"].values()} == set(
        found["services"]
    )


def environments() -> Iterator[tuple[str, dict[str, str]]]:
    for name, service in compose()["services"].items():
        yield f"compose {name}", dict(service.get("environment", {}))
    for name, found in of_kind("ConfigMap").items():
        yield f"kuberay {name}", dict(found["data"])


@pytest.mark.parametrize(
    ("where", "variables"),
    list(environments()),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_variable_is_a_setting_and_its_value_can_be_used(
    where: str, variables: dict[str, str]
) -> None:
    given = {
        name: re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value) for name, value in variables.items()
    }  # as when nothing is set
    load("", {name: value for name, value in given.items() if name.startswith("EYRIE_")})
    for name in variables:
        known = (
            name.startswith(("EYRIE_", "POSTGRES_"))
            or name in KNOBS
            or name == "RAY_AUTH_TOKEN_PATH"
        )
        assert known, f"{where}: {name}"


def test_a_node_s_pod_writes_settings_that_its_processes_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = of_kind("ConfigMap")["eyrie-settings"]["data"]
    for name, value in settings.items():
        monkeypatch.setenv(
            name, str(tmp_path / "settings.json") if name in OTHER_VARIABLES else value
        )
    monkeypatch.setenv("EYRIE_DATA_DIR", str(tmp_path))
    assert main(["config", "--write", str(tmp_path / "settings.json")]) == 0
    written = read_resolved(tmp_path / "settings.json")
    assert written.postgres.dsn == settings["EYRIE_POSTGRES_DSN"]
    assert written.policy.key_file == "/run/eyrie/policy_key"


def test_settings_of_a_fleet_s_node_are_not_made_up() -> None:
    with pytest.raises(
        ConfigError,
        match=r"EYRIE_POSTGRES_DSN; EYRIE_REDIS_URL; EYRIE_RAY_TOKEN_FILE; EYRIE_POLICY_KEY_FILE",
    ):
        fleet_settings(load("", {}).settings)


def test_commands_of_eyrie_are_commands_of_eyrie(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for path in DEPLOY.glob("systemd/*") for line in path.read_text().splitlines()]
    commands = [
        line.split(maxsplit=1)[1].split() for line in lines if line.startswith("ExecStart=")
    ]
    commands += [
        service["command"] for service in compose()["services"].values() if "command" in service
    ]
    assert len(commands) == 5
    for command in commands:
        with pytest.raises(SystemExit) as ended:
            main([*command, "--help"])
        assert ended.value.code == 0, command
    assert "--address" in capsys.readouterr().out


def test_the_manifest_has_the_form_of_kuberay_and_kubernetes() -> None:
    assert [found["kind"] for found in objects()].count("RayCluster") == 1
    jsonschema.validate(of_kind("RayCluster")["eyrie"]["spec"], RAY_CLUSTER)
    for name, template in pods():
        jsonschema.validate(template, TEMPLATE)
        assert all(found["metadata"]["namespace"] == "eyrie" for found in objects()), name


def test_the_manifest_s_names_lead_somewhere() -> None:
    services, labels = (
        of_kind("Service"),
        [template["metadata"]["labels"] for _name, template in pods()],
    )
    for name, service in services.items():
        selector = service["spec"]["selector"].items()
        matching = [
            template
            for _name, template in pods()
            if selector <= template["metadata"]["labels"].items()
        ]
        assert matching, name
        for port in service["spec"]["ports"]:
            assert all(port["targetPort"] in ports_of(template) for template in matching), name
    for found in of_kind("NetworkPolicy").values():
        selector = found["spec"]["podSelector"]["matchLabels"].items()
        assert any(selector <= label.items() for label in labels)
    addresses = json.dumps(objects())
    for host, port in re.findall(r"([\w-]+)\.eyrie[:/](\d+)?", addresses):
        assert host in services, host
        assert not port or int(port) in [
            entry["port"] for entry in services[host]["spec"]["ports"]
        ], (host, port)
    for name, template in pods():
        volumes = {volume["name"] for volume in template["spec"].get("volumes", [])} | {"data"}
        for container in [
            *template["spec"]["containers"],
            *template["spec"].get("initContainers", []),
        ]:
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= volumes, name
            for source in container.get("envFrom", []):
                assert source["configMapRef"]["name"] in of_kind("ConfigMap"), name


def ports_of(template: dict[str, Any]) -> set[str]:
    return {
        port["name"]
        for container in template["spec"]["containers"]
        for port in container.get("ports", [])
    }


def test_every_secret_that_is_mounted_is_told_how_to_make() -> None:
    text = (DEPLOY / "kuberay.yaml").read_text(encoding="utf-8")
    made = set(re.findall(r"--from-file=([\w.]+)", text))
    mounted = set(re.findall(r"key: ([\w.]+)", text))
    assert mounted == made
    assert set(re.findall(r"/run/(?:eyrie|secrets)/(\w+)", text)) <= mounted


def test_ray_has_its_token_and_the_pinned_version_and_ports_in_one_range() -> None:
    cluster = of_kind("RayCluster")["eyrie"]["spec"]
    assert cluster["rayVersion"] == version("ray")
    assert of_kind("ConfigMap")["eyrie-settings"]["data"]["RAY_AUTH_MODE"] == "token"
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        given = group["rayStartParams"]
        assert given["include-dashboard"] == "false"
        fixed = [
            int(given[name])
            for name in ("node-manager-port", "object-manager-port", "runtime-env-agent-port")
        ]
        assert len(set(fixed)) == 3
        assert max(fixed) < int(given["min-worker-port"]) < int(given["max-worker-port"])
        assert json.loads(json.loads(given["resources"]))["camera_slot"] <= int(
            given["max-worker-port"]
        ) - int(given["min-worker-port"])


def test_a_file_of_another_form_is_refused() -> None:
    broken = compose()
    broken["services"]["head"]["comand"] = ["up"]
    with pytest.raises(jsonschema.ValidationError, match="comand"):
        jsonschema.validate(broken, COMPOSE)
    cluster = of_kind("RayCluster")["eyrie"]["spec"]
    cluster["headGroupSpec"]["template"]["spec"]["containers"][0]["volumeMount"] = []
    with pytest.raises(jsonschema.ValidationError, match="volumeMount"):
        jsonschema.validate(cluster, RAY_CLUSTER)


@pytest.mark.parametrize("unit", ["eyrie-head.service", "eyrie-node.service"])
def test_systemd_finds_nothing_wrong_with_a_unit(unit: str, tmp_path: Path) -> None:
    text = (DEPLOY / "systemd" / unit).read_text(encoding="utf-8")
    keys = [line.split("=")[0] for line in text.splitlines() if "=" in line and line[0] not in "#["]
    assert len(keys) == len(set(keys))
    assert {"ExecStart", "KillSignal", "NoNewPrivileges", "UMask", "User"} <= set(keys)
    verifier = shutil.which("systemd-analyze")
    if verifier is None:
        return  # the rest needs systemd; CI has it
    here = tmp_path / unit
    here.write_text(
        text.replace("/opt/eyrie/.venv/bin/eyrie", sys.executable).replace(
            "file:///opt/eyrie/docs/deploy.md", "man:eyrie(1)"
        )
    )
    found = subprocess.run(
        [verifier, "verify", "--man=no", str(here)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert [line for line in found.stderr.splitlines() if unit in line] == []


def test_the_image_is_built_from_the_locked_hashes_and_runs_as_nobody_special() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert "--require-hashes" in text
    assert "USER eyrie" in text
    assert "--no-index" in text
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    for sources in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.M):
        for source in sources.split():
            assert source.startswith("dist/") or (ROOT / source).exists(), source
            assert f"!{source}" in ignored, source


@pytest.mark.parametrize("script", sorted(DEPLOY.glob("*.sh")), ids=lambda path: path.name)
def test_a_script_is_one_of_the_shell(script: Path) -> None:
    assert (
        subprocess.run(
            ["sh", "-n", str(script)], capture_output=True, text=True, timeout=10, check=False
        ).stderr
        == ""
    )
    assert "set -eu" in script.read_text(encoding="utf-8")
