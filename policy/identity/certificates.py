"""Certificates of devices, read: whom one names and for how long. Pure; that its chain leads to a
trusted authority is for TLS to prove (or for the proxy that ended TLS), everything it says of the
device is checked here.

A device's certificate carries `urn:eyrie:device:<id>` as a URI among its alternative names (RFC
5280, 4.2.1.6), once; it may carry `urn:eyrie:site:<site>` and `urn:eyrie:camera:<camera>`, which
mean what a token's claims `sites` and `cameras` mean.
"""

from datetime import UTC, datetime

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from actors.core.errors import Unauthorized
from policy.identity.principal import Principal
from policy.identity.tokens import Camera, Name, Site

MAX_BYTES = 12_288  # of one certificate in DER
DEVICE, SITE, CAMERA = "urn:eyrie:device:", "urn:eyrie:site:", "urn:eyrie:camera:"


class DeviceCertificate(msgspec.Struct, frozen=True):
    """`fingerprint` is the SHA-256 of the DER in hex; times are seconds since 1970."""

    device: Name
    fingerprint: str
    starts_s: int
    ends_s: int
    sites: tuple[Site, ...] = ()
    cameras: tuple[Camera, ...] | None = None

    def principal(self) -> Principal:
        """Who shows this certificate and no token. What it may do is still for the policy to
        say."""
        return Principal(
            self.device,
            self.fingerprint,
            "edge",
            self.starts_s,
            self.ends_s,
            ("edge",),
            self.sites,
            self.cameras,
            certificate=self.fingerprint,
        )


def read(der: bytes, now_s: float) -> DeviceCertificate:
    """The device that `der` names. Raises Unauthorized for what is no certificate of a device, or
    not now."""
    if len(der) > MAX_BYTES:
        raise Unauthorized(f"a certificate has at most {MAX_BYTES} bytes")
    try:
        certificate = x509.load_der_x509_certificate(der)
        names, usages = _extensions(certificate)
        starts_s, ends_s = (
            int(moment.timestamp())
            for moment in (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
        )
    except (
        ValueError,
        TypeError,
        x509.DuplicateExtension,
        x509.ExtensionNotFound,
        x509.UnsupportedGeneralNameType,
    ) as error:
        raise Unauthorized("the client certificate cannot be read as a device's") from error
    if ExtendedKeyUsageOID.CLIENT_AUTH not in usages:
        raise Unauthorized(
            "the client certificate is not for clients (extended key usage clientAuth)"
        )
    if not starts_s <= now_s < ends_s:
        raise Unauthorized(
            "the client certificate is not valid now; compare the clocks, or make a new one"
        )
    devices = _after(names, DEVICE)
    if len(devices) != 1:
        raise Unauthorized(
            f"the client certificate must name one device ({DEVICE}<id>); it names {len(devices)}"
        )
    try:
        return msgspec.convert(
            {
                "device": devices[0],
                "fingerprint": certificate.fingerprint(hashes.SHA256()).hex(),
                "starts_s": starts_s,
                "ends_s": ends_s,
                "sites": _after(names, SITE),
                "cameras": _after(names, CAMERA) or None,
            },
            DeviceCertificate,
        )
    except msgspec.ValidationError as error:
        raise Unauthorized("the client certificate names something out of its alphabet") from error


def valid_until(pem: bytes) -> datetime:
    """When the first certificate in `pem` ends. Raises ValueError."""
    return x509.load_pem_x509_certificates(pem)[0].not_valid_after_utc.astimezone(UTC)


def _extensions(certificate: x509.Certificate) -> tuple[list[str], x509.ExtendedKeyUsage]:
    found = certificate.extensions
    names = found.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.UniformResourceIdentifier
    )
    return names, found.get_extension_for_class(x509.ExtendedKeyUsage).value


def _after(names: list[str], prefix: str) -> list[str]:
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
