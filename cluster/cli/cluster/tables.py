"""``eyrie cluster status`` and the lists: what runs, why it is there, and what was decided last."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from cluster.cli import console
from cluster.cli.cluster.client import ApiClient, add_options, part, process_name, subject
from cluster.cli.console import counted, generation

STATUS_EXAMPLES = """examples:
  eyrie cluster status
  eyrie cluster status --json
"""
LIST_EXAMPLES = """examples:
  eyrie cluster nodes                     all of them
  eyrie cluster cameras --site north --phase quarantined
  eyrie cluster cameras gate              one, with why it is there and the last decisions
"""

HEX = frozenset("0123456789abcdef")
Row = Callable[[dict[str, Any]], Sequence[str]]


def short(node: str) -> str:
    """A node as people read it."""
    return node[:10]


def target(name: str) -> str:
    """What an operation is about; ids of nodes are cut."""
    return short(name) if len(name) > 40 and set(name) <= HEX else name


COLUMNS: dict[str, tuple[tuple[str, ...], Row]] = {
    "nodes": (
        ("node", "address", "cores", "slots", "state", "actors", "cameras", "services"),
        lambda n: (
            short(n["id"]),
            n["address"],
            f"{n['cores']:g}",
            str(n["slots"] or "-"),
            node_state(n),
            str(n["actors"]),
            str(n["cameras"]),
            " ".join(n["services"]),
        ),
    ),
    "actors": (
        ("actor", "node", "pid", "phase", "cameras", "cpu", "commit_ms", "why here"),
        lambda a: (
            a["name"],
            short(a["node"]),
            str(a["pid"]),
            a["phase"],
            str(len(a["cameras"])),
            f"{a['cpu']:.2f}",
            f"{a['commit_s'] * 1e3:.1f}",
            a["reason"],
        ),
    ),
    "hubs": (
        ("hub", "node", "pid", "state", "restarts", "why here", "last error"),
        lambda s: (
            s["name"],
            short(s["node"]),
            str(s["pid"]),
            s["state"],
            str(s["restarts"]),
            s["reason"],
            s["last_error"],
        ),
    ),
    "cameras": (
        (
            "camera",
            "site",
            "owner",
            "generation",
            "phase",
            "lag_ms",
            "mailbox",
            "restarts",
            "last error",
        ),
        lambda c: (
            c["camera"],
            c["site"],
            c["owner"] or "-",
            generation(c["generation"]),
            phase(c),
            f"{c['lag_s'] * 1e3:.0f}",
            str(c["mailbox"]),
            str(c["restarts"]),
            c["last_error"],
        ),
    ),
}
COLUMNS["policies"] = (("policy", *COLUMNS["hubs"][0][1:]), COLUMNS["hubs"][1])
COLUMNS["workers"] = (("worker", *COLUMNS["hubs"][0][1:]), COLUMNS["hubs"][1])
KEYS = {"hubs": "services", "policies": "services", "workers": "services"}
ONE_OF = {
    "nodes": "node",
    "actors": "actor",
    "hubs": "hub",
    "policies": "policy",
    "workers": "worker",
    "cameras": "camera",
}
ONE = {
    "nodes": "node",
    "actors": "actor",
    "hubs": "service",
    "policies": "service",
    "workers": "service",
    "cameras": "camera",
}


def node_state(node: dict[str, Any]) -> str:
    """In words."""
    words = [
        "away" if not node["alive"] else "up",
        *(["cordoned"] if node["cordoned"] else []),
        *(["leaving"] if node["draining"] else []),
    ]
    return ", ".join(words + (["head"] if node["head"] else []))


def phase(camera: dict[str, Any]) -> str:
    """In words, with what was ordered."""
    return ", ".join(
        [
            camera["phase"],
            *(word for word in ("paused", "alone") if camera[word]),
            *(["pinned"] if camera["pinned"] else []),
        ]
    )


def add_parsers(kinds: Any) -> None:
    """Add ``status``, the lists and ``decisions``."""
    status = kinds.add_parser(
        "status", help="everything at a glance", epilog=STATUS_EXAMPLES, formatter_class=_RAW
    )
    status.set_defaults(act=show_status)
    add_options(status)
    for name in COLUMNS:
        listing = kinds.add_parser(
            name, help=f"list {name}, or show one", epilog=LIST_EXAMPLES, formatter_class=_RAW
        )
        listing.add_argument(
            "name", nargs="?", default="", help="show this one, with what was decided about it last"
        )
        if name == "cameras":
            listing.add_argument("--site", default="", help="only of this site")
            listing.add_argument(
                "--phase",
                default="",
                help="only hosted, moving, placing, held, quarantined or idle",
            )
        listing.set_defaults(act=show, kind_of=name)
        add_options(listing)
    decisions = kinds.add_parser(
        "decisions", help="what was decided, and why", formatter_class=_RAW
    )
    decisions.add_argument(
        "subject",
        nargs="?",
        default="",
        help="such as camera:gate, hub-0, node:ID or cluster; a name alone is a camera",
    )
    decisions.set_defaults(act=show_decisions)
    add_options(decisions)


def show_status(link: ApiClient, arguments: argparse.Namespace) -> int:
    """Nodes, hubs, policy replicas, cameras in trouble, operations."""
    found: dict[str, Any] = {
        "overview": link.read(""),
        "nodes": link.all("/nodes", "nodes"),
        "hubs": link.all("/hubs", "services"),
        "policies": link.all("/policies", "services"),
        "workers": link.all("/workers", "services"),
        "actors": link.all("/actors", "actors"),
        "shape": link.read("/shape"),
        "troubles": [
            *link.all("/cameras", "cameras", phase="held"),
            *link.all("/cameras", "cameras", phase="quarantined"),
        ],
        "operations": [
            *link.all("/operations", "operations", cursor="before", state="running"),
            *link.all("/operations", "operations", cursor="before", state="waiting"),
        ],
    }
    if arguments.json:
        console.emit(found)
        return console.OK
    over, shape = found["overview"], found["shape"]
    density = shape["density"]
    sites = "".join(f", {site} {number}" for site, number in density["sites"].items())
    console.say(
        f"{counted(over['nodes'], 'node')} ({over['nodes_away']} away), {over['hubs_ready']} of "
        f"{counted(over['hubs'], 'hub')} and "
        f"{over['policies_ready']} of {counted(over['policies'], 'policy replica')} ready"
    )
    processes = counted(over["actors"], "actor process", "actor processes")
    console.say(
        f"{over['cameras_hosted']} of {counted(over['cameras'], 'camera')} hosted in {processes}"
    )
    console.say(
        f"density {density['default']}{sites}{', adaptive' if density['adaptive'] else ''} "
        f"(shape version {shape['version']})"
    )
    for name in ("nodes", "hubs", "policies", *(["workers"] if found["workers"] else [])):
        _table(name.capitalize(), name, found[name])
    _table(
        f"Actor processes{' (the first 20)' if len(found['actors']) > 20 else ''}",
        "actors",
        found["actors"][:20],
    )
    if found["troubles"]:
        _table("Cameras in trouble", "cameras", found["troubles"])
    if found["operations"]:
        show_operations("Operations under way", found["operations"])
    bad = (
        over["nodes_away"]
        or over["troubles"]
        or over["refused"]
        or over["hubs_ready"] < over["hubs"]
    )
    if over["refused"]:
        console.note(
            f"{counted(over['refused'], 'camera finds', 'cameras find')} no process: PostgreSQL "
            "has no more connections",
            style="bold red",
        )
    return console.FAILED if bad else console.OK


def show(link: ApiClient, arguments: argparse.Namespace) -> int:
    """A list, or one with its last decisions."""
    name = arguments.kind_of
    if not arguments.name:
        query = {"site": arguments.site, "phase": arguments.phase} if name == "cameras" else {}
        found = link.all(f"/{name}", KEYS.get(name, name), **query)
        if arguments.json:
            console.emit({name: found})
        else:
            _table(counted(len(found), ONE_OF[name], name), name, found)
        return console.OK
    wanted = link.node(arguments.name) if name == "nodes" else process_name(arguments.name)
    one = link.read(f"/{name}/{part(wanted)}")
    if arguments.json:
        console.emit(one)
        return console.OK
    for key, value in one[ONE[name]].items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        console.say(
            f"{'why here' if key == 'reason' else key:<12} "
            f"{generation(value) if key == 'generation' else shown}"
        )
    _decisions(one["decisions"])
    return console.OK


def show_decisions(link: ApiClient, arguments: argparse.Namespace) -> int:
    """The newest ones."""
    found = link.read("/decisions", subject=subject(arguments.subject), limit=100)
    if arguments.json:
        console.emit(found)
    else:
        _decisions(found["decisions"])
    return console.OK


def show_operations(title: str, found: list[dict[str, Any]]) -> None:
    """Operations as a table."""
    rows = [
        (
            one["id"],
            one["kind"],
            one["target"],
            one["state"],
            f"{one['done']}/{one['total']}",
            one["detail"],
            one["who"],
            one["started"][:19],
        )
        for one in found
    ]
    console.table(title, ("id", "kind", "target", "state", "done", "detail", "by", "since"), rows)


def _decisions(found: list[dict[str, Any]]) -> None:
    rows = [
        (one["time"][:19], process_name(one["subject"]), one["what"], one["why"]) for one in found
    ]
    console.table("Last decisions", ("time", "about", "what", "why"), rows)


def _table(title: str, name: str, found: list[dict[str, Any]]) -> None:
    columns, row = COLUMNS[name]
    console.table(title, columns, [row(one) for one in found])


_RAW = argparse.RawDescriptionHelpFormatter
