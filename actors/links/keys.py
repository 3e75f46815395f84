"""The key of the links, and a certificate for those of other nodes."""

import os
import ssl
import tempfile
from pathlib import Path

from actors.core.errors import ConfigError
from actors.core.settings import RaySettings
from actors.links.greeting import derive_key
from policy.identity.certificate_authority import unsigned
from policy.identity.keys import MIN_SECRET_BYTES, read_secret


def link_key(settings: RaySettings) -> bytes:
    """Derived from Ray's token: of `ray.token_file`, or where Ray itself looks for one. Raises
    ConfigError when there is none, or others can read it."""
    named = settings.token_file or os.environ.get("RAY_AUTH_TOKEN_PATH", "")
    given = os.environ.get("RAY_AUTH_TOKEN", "").encode()
    if not named and len(given) >= MIN_SECRET_BYTES:
        return derive_key(given, settings.namespace)
    path = Path(named) if named else Path.home() / ".ray" / "auth_token"
    try:
        return derive_key(read_secret(path), settings.namespace)
    except ConfigError as error:
        raise ConfigError(
            f"links between hubs and actors need the cluster's token: {error.detail}",
            hint="Name its file in ray.token_file.",
        ) from error


def server_tls(folder: Path) -> tuple[ssl.SSLContext, bytes]:
    """A context with a fresh certificate that nobody signed, and that certificate (DER). It goes
    through a file in `folder` (0700), because the ssl module takes no other way."""
    key, certificate, der = unsigned("eyrie link")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with tempfile.NamedTemporaryFile(dir=folder, prefix="tls-") as file:  # 0600
        file.write(key + certificate)
        file.flush()
        context.load_cert_chain(file.name)
    return context, der
