"""The sections of the settings about sinks (`actors.core.settings`)."""

from typing import Annotated

import msgspec

Range = Annotated[str, msgspec.Meta(max_length=64)]


class SinksSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Ways out (docs/sinks.md). `private_receivers`: addresses (``10.2.0.0/16``) at which webhooks
    may reach receivers that are not public, by http too; empty: none."""

    private_receivers: list[Range] = []


class NatsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The NATS server whose JetStream takes events of sinks that name none. `url`:
    ``nats://host:4222``, without secrets; `token_file`: what it lets us in by. `embedded`: where no
    `url` is given and PostgreSQL is embedded, too, a server of our own runs on loopback."""

    url: str = ""
    token_file: str = ""
    embedded: bool = True
