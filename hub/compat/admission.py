"""Admission of a dashboard by a token of the compatibility profile, and its renewal."""

import time

from actors.core.errors import Expired, NotFound
from hub.compat.plain_channels import PlainChannels
from hub.dashboards.actions import Action, Authorize, Fail, Renew, Shut
from hub.dashboards.connection import Dashboard
from hub.dashboards.connection_limits import Admission
from hub.protocol import disconnects, errors


async def admit(
    plain: PlainChannels, admission: Admission, dashboard: Dashboard, action: Authorize
) -> list[Action] | None:
    """What to answer; None when the token is none of the profile's. Raises Unavailable."""
    try:
        found = plain.principal(action.request.token)
    except Expired:
        return [Fail(action.id, errors.TOKEN_EXPIRED)]
    if found is None:
        return None
    principal, claims, ttl_s = found
    if not admission.named(principal.sub):
        return [Shut(disconnects.CONNECTION_LIMIT)]
    dashboard.principal = principal
    if len(claims.given) > dashboard.session.limits.max_subscriptions:
        return [Fail(action.id, errors.LIMIT_EXCEEDED)]
    try:
        subs = await plain.entered(dashboard, claims, action.request.subs)
    except NotFound:
        return [Fail(action.id, errors.UNKNOWN_CHANNEL)]
    if dashboard.closing:
        return []
    if any(sub.was_recovering and not sub.recovered for sub in subs.values()):
        return [Shut(disconnects.INSUFFICIENT_STATE)]
    return dashboard.session.connected(action.id, ttl_s, time.monotonic(), subs)


def renew(plain: PlainChannels, dashboard: Dashboard, action: Renew) -> list[Action] | None:
    """What to answer to a newer token of the same user; None when the connection is none of the
    profile's."""
    if dashboard.principal is None or not plain.knows(dashboard):
        return None
    try:
        found = plain.principal(action.token)
    except Expired:
        return [Fail(action.id, errors.TOKEN_EXPIRED)]
    if found is None or found[0].sub != dashboard.principal.sub:
        return [Shut(disconnects.INVALID_TOKEN)]
    dashboard.principal = found[0]
    return dashboard.session.renewed(action.id, found[2], time.monotonic())
