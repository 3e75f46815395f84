"""TLS of the public port, and what a hub refuses to start with: a key that is not the
certificate's, an expired certificate, plain text where others can listen. The private port is on
loopback and stays plain.
"""

import ipaddress
import os
import ssl
import time
from pathlib import Path

from actors.core.errors import ConfigError
from actors.core.settings import HubSettings
from policy.identity.certificates import valid_until

MAX_FILE_BYTES = 1_048_576
_PLAIN_HINT = (
    "Set hub.tls_cert_file and hub.tls_key_file (`eyrie certs server` makes them), or "
    "hub.insecure = true where a proxy in front ends TLS."
)


def server_context(hub: HubSettings) -> ssl.SSLContext | None:
    """TLS 1.2 or newer for the public port; None for plain text on loopback, or where settings say
    that a proxy ends TLS.

    Raises ConfigError for everything that cannot work or would let others listen in.
    """
    if not hub.tls_cert_file:
        if hub.tls_key_file or hub.tls_client_ca_file:
            raise ConfigError(
                "hub.tls_key_file or hub.tls_client_ca_file is set, hub.tls_cert_file is not",
                hint="Set all of them.",
            )
        if not hub.insecure and not is_loopback(hub.host):
            raise ConfigError(
                f"hub.host {hub.host or 'everywhere'} is open to others, and nothing there is "
                "encrypted",
                hint=_PLAIN_HINT,
            )
        return None
    if not hub.tls_key_file:
        raise ConfigError(
            "hub.tls_cert_file is set, hub.tls_key_file is not",
            hint="Name the file of its private key.",
        )
    certificate, _ = _read(hub.tls_cert_file, "hub.tls_cert_file")
    _, mode = _read(hub.tls_key_file, "hub.tls_key_file")
    if mode & 0o077:
        raise ConfigError(
            f"the key file {hub.tls_key_file} can be read by others; run: chmod 600 "
            f"{hub.tls_key_file}"
        )
    try:
        ends = valid_until(certificate)
    except (ValueError, IndexError) as error:
        raise ConfigError(
            f"hub.tls_cert_file {hub.tls_cert_file} holds no certificate in PEM"
        ) from error
    if ends.timestamp() <= time.time():
        raise ConfigError(
            f"the certificate in {hub.tls_cert_file} expired at {ends:%Y-%m-%d %H:%M} UTC",
            hint="Renew it.",
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(hub.tls_cert_file, hub.tls_key_file, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise ConfigError(
            f"hub.tls_key_file {hub.tls_key_file} is not the key of {hub.tls_cert_file} ({reason})",
            hint="Name the files of one pair.",
        ) from error
    if hub.tls_client_ca_file:
        _read(hub.tls_client_ca_file, "hub.tls_client_ca_file")
        try:
            context.load_verify_locations(hub.tls_client_ca_file)
        except ssl.SSLError as error:
            raise ConfigError(
                f"hub.tls_client_ca_file {hub.tls_client_ca_file} holds no certificate in PEM"
            ) from error
        context.verify_mode = (
            ssl.CERT_OPTIONAL
        )  # dashboards share the port; who must show one is for auth.device_certificates to say
    return context


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _no_password() -> str:
    raise ValueError("it is encrypted with a password")


def _read(path: str, name: str) -> tuple[bytes, int]:
    try:
        with Path(path).open("rb") as file:
            return file.read(MAX_FILE_BYTES), os.fstat(file.fileno()).st_mode
    except OSError as error:
        raise ConfigError(f"{name} {path} cannot be read: {error.strerror}") from error
