"""Builds questions. The whole question is the cache key, so it carries what the decision needs and
no more: an action that needs no name carries neither subject name nor token id, and a thousand
viewers of one site share one cache entry.
"""

from collections.abc import Sequence
from typing import Literal
from urllib.parse import quote

from policy.decision.model import DecisionInput
from policy.identity.principal import Principal

SystemKind = Literal["cluster", "policy", "audit", "privacy", "sink"]
Scope = Literal["camera", "site", "fleet", "user"]
Use = Literal["subscribe", "history"]  # the two ways to see what a channel shows


def subject(principal: Principal) -> dict[str, object]:
    """What a policy may know of a principal without its name. Sorted, so that equal permissions are
    equal bytes."""
    return {
        "typ": principal.typ,
        "roles": sorted(map(word, principal.roles)),
        "sites": sorted(principal.sites),
        "cameras": None if principal.cameras is None else sorted(principal.cameras),
        "scopes": sorted(map(word, principal.scopes)),
    }


def word(text: str) -> str:
    """A role or scope as a policy sees it: what is no plain identifier is percent-encoded (RFC
    3986, UTF-8), so `Wache Süd` is ``Wache%20S%C3%BCd``. Two different ones stay different, and an
    engine gets ASCII alone.
    """
    return quote(text, safe=":@/*")


def connect(principal: Principal, *, to: Literal["dashboard", "edge"]) -> DecisionInput:
    """May this principal open a socket of this kind?"""
    return DecisionInput("connect", subject(principal), {"kind": to})


def on_channel(
    action: Literal["subscribe", "history", "presence", "publish"],
    principal: Principal,
    scope: Scope,
    target: str = "",
    *,
    site: str = "",
    tags: Sequence[str] = (),
    purpose: str = "",
) -> DecisionInput:
    """May it do this on a channel that shows the camera, site or user `target`, or the fleet?

    `site` and `tags` are the registry's word about a camera.
    """
    asked: dict[str, object] = {"kind": scope}
    if scope == "camera":
        asked |= {"site": site, "camera": target, "tags": sorted(tags)}
    elif scope == "site":
        asked["site"] = target
    elif scope == "user":
        asked["own"] = target == principal.sub
    return DecisionInput(action, subject(principal), asked, {"purpose": purpose} if purpose else {})


def subscribe(
    principal: Principal,
    scope: Scope,
    target: str = "",
    *,
    site: str = "",
    tags: Sequence[str] = (),
    purpose: str = "",
) -> DecisionInput:
    """:func:`on_channel` for a subscription."""
    return on_channel("subscribe", principal, scope, target, site=site, tags=tags, purpose=purpose)


def on_camera(
    action: str, principal: Principal, camera: str, *, site: str, tags: Sequence[str] = ()
) -> DecisionInput:
    """May it do this to one camera? Actions: ingest, register, registry.write, alert.operate,
    deadletter.replay, …"""
    return DecisionInput(
        action,
        subject(principal),
        {"kind": "camera", "site": site, "camera": camera, "tags": sorted(tags)},
    )


def on_site(action: str, principal: Principal, site: str) -> DecisionInput:
    """May it do this to a whole site? Actions: registry.read, registry.write."""
    return DecisionInput(action, subject(principal), {"kind": "site", "site": site})


def on_fleet(action: str, principal: Principal) -> DecisionInput:
    """May it do this where no site is named? Actions: deadletter.read and the like for items that
    name no camera."""
    return DecisionInput(action, subject(principal), {"kind": "fleet"})


def ingest(
    principal: Principal, camera: str, *, site: str, tags: Sequence[str] = ()
) -> DecisionInput:
    """May it send this camera's observations? For a camera not registered yet, `site` is the one it
    would be registered in."""
    return on_camera("ingest", principal, camera, site=site, tags=tags)


def register(principal: Principal, camera: str, *, site: str) -> DecisionInput:
    """May it add this camera to that site?"""
    return on_camera("register", principal, camera, site=site)


def on_system(action: str, principal: Principal, kind: SystemKind) -> DecisionInput:
    """May it do this to the deployment itself? Actions: cluster.read, cluster.operate, job.read,
    job.operate, sink.read, policy.read, policy.change, audit.read, …"""
    return DecisionInput(action, subject(principal), {"kind": kind})
