"""Variants of Eyrie, each broken on purpose in one way, for runs on the real stack: the checker
must name the invariant.

A variant patches a module right after it is imported. Nothing of the product knows of this:
`environment` puts `tests/support/load/broken/sitecustomize.py` on the path of a stack's processes,
and that installs the variant.
"""

import asyncio
import importlib.abc
import importlib.machinery
import importlib.util
import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

Patch = Callable[[Any], None]
FOLDER = Path(__file__).parent / "broken"


def environment(variant: str) -> dict[str, str]:
    """What a run needs in its environment to drive the broken product."""
    assert variant in VARIANTS | HOOKS | OF_FAULTS | OF_GROWTH
    path = os.pathsep.join([str(FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "BROKEN_VARIANT": variant, "PYTHONPATH": path}


def install(variant: str) -> None:
    """From now on the modules of the variant are broken as they are imported."""
    import sys

    sys.meta_path.insert(0, _Finder(dict((VARIANTS | HOOKS | OF_FAULTS | OF_GROWTH)[variant])))


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, patches: dict[str, Patch]) -> None:
        self._patches = patches

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        patch = self._patches.pop(fullname, None)
        if patch is None:
            return None
        spec = importlib.util.find_spec(fullname)
        assert spec is not None
        assert spec.loader is not None
        spec.loader = _Loader(spec.loader, patch)
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, kept: importlib.abc.Loader, patch: Patch) -> None:
        self._kept, self._patch = kept, patch

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._kept.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._kept.exec_module(module)
        self._patch(module)


def put(owner: Any, name: str, value: object) -> None:
    """Replace what the product has under that name, and nothing that it has not: a variant of what
    has moved away would be the sound product."""
    assert hasattr(owner, name), f"{owner} has no {name}"
    setattr(owner, name, value)


def acks_before_the_commit(camera: Any) -> None:
    """I1: the ack tells what is stepped, not what is stored."""
    kept = camera.apply_data

    def apply_data(core: Any, data: Any, answers: Any, now_us: int) -> None:
        kept(core, data, answers, now_us)
        core.order.acked = core.order.seq
        core.order.ack_due = True

    put(camera, "apply_data", apply_data)


def applies_duplicates(camera_inputs: Any) -> None:
    """I2: a resend is applied once more."""
    put(camera_inputs, "fresh_from", lambda order, data: 0)


def breaks_the_chain(journal: Any) -> None:
    """I3: the events of a row are chained to its beginning, not to each other."""
    kept = journal.Journal.seal

    def seal(self: Any, sealing: Any = None) -> Any:
        sealed = kept(self, sealing)
        self.chain = sealed[0].hash if sealed else self.chain
        return sealed

    put(journal.Journal, "seal", seal)


def keeps_the_generation(postgres_cameras: Any) -> None:
    """I4: a new owner goes on under the generation of the old one."""
    kept = postgres_cameras.PostgresCameraStore.__init__

    def init(self: Any, *arguments: Any, **named: Any) -> None:
        kept(self, *arguments, **named)
        grows = "generation = greatest(p.generation, l.above) + 1"
        assert grows in self._sql["activate"]
        self._sql = {
            **self._sql,
            "activate": self._sql["activate"].replace(
                grows, "generation = greatest(p.generation, l.above, 1)"
            ),
        }

    put(postgres_cameras.PostgresCameraStore, "__init__", init)


def drops_events(streams: Any) -> None:
    """I5: every seventh event is passed over in a hub as if it had been shown."""
    kept, seen = streams.TopicPosition.receive, [0]

    def receive(self: Any, epoch: str, item: Any) -> Any:
        found = kept(self, epoch, item)
        if isinstance(found, list) and found:
            seen[0] += 1
            return [] if seen[0] % 7 == 0 else found
        return found

    put(streams.TopicPosition, "receive", receive)


def falls_silent(redis_publisher: Any) -> None:
    """I6, with `never_stale`: after a while nothing is published any more, and commits go on."""
    kept, began = redis_publisher.RedisPublisher.publish, [0.0]

    async def publish(self: Any, states: Any, events: Any, summaries: Any, heartbeats: Any) -> Any:
        began[0] = began[0] or time.monotonic()
        return (
            set()
            if time.monotonic() - began[0] > 8.0
            else await kept(self, states, events, summaries, heartbeats)
        )

    put(redis_publisher.RedisPublisher, "publish", publish)


def never_stale(live_states: Any) -> None:
    """I6, with `falls_silent`: a hub says of nothing that it is old."""
    put(live_states.LiveStates, "sweep", lambda self, now: [])


def makes_up_events(camera: Any) -> None:
    """I7: an entry that no observation caused."""
    kept = camera.apply_data

    def apply_data(core: Any, data: Any, answers: Any, now_us: int) -> None:
        kept(core, data, answers, now_us)
        core.journal.emit("zone.entered", track="ghost", label="person", zone="zone-0")

    put(camera, "apply_data", apply_data)


def loses_events(journal: Any) -> None:
    """I8: every fifth event is forgotten before its commit."""
    kept, seen = journal.Journal.emit, [0]

    def emit(self: Any, kind: str, **named: Any) -> None:
        seen[0] += 1
        if kind.startswith(("camera.", "stream.")) or seen[0] % 5:
            kept(self, kind, **named)

    put(journal.Journal, "emit", emit)


def stores_receive_times(journal: Any) -> None:
    """I9: the time of an event is when it was received, not when it was captured."""
    kept = journal.Journal.emit

    def emit(self: Any, kind: str, **named: Any) -> None:
        captured, self.time_us = self.time_us, self.received_us
        kept(self, kind, **named)
        self.time_us = captured

    put(journal.Journal, "emit", emit)


def leaks_files(live_states: Any) -> None:
    """I10: every heartbeat costs a hub some files for good."""
    kept = live_states.LiveStates.take_heartbeat

    def take_heartbeat(self: Any, *arguments: Any) -> Any:
        for _ in range(5):
            os.dup(0)
        return kept(self, *arguments)

    put(live_states.LiveStates, "take_heartbeat", take_heartbeat)


def shows_old_generations(live_states: Any) -> None:
    """I11: a wall shows the first generation's summary again after it has shown a newer one."""
    kept = live_states.LiveStates.summary
    first: dict[str, bytes] = {}
    calls: dict[str, int] = {}

    def generation(body: bytes) -> int:
        found = re.search(rb'"generation":(\d+)', body)
        return int(found.group(1)) if found else 0

    def summary(self: Any, camera: str) -> bytes | None:
        body: bytes | None = kept(self, camera)
        if body is None or not generation(body):
            return body
        old = first.setdefault(camera, body)
        calls[camera] = calls.get(camera, 0) + 1
        return old if calls[camera] % 2 and generation(old) < generation(body) else body

    put(live_states.LiveStates, "summary", summary)


def closes_without_a_word(edge_link: Any) -> None:
    """I12: an edge socket is closed with a code that is nowhere documented."""
    kept = edge_link.EdgeLink.tick

    def tick(self: Any, now: float, wall_us: int) -> Any:
        if not self.closed and now - self._opened > 5.0:
            return self._lose(4242, "", wall_us)
        return kept(self, now, wall_us)

    put(edge_link.EdgeLink, "tick", tick)


def ends_with_a_camera(camera: Any) -> None:
    """Not a mistake of the product: data of a camera whose name begins with ``deadly`` ends the
    process, as a fault in a library does."""
    kept = camera.apply_data

    def apply_data(core: Any, data: Any, answers: Any, now_us: int) -> None:
        if core.camera.startswith("deadly"):
            os._exit(13)
        kept(core, data, answers, now_us)

    put(camera, "apply_data", apply_data)


def sleeps_after_a_restart(ray_supervisor: Any) -> None:
    """A supervisor that Ray has started again does nothing, and whoever asks is told that it
    works."""
    import ray

    kept, answers = ray_supervisor.RaySupervisor._begin, ray_supervisor.RaySupervisor.turn

    async def begin(self: Any) -> Any:
        if ray.get_runtime_context().was_current_actor_reconstructed:
            await asyncio.Event().wait()
        return await kept(self)

    async def turn(self: Any) -> dict[str, Any]:
        if ray.get_runtime_context().was_current_actor_reconstructed:
            return {
                "age_s": 0.0,
                "started": ray_supervisor.start_time(os.getpid()) or 0,
                **ray_supervisor.whereabouts(),
            }
        found: dict[str, Any] = await answers(self)
        return found

    put(ray_supervisor.RaySupervisor, "_begin", begin)
    put(ray_supervisor.RaySupervisor, "turn", turn)


def says_nothing_of_age(commit_loop: Any) -> None:
    """I6 where nothing is committed, with `vouches_for_all`: an actor's heartbeats name no trouble
    while PostgreSQL stands still."""
    put(commit_loop.CommitLoop, "trouble", lambda self, now: "")


def vouches_for_all(publish_loop: Any) -> None:
    """I6, with `says_nothing_of_age`: heartbeats speak also for a camera that is activated again or
    has to be caught up, and whose state is what was shown before."""
    summary = publish_loop.LiveSummary

    def heartbeats(self: Any, trouble: str) -> Any:
        sites: dict[str, list[Any]] = {}
        for h in self._cameras():
            entry = summary(h.camera, h.generation, h.version or -1, h.shown_offset)
            sites.setdefault(h.site, []).append(entry)
        return sites

    put(publish_loop.Live, "_heartbeats", heartbeats)


# Of faults: what the checker sees when something has broken that the product does not mend, or does
# not tell.
OF_FAULTS: dict[str, dict[str, Patch]] = {
    "supervisor-asleep": {"cluster.ray.supervisor": sleeps_after_a_restart},
    "age-untold": {
        "actors.commit_loop": says_nothing_of_age,
        "actors.publish_loop": vouches_for_all,
    },
}


def leaks_memory(live_states: Any) -> None:
    """Growth: every heartbeat is kept by a hub for ever, with a lot of air."""
    kept, hoard = live_states.LiveStates.take_heartbeat, list[bytes]()

    def take_heartbeat(self: Any, *arguments: Any) -> Any:
        hoard.append(bytes([len(hoard) % 256]) * 300_000)
        return kept(self, *arguments)

    put(live_states.LiveStates, "take_heartbeat", take_heartbeat)


def leaks_keys(redis_publisher: Any) -> None:
    """Growth: every tenth publication leaves a key in Redis that nobody takes away."""
    kept, count = redis_publisher.RedisPublisher.publish, [0]

    async def publish(self: Any, *arguments: Any) -> Any:
        count[0] += 1
        if count[0] % 10 == 0:
            await self._link.call([("SET", f"left:{os.getpid()}:{count[0]}", b"x")], writing=True)
        return await kept(self, *arguments)

    put(redis_publisher.RedisPublisher, "publish", publish)


# Of growth: what a long run sees.
OF_GROWTH: dict[str, dict[str, Patch]] = {
    "leaked-memory": {"hub.fanout.live_states": leaks_memory},
    "leaked-keys": {"storage.redis.publisher": leaks_keys},
    "leaked-files": {"hub.fanout.live_states": leaks_files},
}
VARIANTS: dict[str, dict[str, Patch]] = {
    "ack-before-commit": {"actors.core.camera.core": acks_before_the_commit},
    "duplicates-applied": {"actors.core.camera.inputs": applies_duplicates},
    "broken-chain": {"actors.core.camera.journal": breaks_the_chain},
    "generation-kept": {"storage.postgres.cameras": keeps_the_generation},
    "events-dropped": {"hub.fanout.streams": drops_events},
    "staleness-untold": {
        "storage.redis.publisher": falls_silent,
        "hub.fanout.live_states": never_stale,
    },
    "made-up-events": {"actors.core.camera.core": makes_up_events},
    "events-lost": {"actors.core.camera.journal": loses_events},
    "receive-times": {"actors.core.camera.journal": stores_receive_times},
    "leaked-files": {"hub.fanout.live_states": leaks_files},
    "old-generations": {"hub.fanout.live_states": shows_old_generations},
    "undocumented-close": {"hub.ingest.link": closes_without_a_word},
}

# What no checker is to find: the product must live with it.
HOOKS: dict[str, dict[str, Patch]] = {
    "deadly-camera": {"actors.core.camera.core": ends_with_a_camera}
}
