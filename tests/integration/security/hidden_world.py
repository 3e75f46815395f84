"""A hub and a cluster that have something to hide for every rule, and all that leaves them: what
the sweep of attack 5 looks at."""

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from actors.core.settings import LimitsSettings
from tests.integration.security.test_attack_05_camera_rules import modules
from tests.support.cluster.cluster_api import TestApi
from tests.support.hub.alert_routes import raise_alert
from tests.support.hub.hub import Dash, TestHub
from tests.support.hub.ways import Subject, Told, by_requests, sessions
from tests.support.hub.ways_elsewhere import by_cluster, by_edge, fill_cluster

GATE = Subject("gate", "north", 6)


class Hidden(msgspec.Struct, frozen=True):
    """What a rule hides: words in ids (empty where those are seen), and words in everything
    else."""

    subject: Subject
    ids: tuple[str, ...]
    said: str


RULES = {
    "site": Hidden(
        Subject("camdockqzx", "siteofsouthqzx", 1),
        ("camdockqzx", "siteofsouthqzx"),
        "saidofdockqzx",
    ),
    "tag": Hidden(Subject("camstrongqzx", "north", 2), ("camstrongqzx",), "saidofstrongqzx"),
    "denial": Hidden(Subject("camvaultqzx", "north", 3), ("camvaultqzx",), "saidofvaultqzx"),
    "redaction": Hidden(Subject("till", "north", 4), (), "saidoftillqzx"),
    "rate": Hidden(Subject("slow", "north", 5), (), "saidofslowqzx"),
}


class Asker(msgspec.Struct, frozen=True):
    """Who asks. `everywhere`: at all sites, where the rule `site` hides nothing. `runs`: the
    cluster, so it is told all ids."""

    token: dict[str, Any]
    everywhere: bool = False
    runs: bool = False


ASKERS = {
    "viewer": Asker({"roles": ["viewer"], "sites": ["*"], "scopes": ["pii:read"]}, everywhere=True),
    "viewer of one site": Asker({"roles": ["viewer"], "sites": ["north"]}),
    "admin of one site": Asker({"roles": ["admin"], "sites": ["north"], "scopes": ["pii:read"]}),
    "guest": Asker({"roles": ["guest"], "sites": ["*"]}, everywhere=True),
    "operator": Asker(
        {"roles": ["operator"], "sites": ["*"], "scopes": ["pii:read"]}, everywhere=True, runs=True
    ),
    "device": Asker({"typ": "edge", "roles": ["edge"], "sites": ["north"], "cameras": ["gate"]}),
}
EVENTS = ("events:site:north", "events:fleet")
WALLS = ("site:north", "fleet")
LIMITS = LimitsSettings(subject_failures_burst=10_000, address_failures_burst=10_000)
LINE: dict[str, Any] = {"points": [[0.5, 0.0], [0.5, 1.0]]}


def rules() -> dict[str, str]:
    """Of `test_attack_05_camera_rules`, about the vault here."""
    return {name: text.replace('"vault"', '"camvaultqzx"') for name, text in modules().items()}


def square() -> dict[str, Any]:
    return {"points": [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]}


def state(hidden: Hidden, rule: str) -> dict[str, Any]:
    """Fields of a state that says what is hidden in every place where it may be."""
    said, private = hidden.said, rule == "redaction"
    track = {
        "id": "t",
        "label": "car",
        "score": 1,
        "box": [0, 0, 1, 1],
        "current_zones": [],
        "stationary": False,
        "sub_label": said,
    }
    fields: dict[str, Any] = {
        "tracks": [track | {"attributes": {"plate": said, "matricula": said}}]
    }
    fields |= {"objects": {said: 1}, "occupancy": {"door": {said: 1}}}
    return fields | ({"echoes": {said: ["plate"]}} if private else {})


def event(hidden: Hidden) -> dict[str, Any]:
    said = hidden.said
    return {
        "type": f"alarm.{said}",
        "label": said,
        "track": said,
        "data": {"text": said, "data": {"plate": said, "Kennzeichen": said}},
    }


class World:
    """A hub and a cluster API with something to hide for every rule, and a gate that everybody
    sees."""

    def __init__(self, hub: TestHub, api: TestApi) -> None:
        self.hub = hub
        self.api = api
        self.versions = 0
        self.offsets = 0

    async def begin(self) -> None:
        registry, scene = (
            self.hub.memory.registry,
            {"zones": {"door": square()}, "lines": {"entry": LINE}},
        )
        await registry.register("gate", "north", name="Gate", scene=json.dumps(scene).encode())
        for rule, hidden in RULES.items():
            hides = rule not in ("redaction", "rate")
            tags = [f"tag-{hidden.said}"] if hides else []
            line = LINE | {"name_in": hidden.said}
            named = (
                {"zones": {"door": square(), hidden.said: square()}, "lines": {"entry": line}}
                if hides
                else scene
            )
            await registry.register(
                hidden.subject.camera,
                hidden.subject.site,
                name=hidden.said if hides else rule,
                scene=json.dumps(named).encode(),
                tags=[*tags, "restricted"] if rule == "tag" else tags,
            )
            if rule != "rate":
                raise_alert(self.hub, hidden.subject.camera, site=hidden.subject.site)
            raw = b"{}" if rule == "rate" else hidden.said.encode()
            await self.hub.memory.dead_letters.add(
                hidden.subject.camera,
                "s1",
                "bad",
                f"no use: {raw.decode()}",
                raw,
                1_790_000_000_000_000,
            )
        operations = await fill_cluster(
            self.api, [hidden.subject for hidden in RULES.values() if hidden.ids]
        )
        await self.hub.memory.publisher.show_operations(operations)
        for camera in ("slow", "gate"):
            await self.hub.show(camera, 0)
        token = self.hub.token("early", sites=["*"])
        async with self.hub.dashboard(
            token
        ) as dash:  # from now on what was shown is what the rate allows
            for channel in ("camera:slow", *WALLS):
                await dash.ask("subscribe", channel=channel)
            async with self.hub.dashboard(
                self.hub.token("calm", roles=["guest"], sites=["*"])
            ) as calm:
                for channel in ("camera:slow", *WALLS):
                    await calm.ask("subscribe", channel=channel)

    async def go_on(self) -> None:
        """Something happens everywhere, at the gate last."""
        self.versions, self.offsets = self.versions + 1, self.offsets + 1
        for rule, hidden in RULES.items():
            camera, site = hidden.subject.camera, hidden.subject.site
            await self.hub.show(camera, self.versions, site=site, **state(hidden, rule))
            if rule != "rate":
                await self.hub.happen(camera, self.offsets, site=site, **event(hidden))
        await self.hub.show("gate", self.versions)
        await self.hub.happen("gate", self.offsets)

    async def told(
        self, askers: Iterable[str], rules: Iterable[str] = RULES
    ) -> dict[str, list[Told]]:
        """Everything that these are told of what `rules` hide: by requests, and on every transport
        while something happens."""
        rules = tuple(rules)
        subjects = [RULES[rule].subject for rule in rules]
        found: dict[str, list[Told]] = {}
        for name in askers:
            token = self.hub.token(name, **ASKERS[name].token)
            found[name] = await by_requests(self.hub, token, subjects)
            found[name] += await by_edge(self.hub, token, [*subjects, GATE])
            found[name] += await by_cluster(
                self.api, token, [RULES[rule].subject for rule in rules if RULES[rule].ids]
            )
            insider = self.hub.token("insider", sites=["*"], scopes=["pii:read", "restricted:read"])
            async with sessions(self.hub, token) as open_ones, self.hub.dashboard(insider) as watch:
                for session in open_ones:
                    await session.begin(subjects)
                await self._happens(watch)
                for session in open_ones:
                    await session.end()
                    found[name] += session.told
        return found

    async def _happens(self, watch: Dash) -> None:
        """Something happens, and has been passed on to everybody when this returns."""
        for channel in (*EVENTS, *WALLS):
            await watch.ask("subscribe", channel=channel)
        watch.pushes.clear()
        await self.go_on()
        seen: set[str] = set()
        while seen != {*EVENTS, *WALLS}:
            push = await watch.push()
            if '"camera": "gate"' in (said := json.dumps(push)) and (
                push["channel"] in EVENTS or f'"version": {self.versions}' in said
            ):
                seen.add(push["channel"])
