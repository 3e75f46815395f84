"""A development authority as files: a folder for hubs with ``ca.pem``, ``server.pem``,
``device-<id>.pem`` and the keys of the latter two; and the authority's own key, ``ca.key``, in
another folder, which no hub reads, or anywhere encrypted with a passphrase.

Keys are P-256, files of keys 0600 and made anew every time; nothing here is for production, where
an organisation has an authority of its own and only the shape of a device's certificate matters
(`policy.identity.certificates`).
"""

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from actors.core.errors import BadInput, ConfigError, NotFound
from policy.identity.atomic_files import write_whole
from policy.identity.certificates import CAMERA, DEVICE, SITE
from policy.identity.tokens import Name

AUTHORITY = "ca"
SERVER = "server"
DEVICE_PREFIX = "device-"
MAX_DAYS = 3650
BACKDATED = timedelta(minutes=5)  # for peers whose clock is a little behind
CLIENT, SERVING = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


class AuthorityKey(msgspec.Struct, frozen=True):
    """Where the key of the authority is, and the passphrase that encrypts it (empty: none)."""

    folder: Path
    passphrase: bytes = b""

    @property
    def file(self) -> Path:
        """The key itself."""
        return self.folder / f"{AUTHORITY}.key"


def beside(folder: Path) -> AuthorityKey:
    """Where the key is when nobody says: in a folder beside that of the certificates (or of all
    data), without a passphrase."""
    return AuthorityKey(folder.with_name(f"{folder.name}-authority"))


class Made(msgspec.Struct, frozen=True):
    """One certificate of the folder. `names` are its alternative names; `until` RFC 3339."""

    kind: str
    name: str
    file: str
    fingerprint: str
    until: str
    names: list[str]


def init(folder: Path, own: AuthorityKey | None = None, *, days: int) -> Made:
    """The authority. Raises BadInput when there is one: what it signed would be worth nothing."""
    own = own or beside(folder)
    for file in (folder / f"{AUTHORITY}.pem", folder / f"{AUTHORITY}.key", own.file):
        if file.exists():
            raise BadInput(
                f"{file.parent} holds an authority already",
                hint="Use other folders, or delete that one and all it signed.",
            )
    for made in (folder, own.folder):
        try:
            made.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"the folder {made} cannot be made: {error.strerror}") from error
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Eyrie development authority")
    usage = x509.KeyUsage(
        digital_signature=False,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = _builder(name, name, key, days).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    certificate = builder.add_extension(usage, critical=True).sign(key, hashes.SHA256())
    write_whole(own.file, _pem(key, own.passphrase))
    write_whole(
        folder / f"{AUTHORITY}.pem", certificate.public_bytes(serialization.Encoding.PEM), 0o644
    )
    return _made(folder / f"{AUTHORITY}.pem")


def server(
    folder: Path, hosts: Sequence[str], own: AuthorityKey | None = None, *, days: int
) -> Made:
    """A certificate of a hub for these names and addresses. Raises BadInput, NotFound without an
    authority."""
    alternatives: list[x509.GeneralName] = []
    for host in hosts:
        try:
            alternatives.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            alternatives.append(_uri_or_name(x509.DNSName, host))
    return _sign(folder, own or beside(folder), SERVER, alternatives, usages=[SERVING], days=days)


def device(
    folder: Path,
    name: str,
    own: AuthorityKey | None = None,
    *,
    sites: Sequence[str] = (),
    cameras: Sequence[str] = (),
    days: int,
) -> Made:
    """A certificate of a device. Raises BadInput, NotFound without an authority."""
    try:
        msgspec.convert(name, Name)
    except msgspec.ValidationError as error:
        raise BadInput(
            f"{name!r} is no name of a device", hint="Letters, digits and ._:@/- are."
        ) from error
    if "/" in name:
        raise BadInput(f"{name!r} cannot name a file", hint="Leave the slash out.")
    found = [
        DEVICE + name,
        *(SITE + site for site in sites),
        *(CAMERA + camera for camera in cameras),
    ]
    alternatives = [_uri_or_name(x509.UniformResourceIdentifier, uri) for uri in found]
    return _sign(
        folder,
        own or beside(folder),
        DEVICE_PREFIX + name,
        alternatives,
        usages=[CLIENT],
        days=days,
    )


def all_of(folder: Path) -> list[Made]:
    """Every certificate of the folder, the authority first."""
    paths = sorted(
        folder.glob("*.pem"),
        key=lambda path: (path.stem != AUTHORITY, path.stem != SERVER, path.stem),
    )
    if not paths:
        raise NotFound(
            f"there are no certificates in {folder}", hint="`eyrie certs init` makes an authority."
        )
    return [_made(path) for path in paths]


def _sign(
    folder: Path,
    own: AuthorityKey,
    stem: str,
    alternatives: Sequence[x509.GeneralName],
    *,
    usages: Sequence[x509.ObjectIdentifier],
    days: int,
) -> Made:
    authority, authority_key = _authority(folder, own)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(_name(stem), authority.subject, key, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
    )
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    _write(folder, stem, builder.sign(authority_key, hashes.SHA256()), key)
    return _made(folder / f"{stem}.pem")


def unsigned(common: str) -> tuple[bytes, bytes, bytes]:
    """A fresh key and a certificate that nobody vouches for, both as PEM, and the certificate as
    DER: for encryption between peers that prove themselves in another way."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _builder(_name(common), _name(common), key, MAX_DAYS).sign(key, hashes.SHA256())
    encoding = serialization.Encoding
    pem, der = certificate.public_bytes(encoding.PEM), certificate.public_bytes(encoding.DER)
    return _pem(key), pem, der


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    if not 1 <= days <= MAX_DAYS:
        raise BadInput(f"a certificate lives 1 to {MAX_DAYS} days, not {days}")
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _authority(
    folder: Path, own: AuthorityKey
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    if (misplaced := folder / f"{AUTHORITY}.key").exists() and misplaced != own.file:
        raise ConfigError(
            f"the key of the authority lies in the folder of the hubs: {misplaced}",
            hint=f"Move it: mkdir -m 700 -p {own.folder} && mv {misplaced} {own.file}",
        )
    try:
        certificate = x509.load_pem_x509_certificate((folder / f"{AUTHORITY}.pem").read_bytes())
        key = serialization.load_pem_private_key(own.file.read_bytes(), own.passphrase or None)
    except FileNotFoundError as error:
        raise NotFound(
            f"there is no authority in {folder} and {own.folder}",
            hint="`eyrie certs init` makes one.",
        ) from error
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"the authority in {own.folder} cannot be read: {error}",
            hint="Name its --passphrase-file.",
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigError(f"the authority in {own.folder} was not made by `eyrie certs init`")
    return certificate, key


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])


def _uri_or_name(
    kind: type[x509.DNSName] | type[x509.UniformResourceIdentifier], text: str
) -> x509.GeneralName:
    try:
        return kind(text)
    except ValueError as error:
        raise BadInput(f"{text!r} cannot stand in a certificate: {error}") from error


def _write(
    folder: Path, stem: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    write_whole(folder / f"{stem}.key", _pem(key))
    write_whole(folder / f"{stem}.pem", certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def _pem(key: ec.EllipticCurvePrivateKey, passphrase: bytes = b"") -> bytes:
    form = (
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, form)


def _made(path: Path) -> Made:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is no certificate: {error}") from error
    names: list[str] = []
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            names = [str(general.value) for general in extension.value]
    kind = (
        "device"
        if path.stem.startswith(DEVICE_PREFIX)
        else {AUTHORITY: "authority", SERVER: "server"}.get(path.stem, "other")
    )
    until = certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
    return Made(kind, path.stem.removeprefix(DEVICE_PREFIX), str(path), fingerprint, until, names)
