"""The commands that change the cluster, and ``plan`` in front of each of them."""

import argparse
from collections.abc import Callable
from typing import Any

import msgspec

from actors.core.errors import BadInput
from cluster.cli import console
from cluster.cli.cluster.client import ApiClient, add_options, part, process_name
from cluster.cli.cluster.progress import follow
from cluster.cli.cluster.tables import target

EXAMPLES = """examples:
  eyrie cluster scale hubs 3
  eyrie cluster scale hubs --min 2 --max 6 --auto
  eyrie cluster density 16 --site north
  eyrie cluster density --adaptive
  eyrie cluster move gate --to 10.0.0.2
  eyrie cluster move gate --alone                 a process of its own
  eyrie cluster drain 10.0.0.2 --reason "new disk"
  eyrie cluster pause --site north
  eyrie cluster plan drain 10.0.0.2               what it would do, and interrupt

What takes time is followed by a progress bar; --no-wait leaves it to itself.
"""


class Change(msgspec.Struct, frozen=True):
    """One command as what the API takes: a plan's (kind, target, params), and what carries it
    out."""

    kind: str
    target: str
    params: dict[str, Any]
    carry_out: Callable[[], dict[str, Any]]
    slow: bool = False  # it answers with an operation


def add_parsers(kinds: Any) -> None:
    """Add them all, and ``plan`` with the same ones below."""
    _add(kinds, carry_out)
    plan = kinds.add_parser(
        "plan", help="what any of these would do", epilog=EXAMPLES, formatter_class=_RAW
    )
    _add(plan.add_subparsers(dest="planned", required=True, metavar="command"), show_plan)


def _add(kinds: Any, act: Callable[[ApiClient, argparse.Namespace], int]) -> None:
    def parser(
        name: str, help: str, make: Callable[[ApiClient, argparse.Namespace], Change]
    ) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = kinds.add_parser(
            name, help=help, epilog=EXAMPLES, formatter_class=_RAW
        )
        made.set_defaults(act=act, make=make)
        add_options(made)
        made.add_argument("--no-wait", action="store_true", help="do not follow what takes time")
        return made

    scale = parser("scale", "how many hubs, policy replicas or workers run", _scale)
    scale.add_argument("what", choices=("hubs", "policies", "workers"), help="which of them")
    scale.add_argument(
        "count", nargs="?", type=_how_many, help="how many; with --auto where to begin"
    )
    scale.add_argument("--min", type=_count, help="never fewer, with --auto")
    scale.add_argument("--max", type=_count, help="never more, with --auto")
    scale.add_argument(
        "--auto",
        action=argparse.BooleanOptionalAction,
        help="let load decide between --min and --max",
    )
    density = parser("density", "how many cameras share a process", _density)
    density.add_argument(
        "count", nargs="?", type=_count, help="cameras per process; 1 is one process each"
    )
    density.add_argument(
        "--site", default="", help="of this site alone; without a number: as everywhere"
    )
    density.add_argument(
        "--adaptive",
        action=argparse.BooleanOptionalAction,
        help="split out who costs much, pack who is quiet",
    )
    move = parser("move", "move a camera to another process", _move)
    move.add_argument("camera")
    where = move.add_mutually_exclusive_group()
    where.add_argument("--to", default="", metavar="NODE", help="to this node")
    where.add_argument("--alone", action="store_true", help="to a process of its own, for good")
    where.add_argument("--anywhere", action="store_true", help="end --alone")
    for name, help in (
        ("drain", "empty a node: cordon, move in waves, wait"),
        ("cordon", "give a node nothing new"),
        ("uncordon", "use a node again"),
    ):
        node = parser(name, help, _node)
        node.set_defaults(verb=name)
        node.add_argument("node", help="its address, its id, or the beginning of that")
        node.add_argument("--reason", default="")
    rebalance = parser("rebalance", "move cameras until nothing improves", _rebalance)
    rebalance.add_argument("--moves", type=_count, help="at most so many (100)")
    restart = parser("restart", "replace a process: an actor, hub-0, policy-0, worker-0", _restart)
    restart.add_argument("process")
    for name, help in (
        ("quarantine", "keep a camera from running"),
        ("release", "let it run again, its failures forgotten"),
    ):
        camera = parser(name, help, _quarantine)
        camera.set_defaults(verb=name)
        camera.add_argument("camera")
        camera.add_argument("--reason", default="")
    for name, help in (
        ("pause", "take nothing in; edges keep what they see"),
        ("resume", "take in again"),
    ):
        ingest = parser(name, help, _pause)
        ingest.set_defaults(verb=name)
        ingest.add_argument("camera", nargs="?", default="")
        ingest.add_argument("--site", default="", help="all cameras of this site")
        ingest.add_argument("--reason", default="")


def carry_out(link: ApiClient, arguments: argparse.Namespace) -> int:
    """Do it, and follow it where it takes time."""
    change: Change = arguments.make(link, arguments)
    done = change.carry_out()
    if change.slow and not arguments.no_wait:
        return follow(link, done["id"], json=arguments.json)
    if arguments.json:
        console.emit(done)
    elif change.slow:
        console.say(f"operation {done['id']}: {done['kind']} {target(done['target'])}")
        console.note(f"follow it with `eyrie cluster operations --watch {done['id']}`")
    else:
        console.say(
            ", ".join(f"{key} {value}" for key, value in done.items() if value not in ("", None))
        )
    return console.OK


def show_plan(link: ApiClient, arguments: argparse.Namespace) -> int:
    """Only say what it would do. 1 when it cannot be done."""
    change: Change = arguments.make(link, arguments)
    plan = link.post(
        "/plans", {"kind": change.kind, "target": change.target, "params": change.params}
    )
    if arguments.json:
        console.emit(plan)
        return console.FAILED if plan["problem"] else console.OK
    rows = [
        (
            step["what"],
            target(step["subject"]),
            f"{step['seconds']:.1f}",
            str(len(step["interrupts"])),
            f"{step['interruption_s']:.2f}",
        )
        for step in plan["steps"]
    ]
    more = f" (the first {len(rows)} of {plan['total']})" if plan["total"] > len(rows) else ""
    console.table(
        f"{plan['kind']} {target(plan['target'])}{more}",
        ("step", "what", "takes s", "cameras", "each without ack s"),
        rows,
    )
    interrupted = console.counted(plan["cameras"], "camera is", "cameras are")
    console.say(
        f"about {plan['duration_s']:.1f} s; {interrupted} interrupted, each for about "
        f"{plan['interruption_s']:.2f} s; "
        "nothing is lost, edges send again"
    )
    for note in plan["notes"]:
        console.note(note)
    if plan["problem"]:
        console.note(f"it cannot be done: {plan['problem']}", style="bold red")
        return console.FAILED
    return console.OK


def _operation(link: ApiClient, kind: str, target: str, **params: Any) -> Change:
    given = {name: value for name, value in params.items() if value not in (None, "")}
    body = {"kind": kind, "target": target, "params": given}
    return Change(kind, target, given, lambda: link.post("/operations", body), slow=True)


def _shape(
    link: ApiClient,
    target: str,
    kind: str,
    params: dict[str, Any],
    make: Callable[[dict[str, Any]], object],
    plan: str,
) -> Change:
    def change() -> dict[str, Any]:
        link.change("/shape", make)
        return link.post("/operations", {"kind": "settle", "target": target})

    return Change(kind, plan, params, change, slow=True)


def _scale(link: ApiClient, arguments: argparse.Namespace) -> Change:
    asked = {
        name: value
        for name in ("count", "min", "max", "auto")
        if (value := getattr(arguments, name)) is not None
    }
    if not asked:
        raise BadInput(
            "scale to what?", hint="eyrie cluster scale hubs 3, or --min 2 --max 6 --auto"
        )
    now = link.read("/shape")[arguments.what]
    wanted = now | asked
    wanted["max"] = max(wanted["max"], wanted["min"], 0 if "max" in asked else wanted["count"])
    if wanted["auto"]:
        wanted["count"] = min(max(wanted["count"], wanted["min"]), wanted["max"])
    return _shape(
        link,
        arguments.what,
        "scale",
        {"count": wanted["count"]},
        lambda shape: {arguments.what: wanted},
        arguments.what,
    )


def _density(link: ApiClient, arguments: argparse.Namespace) -> Change:
    if arguments.count is None and arguments.adaptive is None and not arguments.site:
        raise BadInput(
            "which density?", hint="eyrie cluster density 16, --site north, or --adaptive"
        )

    def make(shape: dict[str, Any]) -> object:
        density = dict(shape["density"])
        sites = dict(density["sites"])
        if arguments.adaptive is not None:
            density["adaptive"] = arguments.adaptive
        if arguments.site and arguments.count is None:
            sites.pop(arguments.site, None)
        elif arguments.site:
            sites[arguments.site] = arguments.count
        elif arguments.count is not None:
            density["default"] = arguments.count
        return {"density": density | {"sites": sites}}

    now = link.read("/shape")["density"]
    count = arguments.count or now["default"]
    return _shape(link, "density", "density", {"density": count}, make, arguments.site or "cluster")


def _move(link: ApiClient, arguments: argparse.Namespace) -> Change:
    if not arguments.alone and not arguments.anywhere:
        return _operation(
            link, "move", arguments.camera, node=link.node(arguments.to) if arguments.to else ""
        )
    path = f"/cameras/{part(arguments.camera)}/placement"

    def place() -> dict[str, Any]:
        now = link.read(path)
        return link.put(
            path, {"alone": arguments.alone, "node": now["node"], "reason": "eyrie cluster move"}
        )

    return Change("move", arguments.camera, {}, place)


def _node(link: ApiClient, arguments: argparse.Namespace) -> Change:
    node = link.node(arguments.node)
    if arguments.verb == "drain":
        if arguments.reason and arguments.act is carry_out:
            link.put(
                f"/nodes/{node}/cordon", {"reason": arguments.reason}
            )  # the drain cordons anyway; this says why
        return _operation(link, "drain", node)
    path = f"/nodes/{node}/cordon"
    if arguments.verb == "cordon":
        return Change("cordon", node, {}, lambda: link.put(path, {"reason": arguments.reason}))
    return Change("uncordon", node, {}, lambda: link.delete(path))


def _rebalance(link: ApiClient, arguments: argparse.Namespace) -> Change:
    return _operation(link, "rebalance", "cluster", moves=arguments.moves)


def _restart(link: ApiClient, arguments: argparse.Namespace) -> Change:
    return _operation(link, "restart", process_name(arguments.process))


def _quarantine(link: ApiClient, arguments: argparse.Namespace) -> Change:
    path = f"/cameras/{part(arguments.camera)}/quarantine"
    if arguments.verb == "quarantine":
        return Change(
            "quarantine", arguments.camera, {}, lambda: link.put(path, {"reason": arguments.reason})
        )
    return Change("release", arguments.camera, {}, lambda: link.delete(path))


def _pause(link: ApiClient, arguments: argparse.Namespace) -> Change:
    if bool(arguments.camera) == bool(arguments.site):
        raise BadInput(
            f"{arguments.verb} what?", hint=f"eyrie cluster {arguments.verb} CAMERA, or --site SITE"
        )
    kind, name = ("camera", arguments.camera) if arguments.camera else ("site", arguments.site)
    path = f"/{kind}s/{part(name)}/pause"
    if arguments.verb == "pause":
        return Change(
            "pause", f"{kind}:{name}", {}, lambda: link.put(path, {"reason": arguments.reason})
        )
    return Change("resume", f"{kind}:{name}", {}, lambda: link.delete(path))


def _how_many(text: str) -> int:
    """Workers may be none; that hubs may not, the API says."""
    return 0 if text == "0" else _count(text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 10_000):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 10000")
    return int(text)


_RAW = argparse.RawDescriptionHelpFormatter
