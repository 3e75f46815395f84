"""A development authority for tests, and certificates that are wrong in one thing each."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from actors.core.settings import HubSettings
from policy.identity import certificate_authority


@dataclass(frozen=True)
class Authority:
    """A folder of `eyrie certs` and, in `strange`, certificates it would never make."""

    folder: Path

    def hub(self, **options: object) -> HubSettings:
        """Settings of a hub with TLS that knows this authority."""
        return HubSettings(
            port=0,
            tls_cert_file=self.file("server.pem"),
            tls_key_file=self.file("server.key"),
            tls_client_ca_file=self.file("ca.pem"),
            **options,  # type: ignore[arg-type]
        )

    def file(self, name: str) -> str:
        return str(self.folder / name)

    def client(self, stem: str = "", *, trusted: "Authority | None" = None) -> ssl.SSLContext:
        """A client that trusts `trusted` (this authority) and shows the certificate `stem`, where
        one is named."""
        context = ssl.create_default_context(cafile=(trusted or self).file("ca.pem"))
        if stem:
            context.load_cert_chain(self.file(f"{stem}.pem"), self.file(f"{stem}.key"))
        return context

    def der(self, stem: str) -> bytes:
        return x509.load_pem_x509_certificate(
            Path(self.file(f"{stem}.pem")).read_bytes()
        ).public_bytes(serialization.Encoding.DER)

    def strange(
        self,
        stem: str,
        *,
        uris: tuple[str, ...] = ("urn:eyrie:device:edge-1",),
        usage: x509.ObjectIdentifier | None = None,
        ended: bool = False,
    ) -> None:
        """Sign a client certificate as told, whatever is wrong with it."""
        authority = x509.load_pem_x509_certificate(Path(self.file("ca.pem")).read_bytes())
        signer = serialization.load_pem_private_key(
            certificate_authority.beside(self.folder).file.read_bytes(), None
        )
        assert isinstance(signer, ec.EllipticCurvePrivateKey)
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, stem)]))
            .issuer_name(authority.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + timedelta(days=-1 if ended else 1))
        )
        if uris:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris]),
                critical=False,
            )
        if usage is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        certificate = builder.sign(signer, hashes.SHA256())
        Path(self.file(f"{stem}.pem")).write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
        )
        Path(self.file(f"{stem}.key")).write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )


def authority(folder: Path) -> Authority:
    """Good certificates of a server on loopback and of the devices edge-1 and edge-2, and strange
    ones."""
    certificate_authority.init(folder, days=30)
    certificate_authority.server(folder, ["127.0.0.1", "localhost", "::1"], days=30)
    for device in ("edge-1", "edge-2"):
        certificate_authority.device(folder, device, sites=["north"], days=30)
    made = Authority(folder)
    made.strange("ended", usage=ExtendedKeyUsageOID.CLIENT_AUTH, ended=True)
    made.strange("for-servers", usage=ExtendedKeyUsageOID.SERVER_AUTH)
    made.strange("for-nothing")
    made.strange("nameless", usage=ExtendedKeyUsageOID.CLIENT_AUTH, uris=())
    made.strange(
        "two-names",
        usage=ExtendedKeyUsageOID.CLIENT_AUTH,
        uris=("urn:eyrie:device:edge-1", "urn:eyrie:device:edge-2"),
    )
    made.strange(
        "odd-name", usage=ExtendedKeyUsageOID.CLIENT_AUTH, uris=("urn:eyrie:device:edge%201",)
    )
    return made
