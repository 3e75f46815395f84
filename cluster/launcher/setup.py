"""Before anything of ours runs: the settings as processes get them, and the database as they expect
it."""

import asyncio
from pathlib import Path

import msgspec

from actors.core.errors import ConfigError
from actors.core.settings import HubSettings, Settings
from actors.core.sink_settings import NatsSettings
from cluster.registry_file import RegistryChange, parse
from cluster.registry_target import StoreTarget, carry_out, compare
from policy.actor import revisions
from policy.audit import beginning
from policy.engine import review, sandbox
from policy.engine.modules import read_sources, revision
from policy.identity.keys import ensure_secret, read_secret
from privacy.replay import replay_erasures
from storage.embedded.data_dir import DataDir, of
from storage.migrations import migrate
from storage.stores import keyring_folder, open_stores


def resolve(
    settings: Settings,
    data: DataDir,
    *,
    dsn: str,
    url: str,
    address: str,
    ray_token: str,
    nats: NatsSettings,
) -> Settings:
    """`settings` with the addresses of embedded servers, the data directory and the files of
    secrets filled in."""
    replace = msgspec.structs.replace
    auth = settings.auth
    if not auth.hs256_secret_file and not auth.jwks_file:
        secret = data.keys / "hs256.secret"
        ensure_secret(secret)
        auth = replace(auth, hs256_secret_file=str(secret))
    policy = replace(
        settings.policy,
        rego_dir=_absolute(settings.policy.rego_dir),
        key_file=_absolute(settings.policy.key_file),
    )
    if not policy.key_file:
        policy = replace(policy, key_file=str(data.keys / "policy.secret"))
        ensure_secret(Path(policy.key_file))
    return replace(
        settings,
        data=replace(settings.data, dir=str(data.path)),
        postgres=replace(settings.postgres, dsn=settings.postgres.dsn or dsn),
        redis=replace(settings.redis, url=settings.redis.url or url),
        ray=replace(
            settings.ray,
            address=settings.ray.address or address,
            token_file=settings.ray.token_file or ray_token,
        ),
        auth=replace(auth, device_keys_file=_absolute(auth.device_keys_file)),
        registry=replace(settings.registry, scenes_file=_absolute(settings.registry.scenes_file)),
        policy=policy,
        nats=nats,
        hub=_with_absolute_files(settings.hub),
    )


def prepare_stores(settings: Settings) -> list[str]:
    """Reach both servers and apply what migrations are missing; their names. Raises Unavailable
    when one does not answer."""

    key = read_secret(Path(settings.policy.key_file))
    new = (
        not of(settings).audit_checkpoint.exists()
    )  # an empty log of which there is a checkpoint was emptied: it stays unproven

    async def prepare() -> list[str]:
        applied = await migrate(settings)
        stores = await open_stores(settings, name="setup", redis_needed=True)
        try:
            modules = read_sources(settings.policy.rego_dir)
            current = await stores.revisions.current()
            if current is None or (not current.author and current.revision != revision(modules)):
                await sandbox.bounded(
                    modules, review.at_load()
                )  # it would come into force by this start
            await revisions.keep_default(stores.revisions, key, modules)
            if new:
                await stores.audit_log.begin(beginning(key))
            await replay_erasures(
                stores.database, stores.keyring, keyring_folder(settings), stores.audit_log, key
            )
        finally:
            await stores.close()
        return applied

    return asyncio.run(prepare())


def apply_registry_file(settings: Settings) -> list[RegistryChange]:
    """Bring about what `registry.scenes_file` names, straight in the store; what was changed.
    Actors that run already follow by themselves.

    Raises BadInput for a file that cannot be used, ConfigError for one that cannot be read,
    Unavailable.
    """

    async def apply() -> list[RegistryChange]:
        stores = await open_stores(settings, name="setup")
        try:
            target = StoreTarget(stores.registry)
            steps = await compare(file, target)
            await carry_out(steps, target)
        finally:
            await stores.close()
        return steps

    path = settings.registry.scenes_file
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(
            f"registry.scenes_file {path} cannot be read: {error.strerror}",
            hint="Name a registry file, or none.",
        ) from error
    file = parse(text)
    return asyncio.run(apply())


def _with_absolute_files(hub: HubSettings) -> HubSettings:
    names = ("tls_cert_file", "tls_key_file", "tls_client_ca_file")
    return msgspec.structs.replace(hub, **{name: _absolute(getattr(hub, name)) for name in names})


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute()) if path else ""
