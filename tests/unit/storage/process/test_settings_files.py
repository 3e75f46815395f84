"""Settings from file and environment: who wins, what is refused and how, and what is handed on."""

import stat
from pathlib import Path

import pytest

from actors.core.errors import ConfigError
from actors.core.settings import HubSettings, Settings
from storage.process.settings_files import load, read_resolved, shown, write_resolved


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(tmp_path: Path, text: str | bytes, name: str = "eyrie.toml") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_nothing_given_means_the_defaults() -> None:
    found = load(environment={})
    assert found.settings == Settings()
    assert found.origins == {}


def test_the_environment_wins_over_the_file_and_both_are_named(tmp_path: Path) -> None:
    written(tmp_path, "[hub]\nport = 9000\nreplicas = 2\n")
    found = load(environment={"EYRIE_HUB_PORT": "9100"})
    assert (found.settings.hub.port, found.settings.hub.replicas) == (9100, 2)
    assert found.origins == {"hub.port": "EYRIE_HUB_PORT", "hub.replicas": "eyrie.toml"}


def test_the_file_may_be_named_by_argument_or_variable(tmp_path: Path) -> None:
    written(tmp_path, "[hub]\nport = 1\n")
    by_variable = written(tmp_path, "[hub]\nport = 2\n", "b.toml")
    by_argument = written(tmp_path, "[hub]\nport = 3\n", "c.toml")
    assert load(environment={"EYRIE_CONFIG": str(by_variable)}).settings.hub.port == 2
    assert load(str(by_argument), {"EYRIE_CONFIG": str(by_variable)}).settings.hub.port == 3


@pytest.mark.parametrize("text", [b"\xef\xbb\xbf[hub]\nport = 9000\n", b"[hub]\r\nport = 9000\r\n"])
def test_a_byte_order_mark_and_windows_line_ends_are_no_trouble(
    tmp_path: Path, text: bytes
) -> None:
    written(tmp_path, text)
    assert load(environment={}).settings.hub.port == 9000


@pytest.mark.parametrize(
    ("name", "text", "section", "key", "value"),
    [
        (
            "EYRIE_POSTGRES_DSN",
            "postgresql://eyrie@db/eyrie",
            "postgres",
            "dsn",
            "postgresql://eyrie@db/eyrie",
        ),
        ("EYRIE_REDIS_URL", "redis://cache:6379/0", "redis", "url", "redis://cache:6379/0"),
        ("EYRIE_OPA_URL", "http://opa:8181", "opa", "url", "http://opa:8181"),
        ("EYRIE_RAY_ADDRESS", "10.0.0.1:6379", "ray", "address", "10.0.0.1:6379"),
        ("EYRIE_AUTH_HS256_SECRET_FILE", "/a b", "auth", "hs256_secret_file", "/a b"),
        ("EYRIE_REGISTRY_AUTO_REGISTER", "false", "registry", "auto_register", False),
        ("EYRIE_CAMERA_COMMIT_INTERVAL_S", "0.5", "camera", "commit_interval_s", 0.5),
        (
            "EYRIE_HUB_ALLOWED_ORIGINS",
            "https://a.example, https://b.example",
            "hub",
            "allowed_origins",
            ["https://a.example", "https://b.example"],
        ),
        ("EYRIE_LOG_FORMAT", "json", "log", "format", "json"),
    ],
)
def test_variables_become_values_of_the_right_type(
    name: str, text: str, section: str, key: str, value: object
) -> None:
    assert getattr(getattr(load(environment={name: text}).settings, section), key) == value


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"EYRIE_HUB_PROT": "1"}, "did you mean 'EYRIE_HUB_PORT'?"),
        ({"EYRIE_HUB_PORT": "http"}, "EYRIE_HUB_PORT='http'"),
        ({"EYRIE_HUB_PORT": "70000"}, "EYRIE_HUB_PORT"),
        ({"EYRIE_REGISTRY_AUTO_REGISTER": "perhaps"}, "EYRIE_REGISTRY_AUTO_REGISTER"),
        ({"EYRIE_LOG_LEVEL": "loud"}, "EYRIE_LOG_LEVEL"),
        ({"EYRIE_CAMERA_COMMIT_INTERVAL_S": "nan"}, "EYRIE_CAMERA_COMMIT_INTERVAL_S"),
        ({"EYRIE_CONFIG": "missing.toml"}, "missing.toml cannot be read"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(environment: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(environment=environment)
    assert told in caught.value.detail


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[hbu]\nport = 1\n", "did you mean 'hub'?"),
        ("[hub]\nprot = 1\n", "did you mean 'port'?"),
        ("port = 1\n", "unknown section"),
        ("hub = 1\n", "[hub] must be a table"),
        ("[hub]\nport = 1\nport = 2\n", "not valid TOML"),
        ("[hub]\nport = 1\n[hub]\nreplicas = 2\n", "not valid TOML"),
        ("[hub]\nport = \n", "not valid TOML"),
        ('[hub]\nport = "8000"\n', "hub.port"),
        ("[hub]\nport = 70000\n", "hub.port"),
        (b"[hub]\nhost = '\xff'\n", "not valid TOML"),
        ("#" * 300_000, "longer than"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(
    tmp_path: Path, text: str | bytes, told: str
) -> None:
    written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(environment={})
    assert told in caught.value.detail


def test_a_wrong_file_is_refused_even_where_the_environment_would_hide_it(tmp_path: Path) -> None:
    written(tmp_path, '[hub]\nport = "no"\n')
    with pytest.raises(ConfigError):
        load(environment={"EYRIE_HUB_PORT": "9000"})


def test_variables_of_others_are_left_alone() -> None:
    assert (
        load(environment={"EYRIE_SHARED_DATA": "/d", "PATH": "/bin", "EYRIEX": "1"}).settings
        == Settings()
    )


@pytest.mark.parametrize(
    "environment",
    [
        {"EYRIE_POSTGRES_DSN": "postgresql://eyrie:hunter2@db/eyrie"},
        {"EYRIE_POSTGRES_DSN": "postgresql://db/eyrie?password=hunter2"},
        {"EYRIE_POSTGRES_DSN": "host=db password=hunter2"},
        {"EYRIE_POSTGRES_DSN": "host=db password = 'hunter2'"},
        {"EYRIE_POSTGRES_DSN": "postgresql://eyrie:hunt er2@db/eyrie"},
        {"EYRIE_POSTGRES_DSN": "postgresql://db/eyrie?PassWord=hunter2"},
        {"EYRIE_REDIS_URL": "redis://:a/hunter2@cache"},
        {"EYRIE_REDIS_URL": "redis://:hunter2@cache"},
    ],
)
def test_a_password_in_an_address_is_refused_without_repeating_it(
    environment: dict[str, str],
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(environment=environment)
    assert "hunter2" not in str(caught.value) + caught.value.next_step
    assert "password_file" in caught.value.next_step


def test_what_is_shown_hides_passwords() -> None:
    assert shown("postgresql://eyrie:hunter2@db/eyrie") == "postgresql://eyrie:…@db/eyrie"
    assert shown("redis://:hunter2@cache") == "redis://:…@cache"
    assert shown(8000) == 8000


def test_the_resolved_tree_comes_back_and_is_ours_alone(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    settings = Settings(hub=HubSettings(port=9000, allowed_origins=["https://a.example"]))
    write_resolved(path, Settings())
    write_resolved(path, settings)
    assert read_resolved(path) == settings
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["settings.json"]


@pytest.mark.parametrize("text", [None, "{", '{"hub": {"port": "x"}}'])
def test_a_resolved_tree_that_is_none_is_told(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "settings.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"settings\.json"):
        read_resolved(path)
