"""`eyrie token`: what it makes without options works, and a role that grants nothing is refused."""

import json
import time
from pathlib import Path

import pytest

from actors.core.settings import DataSettings, Settings
from cluster.cli.main import main
from policy.decision import inputs
from policy.engine.modules import read_sources
from policy.engine.rego_engine import RegoEngine
from policy.identity.principal import Principal
from policy.identity.tokens import JwtVerifier
from storage.embedded import data_dir
from storage.process.settings_files import write_resolved
from tests.support.tokens import auth_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(auth=auth_settings(tmp_path), data=DataSettings(dir=str(tmp_path / "data")))
    path = data_dir.of(made).settings_file
    path.parent.mkdir(parents=True, exist_ok=True)
    write_resolved(path, made)
    return made


def made(settings: Settings, capsys: pytest.CaptureFixture[str], *words: str) -> Principal:
    assert main(["token", "--data-dir", settings.data.dir, "--json", *words]) == 0
    return JwtVerifier(settings.auth).verify(
        json.loads(capsys.readouterr().out)["token"], typ="user", now_s=time.time() + 1
    )


def test_without_options_it_opens_the_console(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    viewer = made(settings, capsys)
    asked = [
        inputs.connect(viewer, to="dashboard"),
        inputs.subscribe(viewer, "fleet"),
        inputs.subscribe(viewer, "site", "north"),
    ]
    asked += [inputs.on_camera("registry.read", viewer, "gate", site="north")]
    assert [decision.allow for decision in RegoEngine(read_sources()).decide(asked)] == [
        True
    ] * len(asked)
    assert (viewer.roles, viewer.scopes) == (("viewer",), ())


def test_what_is_said_is_meant(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert made(settings, capsys, "--role", "auditor").sites == ()
    assert made(settings, capsys, "--site", "north").roles == ("viewer",)
    assert made(settings, capsys, "--role", "guard", "--any-role", "--site", "north").roles == (
        "guard",
    )


def test_a_role_that_is_none_is_refused_with_those_that_are(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["token", "--data-dir", settings.data.dir, "--role", "admim", "--site", "*"]) != 0
    told = capsys.readouterr()
    assert told.out == ""
    assert "admim" in told.err
    assert "auditor" in told.err


def test_json_names_the_token_and_its_end(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its `jti` it is revoked; without the token itself where that went into a file."""
    command = [
        "token",
        "--data-dir",
        settings.data.dir,
        "--json",
        "--lifetime-s",
        "60",
        "--role",
        "viewer",
    ]
    assert main(command) == 0
    told = json.loads(capsys.readouterr().out)
    verified = JwtVerifier(settings.auth).verify(told["token"], typ="user", now_s=time.time() + 1)
    assert (told["jti"], told["sub"], told["typ"]) == (verified.jti, "developer", "user")
    assert abs(told["exp"] - time.time() - 60) < 30
    assert main([*command, "--file", str(tmp_path / "token")]) == 0
    assert json.loads(capsys.readouterr().out).keys() == {"jti", "exp", "sub", "typ"}


def test_a_file_holds_it_and_nothing_is_printed(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "token"
    assert main(["token", "--data-dir", settings.data.dir, "--file", str(file)]) == 0
    assert file.stat().st_mode & 0o777 == 0o600
    told = "".join(capsys.readouterr())
    text = file.read_text().strip()
    assert JwtVerifier(settings.auth).verify(text, typ="user", now_s=time.time() + 1).roles == (
        "viewer",
    )
    assert text not in told


def test_a_link_for_a_role_that_grants_nothing_is_refused_too(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    link = tmp_path / "link"
    assert (
        main(["sign-in", "--data-dir", settings.data.dir, "--role", "veiwer", "--file", str(link)])
        == 2
    )
    assert "no role is called 'veiwer'" in capsys.readouterr().err
    assert not link.exists()
