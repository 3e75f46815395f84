"""``eyrie certs``: what it makes, says and refuses."""

import json
import ssl
from pathlib import Path

import pytest

from actors.core.settings import HubSettings
from cluster.cli.hub_options import pinned
from cluster.cli.main import main
from hub.server.tls import server_context


def test_an_authority_a_server_and_a_device(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "certs"

    def eyrie(*arguments: str) -> tuple[int, str]:
        code = main(["certs", *arguments, "--folder", str(folder)])
        return code, capsys.readouterr().out

    assert eyrie("device", "gate-box")[0] == 1, "there is no authority yet"
    assert eyrie("init")[0] == 0
    assert eyrie("init")[0] == 2
    code, out = eyrie("server")
    assert (code, "tls_client_ca_file" in out, "localhost" in out) == (0, True, True)
    code, out = eyrie("device", "gate-box", "--site", "north", "--camera", "gate-1", "--json")
    made = json.loads(out)
    assert (code, made["names"]) == (
        0,
        ["urn:eyrie:device:gate-box", "urn:eyrie:site:north", "urn:eyrie:camera:gate-1"],
    )
    code, out = eyrie("list", "--json")
    listed = json.loads(out)["certificates"]
    assert [entry["kind"] for entry in listed] == ["authority", "server", "device"]
    assert listed[2]["fingerprint"] == made["fingerprint"]
    code, out = eyrie("list")
    assert (code, "gate-box" in out, made["fingerprint"][:16] in out) == (0, True, True)
    assert eyrie("device", "a b")[0] == 2
    assert eyrie("device", "x", "--days", "0")[0] == 2
    hub = HubSettings(
        tls_cert_file=str(folder / "server.pem"),
        tls_key_file=str(folder / "server.key"),
        tls_client_ca_file=str(folder / "ca.pem"),
    )
    context = server_context(hub)
    assert context is not None
    assert context.verify_mode is ssl.CERT_OPTIONAL


def test_commands_trust_the_certificate_of_the_running_instance_and_no_other(
    tmp_path: Path,
) -> None:
    assert pinned("") is None
    main(["certs", "init", "--folder", str(tmp_path / "a"), "--json"])
    main(["certs", "server", "--folder", str(tmp_path / "a"), "--json"])
    context = pinned(str(tmp_path / "a" / "server.pem"))
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, False)
    assert context.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN


def test_check_16_up_says_what_no_hub_would_start_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["up", "--host", "0.0.0.0", "--data-dir", str(tmp_path / "data")]) == 2
    assert "hub.insecure" in capsys.readouterr().err
    assert not (tmp_path / "data").exists(), "nothing was started for it"
