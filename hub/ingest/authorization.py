"""Who may send a camera's observations: token, registry, policy (deny by default). Nothing else on
the edge side decides access."""

import logging
from collections import OrderedDict
from collections.abc import Mapping

import msgspec

from actors.core.errors import (
    Expired,
    EyrieError,
    Forbidden,
    NotFound,
    TooManyCameras,
    Unauthorized,
    Unavailable,
)
from hub.access.context import HubContext
from hub.access.credentials import ShownCredentials
from hub.access.rate_limits import place
from hub.ingest.registrations import Registrations
from policy.audit import Auditor
from policy.decision import inputs
from policy.decision.bounds import TRANSIENT
from policy.decision.model import Decision
from policy.identity import certificates
from policy.identity.certificates import DeviceCertificate
from policy.identity.device_keys import DeviceKeys
from policy.identity.http_signatures import Headers, SignatureVerifier, Signed
from policy.identity.principal import Principal
from policy.identity.tokens import claimed_subject
from storage.ports.registration_bounds import RegistrationBound

log = logging.getLogger("eyrie.hub.edge")

MAX_PLACES = 10_000  # cameras whose site and tags are remembered
PLACE_S = 30.0  # seconds they are remembered

_Place = tuple[str, tuple[str, ...]]


class EdgeAccess:
    """Verifies edge tokens and asks `ingest` per camera. Knows each camera's place for a short
    while."""

    def __init__(self, context: HubContext) -> None:
        self._context = context
        self._auditor = Auditor(context.stores.audit_log, context.settings.policy.key_file)
        self._places: OrderedDict[str, tuple[float, _Place]] = OrderedDict()
        self._registrations = Registrations()
        self._signatures = SignatureVerifier(
            DeviceKeys(context.settings.auth.device_keys_file), context.now_s
        )

    def principal(self, shown: ShownCredentials) -> Principal:
        """Who shows this: a device, or a service that policy lets ingest by its role.

        Raises Unauthorized (Expired) for a token or certificate that is missing, not genuine, over
        or revoked, or not of one and the same device.
        """
        certificate = self._certificate(shown)
        if shown.signer is not None or shown.token:
            principal = shown.signer or self._context.verifier.verify(
                shown.token, typ=("edge", "service"), now_s=self._context.now_s()
            )
            if certificate is not None:
                if principal.sub != certificate.device:
                    raise Unauthorized(
                        "the client certificate is another device's than the token or signature"
                    )
                self._require(principal)
                ends_s = min(principal.exp, certificate.ends_s)
                principal = msgspec.structs.replace(
                    principal, certificate=certificate.fingerprint, exp=ends_s
                )
        elif certificate is not None:
            principal = certificate.principal()
        else:
            raise Unauthorized(
                "an edge token is missing",
                hint="Send it as 'Authorization: Bearer …', or in the hello's token field.",
            )
        self._require(principal)
        return principal

    def signed(
        self, method: str, path: str, headers: Headers, shown: ShownCredentials
    ) -> tuple[ShownCredentials, Signed]:
        """The same with who signed the request. Raises Unauthorized for a signature that does not
        hold."""
        found = self._signatures.verify(method, path, headers)
        return msgspec.structs.replace(shown, signer=found.principal), found

    async def failed(self, shown: ShownCredentials, claimed: str) -> None:
        """Count a failure. Raises TooMany for one too many."""
        await self._context.limiter.failed(place(shown.address), claimed)

    def _require(self, principal: Principal) -> None:
        if self._context.revoked(principal):
            raise Unauthorized("the token, key or certificate was revoked")

    async def identify(self, shown: ShownCredentials) -> Principal:
        """The same, with failures of its address counted. Raises also TooMany, for one too many of
        them."""
        try:
            return self.principal(shown)
        except Expired:
            await self._context.limiter.expired(place(shown.address))
            raise
        except Unauthorized:
            await self.failed(shown, claimed_subject(shown.token))
            raise

    def _certificate(self, shown: ShownCredentials) -> DeviceCertificate | None:
        mode = self._context.settings.auth.device_certificates
        if mode == "off" or (shown.certificate is None and mode != "require"):
            return None
        if shown.certificate is None:
            raise Unauthorized(
                "a client certificate is needed here",
                hint="Connect with the device's certificate and key.",
            )
        return certificates.read(shown.certificate, self._context.now_s())

    async def admit(self, principal: Principal, camera: str) -> None:
        """Return when this principal may send `camera`; an unknown camera that policy allows is
        registered where settings say so.

        Raises Unauthorized, Forbidden (Withdrawn), NotFound, or Unavailable when no decision can be
        had.
        """
        place = await self._place(camera)
        if place is not None:
            if await self._may(principal, camera, place):
                self._context.grants.note(principal, "ingest", camera)
                return
        elif self._context.settings.registry.auto_register:
            await self._register(principal, camera)
            return
        # One answer, whether there is such a camera elsewhere or not; with auto_register one that
        # is not there would have been registered.
        if self._context.settings.registry.auto_register or not await self._may(
            principal, camera, ("", ())
        ):
            raise await self._denied(principal, camera)
        raise NotFound(
            f"camera {camera} is not registered", hint="Register it, or set registry.auto_register."
        )

    async def still(self, principal: Principal, camera: str) -> EyrieError | None:
        """Why an admitted stream must end now, or None. No decision for the moment ends nothing
        that was allowed."""
        if self._context.now_s() >= principal.exp + self._context.settings.hub.expired_grace_s:
            return Unauthorized("the token expired")
        if self._context.revoked(principal):
            return Unauthorized("the token was revoked")
        try:
            await self.admit(principal, camera)
        except Unavailable:
            return None
        except EyrieError as error:
            return error
        return None

    @property
    def registrations_refused(self) -> Mapping[str, int]:
        """Reason → how many registrations of cameras were refused for their number."""
        return self._registrations.counts

    def forget(self, camera: str) -> None:
        """The registry's word about a camera changed through this hub."""
        self._places.pop(camera, None)

    async def _place(self, camera: str) -> _Place | None:
        now = self._context.now_s()
        known = self._places.get(camera)
        if known is not None and now - known[0] < PLACE_S:
            return known[1]
        record = await self._context.stores.registry.camera(camera)
        if record is None:
            return None
        place = (record.site, tuple(record.tags))
        self._places[camera] = (now, place)
        if len(self._places) > MAX_PLACES:
            self._places.popitem(last=False)
        return place

    async def _register(self, principal: Principal, camera: str) -> None:
        registry = self._context.settings.registry
        known = await self._context.stores.registry.camera(camera, deleted=True)
        if (
            known is not None
        ):  # a deleted one keeps its site and tags: what they do not let it know it is not told
            if not await self._may(principal, camera, (known.site, tuple(known.tags))):
                raise await self._denied(principal, camera)
            raise NotFound(
                f"camera {camera} was deleted", hint="Whoever keeps the registry can add it again."
            )
        # A token for one site only is at home there; otherwise the default site takes what nobody
        # placed.
        site = (
            principal.sites[0]
            if len(principal.sites) == 1 and principal.sites[0] != "*"
            else registry.default_site
        )
        if not await self._may(principal, camera, (site, ())):
            raise await self._denied(principal, camera)
        self._registrations.check(principal.sub, site)
        bound = RegistrationBound(principal.sub, registry.max_per_device, registry.max_per_site)
        audit = self._auditor.record(principal, "camera.register", camera, f"site {site}")
        try:
            added = await self._context.stores.registry.register(
                camera, site, audit=audit, bound=bound
            )
        except TooManyCameras as error:
            await self._refused(principal, camera, site, error)
            raise
        if not added:
            place = await self._place(camera)  # somebody else was faster
            if place is None:
                raise Unavailable(
                    f"camera {camera} is being changed at this moment", hint="Say hello again."
                )
            if not await self._may(principal, camera, place):
                raise await self._denied(principal, camera)

    async def _refused(
        self, principal: Principal, camera: str, site: str, error: TooManyCameras
    ) -> None:
        """Count it, and tell the audit log and ours once in a while. Nothing was changed, so
        nothing hangs on that record."""
        if not self._registrations.refused(principal.sub, site, error):
            return
        log.warning(
            "camera %s is not registered: %s (device %s)", camera, error.detail, principal.sub
        )
        try:
            await self._auditor.announce(principal, "camera.register.refused", camera, error.detail)
        except EyrieError as failed:
            log.error(
                "the audit log could not be told that %s registers too many cameras: %s",
                principal.sub,
                failed,
            )

    async def _may(self, principal: Principal, camera: str, place: _Place) -> bool:
        decision: Decision = await self._context.decider.decide(
            inputs.ingest(principal, camera, site=place[0], tags=place[1])
        )
        if not decision.allow and decision.reason in TRANSIENT:
            raise Unavailable(f"no decision about camera {camera} can be had now")
        if not decision.allow:
            log.info(
                "ingest of camera %s is denied to %s: %s", camera, principal.sub, decision.reason
            )
        return decision.allow

    async def _denied(self, principal: Principal, camera: str) -> EyrieError:
        denied = Forbidden(f"policy does not let this token send camera {camera}")
        return await self._context.grants.denial(principal, "ingest", camera, denied)
