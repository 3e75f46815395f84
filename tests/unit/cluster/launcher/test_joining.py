"""What a joining machine makes of the cluster's settings: whose files, whose addresses, and what it
refuses to start without."""

import msgspec
import pytest

from actors.core.errors import StartError
from actors.core.settings import (
    AuthSettings,
    DataSettings,
    PolicySettings,
    PostgresSettings,
    RaySettings,
    RedisSettings,
    RegistrySettings,
    Settings,
)
from cluster.launcher.joining import check, localized

HEAD = Settings(
    data=DataSettings(dir="/var/lib/eyrie"),
    postgres=PostgresSettings(
        dsn="postgresql://eyrie@db/eyrie", password_file="/etc/eyrie/postgres.password"
    ),
    redis=RedisSettings(url="redis://cache:6379"),
    ray=RaySettings(
        address="10.0.0.1:6380", token_file="/var/lib/eyrie/keys/ray.token", host="10.0.0.1"
    ),
    auth=AuthSettings(
        hs256_secret_file="/var/lib/eyrie/keys/hs256.secret",
        signing_key_file="/home/ops/signing.pem",
    ),
    policy=PolicySettings(key_file="/var/lib/eyrie/keys/policy.secret"),
    registry=RegistrySettings(scenes_file="/home/ops/cameras.toml"),
)


def joined(settings: Settings = HEAD) -> Settings:
    return localized(settings, "/srv/node", address="10.0.0.1:6380")


def test_files_of_the_head_s_data_directory_are_looked_for_in_the_own_one() -> None:
    here = joined()
    assert here.data.dir == "/srv/node"
    assert here.ray.token_file == "/srv/node/keys/ray.token"
    assert here.auth.hs256_secret_file == "/srv/node/keys/hs256.secret"
    assert here.policy.key_file == "/srv/node/keys/policy.secret"
    assert here.postgres.password_file == "/etc/eyrie/postgres.password"


def test_what_only_the_head_and_people_use_is_not_asked_for() -> None:
    here = joined()
    assert here.registry.scenes_file == here.auth.signing_key_file == here.ray.host == ""


def test_a_folder_that_only_begins_alike_is_another_one() -> None:
    beside = msgspec.structs.replace(
        HEAD, policy=PolicySettings(rego_dir="/var/lib/eyrie-policies")
    )
    assert joined(beside).policy.rego_dir == "/var/lib/eyrie-policies"


def test_hubs_of_the_node_listen_where_it_says() -> None:
    assert joined().hub == HEAD.hub
    here = localized(HEAD, "/srv/node", address="10.0.0.1:6380", host="10.0.0.2", port=9000)
    assert (here.hub.host, here.hub.port, here.ray.address) == ("10.0.0.2", 9000, "10.0.0.1:6380")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(StartError, match=r"postgres.password_file = /etc/eyrie/postgres.password$"):
        check(joined(), lambda path: path != "/etc/eyrie/postgres.password")
    check(joined(), lambda path: True)


@pytest.mark.parametrize(
    ("dsn", "url", "path"),
    [
        (
            "postgresql://eyrie@/eyrie?host=/var/lib/eyrie/run/pg",
            "redis://cache:6379",
            "/var/lib/eyrie/run/pg",
        ),
        ("host=/run/pg dbname=eyrie", "redis://cache:6379", "/run/pg"),
        ("dbname=eyrie host=/run/pg", "redis://cache:6379", "/run/pg"),
        ("postgresql://eyrie@db/eyrie", "unix:///run/redis.sock", "/run/redis.sock"),
    ],
)
def test_servers_of_another_machine_s_sockets_cannot_be_joined(
    dsn: str, url: str, path: str
) -> None:
    embedded = msgspec.structs.replace(
        HEAD, postgres=PostgresSettings(dsn=dsn), redis=RedisSettings(url=url)
    )
    with pytest.raises(StartError, match=path) as refused:
        check(joined(embedded), lambda found: found != path)
    assert "EYRIE_POSTGRES_DSN" in refused.value.next_step
    check(joined(embedded), lambda found: True)
