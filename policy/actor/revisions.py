"""Policy revisions as things: packed, named by their hash, signed, and checked before anybody uses
them. Pure but for `keep_default`.

A signature says that this deployment accepted the revision (lint and trial passed); an activation
is signed with its number, so that neither a changed source nor an older activation put back into
the table is believed.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping

import msgspec

from actors.core.errors import BadInput, ConfigError, Unavailable
from policy.engine.modules import MAX_FILE_BYTES, MAX_FILES, revision
from storage.ports.policy import PolicyActivation, RevisionRecord, RevisionStore

MAX_SOURCE_BYTES = 262_144  # of all modules together
TRIES = 5

_NAME = re.compile(r"\A[a-z0-9][a-z0-9_]{0,60}\.rego\Z")
_modules = msgspec.json.Decoder(dict[str, str])


def check(modules: Mapping[str, str]) -> None:
    """Raises BadInput for names and sizes that no revision has."""
    if not 1 <= len(modules) <= MAX_FILES:
        raise BadInput(f"a policy has 1 to {MAX_FILES} modules, not {len(modules)}")
    for name, text in modules.items():
        if not _NAME.match(name) or name.endswith("_test.rego") or name == "revision.rego":
            raise BadInput(
                f"{name[:80]!r} is no name of a module",
                hint="Use small letters, digits and _, and end with .rego; no tests.",
            )
        if len(text.encode("utf-8", "surrogatepass")) > MAX_FILE_BYTES:
            raise BadInput(f"{name} is longer than {MAX_FILE_BYTES} bytes")
    if len(pack(modules)) > MAX_SOURCE_BYTES:
        raise BadInput(f"a policy has at most {MAX_SOURCE_BYTES} bytes")


def pack(modules: Mapping[str, str]) -> bytes:
    """The modules as stored: sorted JSON. Raises BadInput for text that is no Unicode."""
    try:
        return msgspec.json.encode(dict(modules), order="sorted")
    except UnicodeEncodeError as error:
        raise BadInput("a module is not UTF-8") from error


def unpack(record: RevisionRecord, key: bytes) -> dict[str, str]:
    """The modules of a stored revision. Raises ConfigError unless hash and signature fit."""
    if not hmac.compare_digest(record.signature, _mac(key, "revision", record.revision)):
        raise ConfigError(
            f"revision {record.revision[:12]} is not signed with this deployment's key"
        )
    try:
        modules = _modules.decode(record.source)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ConfigError(f"revision {record.revision[:12]} cannot be read") from error
    if revision(modules) != record.revision:
        raise ConfigError(f"revision {record.revision[:12]} was changed after it was stored")
    return modules


def signed(
    modules: Mapping[str, str], key: bytes, *, author: str, note: str = ""
) -> RevisionRecord:
    """A new revision. The signature covers the hash, which covers every name and text."""
    name = revision(modules)
    return RevisionRecord(name, pack(modules), _mac(key, "revision", name), author, note)


def activation(
    current: PolicyActivation | None, name: str, key: bytes, *, author: str
) -> PolicyActivation:
    """The activation of revision `name` that comes after `current`."""
    generation = 1 if current is None else current.generation + 1
    return PolicyActivation(
        generation,
        name,
        None if current is None else current.revision,
        _mac(key, "activation", f"{generation} {name}"),
        author,
    )


def require_genuine(found: PolicyActivation, key: bytes) -> None:
    """Raises ConfigError for an activation that this deployment did not make."""
    if not hmac.compare_digest(
        found.signature, _mac(key, "activation", f"{found.generation} {found.revision}")
    ):
        raise ConfigError(
            f"activation {found.generation} of revision {found.revision[:12]} is not signed with "
            "this deployment's key"
        )


async def keep_default(store: RevisionStore, key: bytes, modules: Mapping[str, str]) -> None:
    """Keep the modules of the settings as a revision, and have them in force unless somebody
    activated one (setup, at every start)."""
    record = signed(modules, key, author="", note="from the settings")
    for _ in range(TRIES):
        await store.add(record)
        current = await store.current()
        if current is not None and (current.author or current.revision == record.revision):
            return
        if await store.activate(activation(current, record.revision, key, author="")):
            return
    raise Unavailable(
        "the policy of the settings could not be activated: others activate all the time"
    )


def _mac(key: bytes, what: str, text: str) -> bytes:
    return hmac.digest(
        key, b"eyrie.policy." + what.encode() + b"\0" + text.encode(), hashlib.sha256
    )
