"""Which tokens no longer hold. Pure; `policy.decision.poller` keeps it current. A token goes by its
`jti` or its subject, never by its text."""

from collections.abc import Iterable

from actors.core.errors import Unauthorized
from policy.identity.principal import Principal
from storage.ports.policy import Revocation


class Revocations:
    """An immutable set of revocations, asked on every connect and, when it grew, for every open
    socket."""

    def __init__(self, entries: Iterable[Revocation] = ()) -> None:
        """Entries of an unknown kind are treated as a subject's: better too strict than silent."""
        self._tokens: set[str] = set()
        self._certificates: set[str] = set()
        self._subjects: dict[str, int] = {}
        for entry in entries:
            if entry.kind == "jti":
                self._tokens.add(entry.value)
            elif entry.kind == "certificate":
                self._certificates.add(entry.value)
            else:
                self._subjects[entry.value] = max(
                    entry.before_s, self._subjects.get(entry.value, 0)
                )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Revocations) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash(
            (
                frozenset(self._tokens),
                frozenset(self._certificates),
                frozenset(self._subjects.items()),
            )
        )

    def __len__(self) -> int:
        return len(self._tokens) + len(self._certificates) + len(self._subjects)

    def _parts(self) -> tuple[set[str], set[str], dict[str, int]]:
        return self._tokens, self._certificates, self._subjects

    def holds(self, principal: Principal) -> bool:
        """True while neither this principal's token is revoked (its `jti`, or its subject at or
        after it was issued) nor its certificate.

        A certificate shown without a token has its fingerprint for `jti`: revoked by that, it does
        not come back beside a token. A token issued in the very second of a subject's revocation is
        revoked too: whole seconds cannot tell which came first.
        """
        if principal.certificate in self._certificates or principal.certificate in self._tokens:
            return False
        return principal.jti not in self._tokens and principal.iat > self._subjects.get(
            principal.sub, -1
        )

    def require(self, principal: Principal) -> None:
        """Raise Unauthorized for a revoked token."""
        if not self.holds(principal):
            raise Unauthorized("the token was revoked")
