"""``eyrie privacy``: which names of attributes are seen, and hidden because no list knows them;
requests of data subjects are in `cluster.cli.commands.people.privacy_requests`."""

import argparse
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import msgspec

from actors.core.attribute_names import NameSurvey
from actors.core.errors import BadInput, ConfigError, Forbidden
from actors.core.identifiers import require_id
from actors.core.messages.event_data import TYPES
from cluster.cli import console
from cluster.cli.commands.people import privacy_requests
from cluster.cli.database import personal_retention
from cluster.cli.hub_options import add_hub_options, http_url, settings, tls_context, token_source
from cluster.cli.options import whole
from cluster.rest_client import HubRest

MAX_EVENTS = 20_000
MAX_CAMERAS = 500
PAGE = 500  # events in one request

EXAMPLES = """examples:
  eyrie privacy attributes                         of the newest 2,000 events and of 50 cameras as they are now
  eyrie privacy attributes --site north --events 10000
  eyrie privacy attributes --json

Whoever asks must be allowed to see every class (pii:read). Names are shown, and what kind of value they had; never a value.

exit codes: 0 done, 1 refused or not reached, 2 wrong usage
"""  # noqa: E501


def add_parser(commands: Any) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "privacy",
        help="personal values, requests and holds",
        description="Personal values: what is hidden, requests of data subjects, holds.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="command")
    names = kinds.add_parser(
        "attributes",
        help="names of attributes that are seen and on no list",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names.add_argument("--site", default="", metavar="SITE", help="only of this site")
    names.add_argument(
        "--events",
        type=whole,
        default=2_000,
        metavar="N",
        help=f"look at the newest N events (default 2000, up to {MAX_EVENTS})",
    )
    names.add_argument(
        "--cameras",
        type=whole,
        default=50,
        metavar="N",
        help=f"and at the states of N cameras (default 50, up to {MAX_CAMERAS})",
    )
    add_hub_options(names)
    names.add_argument("--json", action="store_true", help="print JSON")
    personal_retention.add_parser(kinds)
    privacy_requests.add_parsers(kinds)


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    if arguments.kind == "attributes":
        return _attributes(arguments)
    if arguments.kind == "retention":
        return personal_retention.run(arguments)
    return privacy_requests.run(arguments)


def _attributes(arguments: argparse.Namespace) -> int:
    if not 0 <= arguments.events <= MAX_EVENTS or not 0 <= arguments.cameras <= MAX_CAMERAS:
        raise BadInput(
            f"--events is 0 to {MAX_EVENTS}, --cameras 0 to {MAX_CAMERAS}",
            hint="What is looked at is bounded.",
        )
    site = require_id(arguments.site, "site") if arguments.site else ""
    tokens = token_source(
        arguments,
        subject="privacy",
        typ="user",
        roles=["admin"],
        scopes=["pii:read", "restricted:read"],
    )
    hub = HubRest(http_url(arguments), tokens(), tls_context(arguments))
    shown = _shown(arguments)
    survey = NameSurvey(shown)
    events, states = 0, 0
    for event in _events(hub, site, arguments.events):
        events += 1
        if event.get("type") not in TYPES:
            _look(survey, event.get("data"), f"event {event.get('type')}")
    for state in _states(hub, site, arguments.cameras):
        states += 1
        for track in state.get("tracks", ()):
            _look(survey, track.get("attributes"), "track")
    _print(arguments, survey, shown, events, states)
    return console.OK


def _shown(arguments: argparse.Namespace) -> list[str]:
    try:
        return settings(arguments).policy.shown_attributes
    except ConfigError:
        console.note(
            "the settings of that hub are not here: names on its list (policy.shown_attributes) "
            "are listed too"
        )
        return []


def _look(survey: NameSurvey, fields: Any, where: str) -> None:
    if b'"redacted"' in msgspec.json.encode(fields):
        raise Forbidden(
            "this token may not see every class, so names are hidden from it",
            hint="Use one with the scope pii:read.",
        )
    if isinstance(fields, dict):
        survey.count(fields, where)


def _events(hub: HubRest, site: str, most: int) -> Iterator[dict[str, Any]]:
    path = f"/v1/sites/{site}/events" if site else "/v1/fleet/events"
    after, left = "", most
    while left > 0:
        page = _page(
            hub,
            f"{path}?order=newest&limit={min(left, PAGE)}"
            + (f"&after={quote(after)}" if after else ""),
        )
        yield from page["events"]
        left -= len(page["events"])
        after = page.get("next", "")
        if not after:
            return


def _states(hub: HubRest, site: str, most: int) -> Iterator[dict[str, Any]]:
    if not most:
        return
    found = _page(hub, f"/v1/cameras?limit={min(most, PAGE)}" + (f"&site={site}" if site else ""))
    for camera in found["cameras"]:
        answer = hub.get(f"/v1/cameras/{camera['camera']}/state")
        if answer is not None:
            yield msgspec.json.decode(answer.body, type=dict[str, Any])


def _page(hub: HubRest, path: str) -> dict[str, Any]:
    return msgspec.json.decode(hub.send("GET", path).body, type=dict[str, Any])


def _print(
    arguments: argparse.Namespace, survey: NameSurvey, shown: list[str], events: int, cameras: int
) -> None:
    found = sorted(survey.found.items(), key=lambda item: (-item[1].count, item[0]))
    if arguments.json:
        names = [
            {"name": name, "count": seen.count, "kind": seen.kind, "where": seen.where}
            for name, seen in found
        ]
        console.emit(
            {
                "attributes": names,
                "more": survey.more,
                "events": events,
                "cameras": cameras,
                "shown_attributes": shown,
            }
        )
        return
    rows = [(name, str(seen.count), seen.kind, seen.where) for name, seen in found]
    looked = f"{console.counted(events, 'event')} and {console.counted(cameras, 'camera')}"
    title = f"{console.counted(len(rows), 'name')} on no list, in {looked}"
    console.table(title, ("name", "seen", "for example", "in"), rows)
    if survey.more:
        console.note(
            "there are more names than are listed; names that are values themselves do that"
        )
    if found:
        console.say(
            "Those that harm nobody may be shown to everybody; in the settings of the hubs, "
            "which read them when they start:"
        )
        console.say("[policy]")
        console.say(
            "shown_attributes = "
            f"{msgspec.json.encode([*shown, *(name for name, _ in found)]).decode()}"
        )
