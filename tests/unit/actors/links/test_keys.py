"""Where the key of the links comes from, and that nothing weak is taken."""

from pathlib import Path

import pytest

from actors.core.errors import ConfigError
from actors.core.settings import RaySettings
from actors.links.greeting import derive_key
from actors.links.keys import link_key

TOKEN = "ab" * 32


@pytest.fixture(autouse=True)
def _nothing_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def token_file(path: Path, text: str = TOKEN, mode: int = 0o600) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_the_key_comes_from_the_token_of_the_settings_or_from_where_ray_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = derive_key(TOKEN.encode(), "eyrie")
    assert link_key(RaySettings(token_file=token_file(tmp_path / "named"))) == wanted
    token_file(tmp_path / ".ray" / "auth_token", TOKEN + "\n")
    assert link_key(RaySettings()) == wanted
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", token_file(tmp_path / "path", "cd" * 32))
    assert link_key(RaySettings()) == derive_key(b"cd" * 32, "eyrie")
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "ef" * 32)
    assert link_key(RaySettings()) == derive_key(b"ef" * 32, "eyrie")
    assert link_key(RaySettings(namespace="other")) == derive_key(b"ef" * 32, "other")


def test_without_a_token_or_with_a_weak_one_there_are_no_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="need the cluster's token"):
        link_key(RaySettings())
    with pytest.raises(ConfigError, match="32 to"):
        link_key(RaySettings(token_file=token_file(tmp_path / "short", "abc")))
    with pytest.raises(ConfigError, match="read by others"):
        link_key(RaySettings(token_file=token_file(tmp_path / "open", mode=0o644)))
    monkeypatch.setenv("RAY_AUTH_TOKEN", "short")
    with pytest.raises(ConfigError):
        link_key(RaySettings())
