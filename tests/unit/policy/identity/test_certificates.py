"""Certificates of devices: what is made is read back, and the folder is as it should be."""

import stat
import time
from pathlib import Path

import pytest

from actors.core.errors import BadInput, NotFound, Unauthorized
from policy.identity import certificate_authority, certificates
from tests.support.certificates import Authority


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("authority") / "certs"
    certificate_authority.init(made, days=30)
    return made


def test_a_device_is_read_as_it_was_made(folder: Path) -> None:
    made = certificate_authority.device(
        folder, "gate-box", sites=["north", "*"], cameras=["gate-1"], days=1
    )
    now = time.time()
    found = certificates.read(Authority(folder).der("device-gate-box"), now)
    assert (found.device, found.sites, found.cameras, found.fingerprint) == (
        "gate-box",
        ("north", "*"),
        ("gate-1",),
        made.fingerprint,
    )
    assert found.ends_s - found.starts_s == 86_400 + 300
    principal = found.principal()
    assert (principal.sub, principal.typ, principal.roles, principal.sites) == (
        "gate-box",
        "edge",
        ("edge",),
        ("north", "*"),
    )
    for moment in (now - 1000, now + 86_500):
        with pytest.raises(Unauthorized, match="not valid now"):
            certificates.read(Authority(folder).der("device-gate-box"), moment)


@pytest.mark.parametrize("der", [b"", b"nothing", bytes(20_000)], ids=["empty", "text", "long"])
def test_what_is_no_certificate_is_refused(der: bytes) -> None:
    with pytest.raises(Unauthorized):
        certificates.read(der, 0)


def test_keys_are_for_their_owner_alone_and_an_authority_is_made_once(folder: Path) -> None:
    certificate_authority.server(folder, ["hub.example", "192.0.2.1"], days=1)
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*.key")} == {0o600}
    with pytest.raises(BadInput, match="already"):
        certificate_authority.init(folder, days=1)
    listed = certificate_authority.all_of(folder)
    assert [made.kind for made in listed][:2] == ["authority", "server"]
    assert listed[1].names == ["hub.example", "192.0.2.1"]


def test_bad_names_and_lives_are_refused(folder: Path, tmp_path: Path) -> None:
    for name in ("", "a b", "../evil", "x" * 129):
        with pytest.raises(BadInput):
            certificate_authority.device(folder, name, days=1)
    with pytest.raises(BadInput, match="days"):
        certificate_authority.device(folder, "gate", days=0)
    with pytest.raises(NotFound, match="no authority"):
        certificate_authority.device(tmp_path, "gate", days=1)
    with pytest.raises(NotFound):
        certificate_authority.all_of(tmp_path)
