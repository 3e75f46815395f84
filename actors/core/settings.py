"""The one settings tree: ``eyrie.toml`` sections, ``EYRIE_<SECTION>_<KEY>`` environment variables,
the same names everywhere.

Pure: a mapping in, a tree out. `storage.process.settings_files` reads files and environment.
Secrets are never values here, only paths of files; durations are seconds and end in ``_s``.
"""

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from actors.core.backup_settings import BackupSettings
from actors.core.errors import ConfigError
from actors.core.personal_settings import PersonalSettings
from actors.core.sink_settings import NatsSettings, SinksSettings

Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
ChannelKind = Literal["camera", "site", "fleet", "events:camera", "events:site", "events:fleet"]
PerSecond = Annotated[float, msgspec.Meta(gt=0, le=1_000_000)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True): ...


class DataSettings(_Section, frozen=True):
    """For embedded servers. Empty: ``~/.local/share/eyrie``, as root ``/var/lib/eyrie``."""

    dir: str = ""


class PostgresSettings(_Section, frozen=True):
    """Empty `dsn`: an embedded PostgreSQL on a Unix socket in the data directory."""

    dsn: str = ""
    password_file: str = ""
    connect_timeout_s: Seconds = 10.0
    command_timeout_s: Seconds = 5.0
    max_connections: Count = 200


class RedisSettings(_Section, frozen=True):
    """Empty `url`: an embedded Redis on a Unix socket in the data directory.

    `events_kept`: of each camera and site, for dashboards that come back; `events_mb`: MiB that all
    of them may take together (the embedded server has 512). What is beyond either is read from
    PostgreSQL.
    """

    url: str = ""
    password_file: str = ""
    timeout_s: Seconds = 2.0
    events_kept: Count = 1000
    events_mb: Annotated[int, msgspec.Meta(ge=1, le=1_048_576)] = 256


class RaySettings(_Section, frozen=True):
    """Empty `address`: a private Ray head, started and stopped by `eyrie up`; else the cluster that
    `eyrie up` runs in.

    `host`: the address by which other machines reach this one; empty: nobody can join. Ray listens
    on all interfaces whatever it is. `port`: of the head (0: a free one of the range). All other
    ports of Ray lie from `port_min` to `port_max`; the first 64 are for Ray itself, the rest for
    one worker each. Actors take links of other nodes from `link_port_min` to `link_port_max`.
    """

    address: str = ""
    namespace: str = "eyrie"
    token_file: str = ""
    host: str = ""
    port: Port = 0
    port_min: Annotated[int, msgspec.Meta(ge=1_024, le=65_000)] = 10_002
    port_max: Annotated[int, msgspec.Meta(ge=1_124, le=65_535)] = 19_999
    link_port_min: Annotated[int, msgspec.Meta(ge=1_024, le=65_535)] = 20_000
    link_port_max: Annotated[int, msgspec.Meta(ge=1_024, le=65_535)] = 23_999


class OpaSettings(_Section, frozen=True):
    """Empty `url`: the embedded Rego engine.

    `push`: the revision in force is written to the server by its policy API; without, whoever runs
    the server has to. Either way an answer counts only when it names the revision in force
    (`eyrie.authz.revision`).
    """

    url: str = ""
    token_file: str = ""
    push: bool = True
    timeout_s: Seconds = 0.25


class AuthSettings(_Section, frozen=True):
    """Tokens. Empty `hs256_secret_file`: one is made in the data directory (embedded default).

    `jwks_file` (looked at every second) or `jwks_url` (read every `jwks_refresh_s`, and after an
    unknown `kid` at most every `jwks_unknown_kid_s`) holds the public keys of the issuer. While
    neither can be read the last good keys hold for `jwks_keep_s`, then every token is refused.
    `signing_key_file`: a private key of `eyrie keys`, for those who also make tokens here.
    `device_certificates`: with ``accept`` a device's certificate must name the subject of its
    token, or takes its place; with ``require`` nobody sends observations without one.
    `device_keys_file`: keys of `eyrie keys device`, by which HTTP ingest may be signed.
    """

    issuer: str = "eyrie"
    audience: str = "eyrie"
    hs256_secret_file: str = ""
    jwks_file: str = ""
    jwks_url: str = ""
    jwks_refresh_s: Seconds = 300.0
    jwks_unknown_kid_s: Seconds = 10.0
    jwks_timeout_s: Seconds = 5.0
    jwks_keep_s: Seconds = 3600.0
    signing_key_file: str = ""
    leeway_s: Seconds = 30.0
    device_keys_file: str = ""
    device_certificates: Literal["off", "accept", "require"] = "off"
    user_lifetime_s: Seconds = 3600.0
    edge_lifetime_s: Seconds = 86_400.0


class PolicySettings(_Section, frozen=True):
    """The policy actor and its engine. Empty `rego_dir`: the policies of the package; they are in
    force until somebody activates others. `key_file`: the secret that signs revisions, the same on
    every machine; empty: one is made in the data directory. The log of decisions keeps the newest
    `log_rows`, none older than `log_days`. `shown_attributes`: names of attributes that everybody
    may see, beside those that harm nobody (`actors.core.redaction`); any other is hidden from who
    may not see every class.
    """

    rego_dir: str = ""
    key_file: str = ""
    replicas: Count = 1
    decide_timeout_s: Seconds = 1.0
    cache_entries: Count = 50_000
    poll_s: Seconds = 1.0
    max_age_s: Seconds = 5.0
    log_rows: Count = 100_000
    log_days: Count = 30
    shown_attributes: list[str] = []


class RegistrySettings(_Section, frozen=True):
    """`auto_register`: an unknown camera that passed policy is added to `default_site`. So are at
    most `max_per_device` cameras by one device (a token's subject; those that were deleted since
    count too), and none to a site that has `max_per_site`. People are not bound by either."""

    auto_register: bool = True
    max_per_device: Count = 1_024
    max_per_site: Count = 10_000
    default_site: str = "default"
    scenes_file: str = ""


class CameraSettings(_Section, frozen=True):
    """The camera actor. Mailbox limits are per camera; credits are given out of them."""

    commit_interval_s: Seconds = 0.25
    live_hz: Annotated[float, msgspec.Meta(gt=0, le=60)] = 10.0
    wall_hz: Annotated[float, msgspec.Meta(gt=0, le=20)] = 4.0
    gap_timeout_s: Seconds = 30.0
    stale_after_s: Seconds = 8.0
    offline_after_s: Seconds = 30.0
    mailbox_items: Count = 2048
    mailbox_bytes: Annotated[int, msgspec.Meta(ge=65_536, le=2**31)] = 8 * 1024 * 1024
    mailbox_age_s: Seconds = 5.0
    process_items: Count = 16_384
    heartbeat_s: Seconds = 1.0


class EventsSettings(_Section, frozen=True):
    """Events of `keep_days` whole days (UTC, of receiving) are kept; 0: all. `keyring_dir`: keys of
    personal values, the same folder on every machine; empty: `keyring` in the data directory."""

    keyring_dir: str = ""
    keep_days: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 90


class DeadLettersSettings(_Section, frozen=True):
    """What was refused: of `keep_days` (0: of any age), the newest `keep_mb` MiB.

    Frames that nobody could decode are kept at `device_per_s` of one device (a token's subject) on
    a hub, `device_burst` at once, and at `hub_per_s` and `hub_burst` of all; of bytes, 16 KiB for
    each of those frames. What is beyond is counted and not kept.
    """

    keep_days: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 30
    keep_mb: Annotated[int, msgspec.Meta(ge=1, le=1_048_576)] = 1024
    device_per_s: PerSecond = 1.0
    device_burst: Count = 1_000
    hub_per_s: PerSecond = 20.0
    hub_burst: Count = 5_000


class SessionsSettings(_Section, frozen=True):
    """Edge sessions that are over: remembered for `keep_days` after the next one began, and the
    newest `keep_per_camera` of each camera. One that was forgotten and comes back counts twice."""

    keep_days: Annotated[int, msgspec.Meta(ge=1, le=36_500)] = 90
    keep_per_camera: Count = 10_000


class HubSettings(_Section, frozen=True):
    """Listening and limits of a hub. `port` 0 lets the system choose.

    Beyond `max_connections`, those per address, or the rate of new ones, a dashboard gets 503 with
    Retry-After; beyond those per user it is closed with 3504. Beyond `max_edge_sockets`, or those
    per address, an edge is closed with 4008: come back later. Beyond `max_waiting_per_address`
    connections that have not ended their TLS handshake or sent a whole header, or body, within a
    second, further ones are closed (408), and likewise, without a word, beyond so many that idle
    for a second after an answer. `drain_s`: over how long a stopping hub spreads the closes of its
    dashboards. `tls_cert_file` and `tls_key_file` (PEM): the public port speaks TLS; without them a
    `host` that is not loopback is refused, unless `insecure` says that a proxy in front ends TLS.
    `tls_client_ca_file`: who signs certificates of devices (`auth.device_certificates`).
    `trusted_proxies`: addresses and networks whose X-Forwarded-For and Client-Cert (RFC 9440) are
    believed. `allowed_origins`: other web pages that may open sockets and read answers of REST
    (CORS), like ``https://wall.example``. `allowed_hosts`: the names by which the hubs and the
    cluster API are reached (``Host``), without scheme and port, ``*.example.org`` for all below;
    those of loopback and the address that a connection came to are allowed as they are.
    `compatibility_file`: a profile for test suites made for Centrifugo, on loopback only.
    """

    host: str = "127.0.0.1"
    port: Port = 8000
    replicas: Count = 1
    allowed_origins: list[str] = []
    allowed_hosts: list[str] = []
    max_message_bytes: Annotated[int, msgspec.Meta(ge=1024, le=1_048_576)] = 65_536
    max_subscriptions: Count = 128
    queue_bytes: Annotated[int, msgspec.Meta(ge=65_536, le=2**30)] = 1_048_576
    first_message_s: Seconds = 5.0
    ping_s: Seconds = 25.0
    pong_s: Seconds = 8.0
    linger_s: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.02
    call_timeout_s: Seconds = 5.0
    expired_grace_s: Seconds = 25.0
    tls_cert_file: str = ""
    tls_key_file: str = ""
    tls_client_ca_file: str = ""
    insecure: bool = False
    trusted_proxies: list[str] = []
    max_connections: Count = 50_000
    max_connections_per_address: Count = 20_000
    max_connections_per_user: Count = 1_000
    max_waiting_per_address: Count = 256
    max_edge_sockets: Count = 10_000
    max_edge_sockets_per_address: Count = 2_000
    connections_per_s: PerSecond = 500.0
    connections_burst: Count = 2_000
    drain_s: Annotated[float, msgspec.Meta(ge=0, le=300)] = 5.0
    compatibility_file: str = ""


class LimitsSettings(_Section, frozen=True):
    """How often a user, a device (an edge token's subject) or an address may do something, over all
    hubs together.

    `…_per_s`, and `…_burst` at once. Beyond it: 429 with Retry-After, for a hello close code 4008,
    for a dashboard close code 3013, for its commands (each hub counts them for itself) error 111.
    `failures` are tokens that are not good, and sessions of ``/emulation`` that nobody holds; only
    further ones are refused for them. `expired` are genuine tokens whose time is over. `passed` are
    commands on ``/emulation`` for other hubs, of an address over all hubs and of one session on
    each. `passwords` are tries with one, good or not. The buckets are in Redis; while it does
    not answer within `timeout_s` each of `hub.replicas` hubs goes on with its share.
    """

    user_connects_per_s: PerSecond = 100.0
    user_connects_burst: Count = 2_000
    user_commands_per_s: PerSecond = 1_000.0
    user_commands_burst: Count = 50_000
    user_requests_per_s: PerSecond = 500.0
    user_requests_burst: Count = 5_000
    address_requests_per_s: PerSecond = 1_000.0
    address_requests_burst: Count = 10_000
    device_hellos_per_s: PerSecond = 500.0
    device_hellos_burst: Count = 10_000
    device_posts_per_s: PerSecond = 500.0
    device_posts_burst: Count = 5_000
    address_expired_per_s: PerSecond = 20.0
    address_expired_burst: Count = 2_000
    address_passed_per_s: PerSecond = 100.0
    address_passed_burst: Count = 1_000
    session_passed_per_s: PerSecond = 10.0
    session_passed_burst: Count = 200
    address_failures_per_s: PerSecond = 5.0
    address_failures_burst: Count = 300
    subject_failures_per_s: PerSecond = 1.0
    subject_failures_burst: Count = 100
    address_passwords_per_s: PerSecond = 0.5
    address_passwords_burst: Count = 60
    user_passwords_per_s: PerSecond = 0.1
    user_passwords_burst: Count = 20
    timeout_s: Seconds = 0.25


class ChannelsSettings(_Section, frozen=True):
    """What dashboards may do in each kind of channel: `camera`, `site`, `fleet`, `events:camera`,
    `events:site`, `events:fleet`.

    `closed`: nobody can subscribe. `without_history`: the history command is refused.
    `without_recovery`: who comes back starts from now.
    """

    closed: list[ChannelKind] = []
    without_history: list[ChannelKind] = []
    without_recovery: list[ChannelKind] = []


class ClusterSettings(_Section, frozen=True):
    """The supervisor. `cameras_per_actor` = 1 is literal. `workers`: processes for jobs (counts,
    backups, erasures, sinks). A camera that is offline and without a link for `passivate_after_s`
    leaves its actor until its edge comes again; 0: never. `api_host`, `api_port`: where the cluster
    API listens, on the supervisor's machine; port 0 lets the system choose, `eyrie cluster` finds
    it either way. Anywhere but on loopback it needs the hub's certificate (`hub.tls_cert_file`).
    """

    api_host: str = "127.0.0.1"
    api_port: Port = 8001
    cameras_per_actor: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 1
    workers: Annotated[int, msgspec.Meta(ge=0, le=64)] = 1
    reconcile_s: Seconds = 0.5
    actor_dead_after_s: Seconds = 5.0
    start_timeout_s: Seconds = 60.0
    passivate_after_s: Annotated[float, msgspec.Meta(ge=0, le=31_536_000)] = 900.0


class SimulateSettings(_Section, frozen=True):
    """The built-in simulated site of `eyrie up`."""

    cameras: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 8
    site: str = "demo"
    fps: Annotated[float, msgspec.Meta(gt=0, le=60)] = 10.0
    seed: int = 1


class MetricsSettings(_Section, frozen=True):
    """Where a launcher serves the merged metrics of its node. `port` 0: any free one, told then."""

    host: str = "127.0.0.1"
    port: Port = 0


class LogSettings(_Section, frozen=True):
    """`format` ``text`` for people, ``json`` for collectors: one line each either way.

    A log file has at most `max_mb` MiB; then it is put aside, and so many `files` that were put
    aside are kept: of the common log of all processes. Each server that is started here has a log
    of at most 16 MiB and three older ones.
    """

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"
    max_mb: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = 32
    files: Annotated[int, msgspec.Meta(ge=1, le=100)] = 3


class Settings(_Section, frozen=True):
    """The whole tree."""

    data: DataSettings = DataSettings()
    postgres: PostgresSettings = PostgresSettings()
    redis: RedisSettings = RedisSettings()
    ray: RaySettings = RaySettings()
    opa: OpaSettings = OpaSettings()
    auth: AuthSettings = AuthSettings()
    policy: PolicySettings = PolicySettings()
    registry: RegistrySettings = RegistrySettings()
    camera: CameraSettings = CameraSettings()
    events: EventsSettings = EventsSettings()
    personal: PersonalSettings = PersonalSettings()
    dead_letters: DeadLettersSettings = DeadLettersSettings()
    sessions: SessionsSettings = SessionsSettings()
    sinks: SinksSettings = SinksSettings()
    nats: NatsSettings = NatsSettings()
    channels: ChannelsSettings = ChannelsSettings()
    hub: HubSettings = HubSettings()
    limits: LimitsSettings = LimitsSettings()
    cluster: ClusterSettings = ClusterSettings()
    backup: BackupSettings = BackupSettings()
    simulate: SimulateSettings = SimulateSettings()
    metrics: MetricsSettings = MetricsSettings()
    log: LogSettings = LogSettings()


def sections() -> dict[str, type[msgspec.Struct]]:
    """Section name → its struct, in the order of the tree."""
    return {field.name: field.type for field in msgspec.structs.fields(Settings)}


def build(tree: Mapping[str, Any]) -> Settings:
    """The settings of a parsed mapping of sections. Raises :class:`ConfigError` with the key and,
    where it is unknown, the nearest name."""
    known = sections()
    for section, values in tree.items():
        if section not in known:
            raise ConfigError(f"unknown section [{section}]{nearest(section, known)}")
        if not isinstance(values, Mapping):
            raise ConfigError(f"[{section}] must be a table of keys")
        keys = [field.name for field in msgspec.structs.fields(known[section])]
        for key in values:
            if key not in keys:
                raise ConfigError(f"unknown key {section}.{key}{nearest(key, keys)}")
    try:
        return msgspec.convert(tree, Settings)
    except msgspec.ValidationError as error:
        raise ConfigError(str(error).replace("`$.", "`")) from error


def nearest(name: str, names: Any) -> str:
    """``; did you mean 'x'?`` for the closest of `names`, or nothing."""
    found = difflib.get_close_matches(name, list(names), n=1, cutoff=0.4)
    return f"; did you mean {found[0]!r}?" if found else ""
