"""Every way by which something leaves a hub, against every rule that hides something, for every asker: a cell each (attacks 5 and 9).

The ways are listed from the running hub: routes by every method, whole, streamed, by pages and refusing; every kind of channel on every
transport, subscribed, recovered, read back and pushed; metrics and the log. What a rule hides carries words of its own, which are looked
for in all that leaves, in any form (`tests.support.leaks`). For each rule its mechanism is taken out, and its cells must turn red; a way
that is red for no rule then must be listed in :data:`NOTHING`, so that a new way is never a cell that cannot fail.
"""

import base64
import json
import logging
from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from actors.core.redaction import Redactor
from actors.core.settings import LimitsSettings
from hub.access import Access
from hub.camera_policy import CameraPolicy, Ruling
from hub.pacing import Pacing
from hub.topics import Topic
from policy.ports import Decision, Question
from tests.integration.security.test_attack_05_camera_rules import modules
from tests.support.hub import Dash, TestHub, running_hub
from tests.support.leaks import holds
from tests.support.real_policy import real_policy
from tests.support.ways import Subject, Told, by_metrics, by_requests, requests, sessions

pytestmark = pytest.mark.timeout(400)  # many requests, on a machine that may be busy with others


class Hidden(msgspec.Struct, frozen=True):
    """What a rule hides: words in ids (empty where those are seen), and words in everything else."""

    subject: Subject
    ids: tuple[str, ...]
    said: str


RULES = {
    "site": Hidden(Subject("camdockqzx", "siteofsouthqzx", 1), ("camdockqzx", "siteofsouthqzx"), "saidofdockqzx"),
    "tag": Hidden(Subject("camstrongqzx", "north", 2), ("camstrongqzx",), "saidofstrongqzx"),
    "denial": Hidden(Subject("camvaultqzx", "north", 3), ("camvaultqzx",), "saidofvaultqzx"),
    "redaction": Hidden(Subject("till", "north", 4), (), "saidoftillqzx"),
    "rate": Hidden(Subject("slow", "north", 5), (), "saidofslowqzx"),
}
# Asker → token, and whether its sites leave the rule `site` without a say.
ASKERS: dict[str, tuple[dict[str, Any], bool]] = {
    "viewer": ({"roles": ["viewer"], "sites": ["*"], "scopes": ["pii:read"]}, True),
    "viewer of one site": ({"roles": ["viewer"], "sites": ["north"]}, False),
    "admin of one site": ({"roles": ["admin"], "sites": ["north"], "scopes": ["pii:read"]}, False),
    "guest": ({"roles": ["guest"], "sites": ["*"]}, True),
    "operator": ({"roles": ["operator"], "sites": ["*"], "scopes": ["pii:read"]}, True),
    "device": ({"typ": "edge", "roles": ["edge"], "sites": ["north"], "cameras": ["gate"]}, False),
}
# Ways that hold nothing of a camera (of a zone: numbers): they are red for no rule, whatever is taken out.
NOTHING = (
    "GET / ",
    "GET /health", "GET /openapi", "GET /asyncapi", "GET /schemas", "GET /docs", "GET /metrics", "GET /v1/policy", "GET /v1/audit",
    "GET /v1/revocations", "/connection/", "POST /emulation", "/v1/{rest:path}", "POST /v1/", "PUT /v1/", "DELETE /v1/", "/scene/zones/",
    " cluster:operations", " #{camera}", "history fleet", "history site:", "history camera:", "history events:fleet",
    "recover events:fleet", "subscribe events:", "GET /v1/sites/{site} ",
)  # fmt: skip
EVENTS_OF = ("/events", " events:")
STATES_OF = ("/state", " camera:", " site:", " fleet")
# Rule → parts of the names of ways that must turn red when its mechanism is taken out.
SHOWN_BY = {
    "site": ("GET /v1/cameras", "GET /v1/sites", "GET /v1/dead-letters", "camera:", " site:", " events:site:"),
    "tag": ("GET /v1/cameras", "GET /v1/dead-letters", *EVENTS_OF, *STATES_OF),
    "denial": ("GET /v1/cameras", "GET /v1/dead-letters", *EVENTS_OF, *STATES_OF),
    "redaction": (*EVENTS_OF, *STATES_OF),
    "rate": STATES_OF,
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
    track = {"id": "t", "label": "car", "score": 1, "box": [0, 0, 1, 1], "current_zones": [], "stationary": False, "sub_label": said}
    fields: dict[str, Any] = {"tracks": [track | {"attributes": {"plate": said, "matricula": said}}]}
    fields |= {"objects": {said: 1}, "occupancy": {"door": {said: 1}}}
    return fields | ({"echoes": {said: ["plate"]}} if private else {})


def event(hidden: Hidden) -> dict[str, Any]:
    said = hidden.said
    return {"type": f"alarm.{said}", "label": said, "track": said, "data": {"text": said, "data": {"plate": said, "Kennzeichen": said}}}


class World:
    """A hub with something to hide for every rule, and a gate that everybody sees."""

    def __init__(self, hub: TestHub) -> None:
        self.hub = hub
        self.versions = 0
        self.offsets = 0

    async def begin(self) -> None:
        registry, scene = self.hub.memory.registry, {"zones": {"door": square()}, "lines": {"entry": LINE}}
        await registry.register("gate", "north", name="Gate", scene=json.dumps(scene).encode())
        for rule, hidden in RULES.items():
            hides = rule not in ("redaction", "rate")
            tags = [f"tag-{hidden.said}"] if hides else []
            line = LINE | {"name_in": hidden.said}
            named = {"zones": {"door": square(), hidden.said: square()}, "lines": {"entry": line}} if hides else scene
            await registry.register(
                hidden.subject.camera, hidden.subject.site, name=hidden.said if hides else rule, scene=json.dumps(named).encode(),
                tags=[*tags, "restricted"] if rule == "tag" else tags,
            )  # fmt: skip
            raw = b"{}" if rule == "rate" else hidden.said.encode()
            await self.hub.memory.dead_letters.add(hidden.subject.camera, "s1", "bad", "why", raw, 1_790_000_000_000_000)
        for camera in ("slow", "gate"):
            await self.hub.show(camera, 0)
        token = self.hub.token("early", sites=["*"])
        async with self.hub.dashboard(token) as dash:  # from now on what was shown is what the rate allows
            for channel in ("camera:slow", *WALLS):
                await dash.ask("subscribe", channel=channel)
            async with self.hub.dashboard(self.hub.token("calm", roles=["guest"], sites=["*"])) as calm:
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

    async def told(self, askers: Iterable[str]) -> dict[str, list[Told]]:
        """Everything that these are told: by requests, and on every transport while something happens."""
        subjects = [hidden.subject for hidden in RULES.values()]
        found: dict[str, list[Told]] = {}
        for name in askers:
            options = ASKERS[name][0]
            token = self.hub.token(name, **options)
            found[name] = await by_requests(self.hub, token, subjects)
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
            if '"camera": "gate"' in (said := json.dumps(push)) and (push["channel"] in EVENTS or f'"version": {self.versions}' in said):
                seen.add(push["channel"])


class Log(logging.Handler):
    """Keeps what the process logs."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] in ("hub", "policy", "actors", "storage", "uvicorn"):
            self.lines.append(self.format(record))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with running_hub(tmp_path_factory.mktemp("hub"), decider=real_policy(rules()), limits=LIMITS) as hub:
        made = World(hub)
        await made.begin()
        await made.go_on()
        yield made


@pytest.mark.parametrize("shift", ["", "a", "ab"])
def test_attack_05_a_word_is_found_in_every_form(shift: str) -> None:
    word = RULES["tag"].said
    for text in (word, word.upper(), word.title()):
        told = f'{{"next": "{shift}{text}~9"}}'.encode()
        parted = "-".join(text)
        escaped = "".join(f"%{ord(letter):02X}" for letter in text)
        for form in (told, base64.b64encode(told), base64.urlsafe_b64encode(told), told.hex().encode(), parted.encode(), escaped.encode()):
            assert holds(b"before " + form + b" after", word), form
    assert not holds(base64.b64encode(b"something else") + word[:-1].encode(), word)


def red(told: Iterable[Told], rule: str) -> set[str]:
    """The ways that told what the rule hides."""
    hidden = RULES[rule]
    return {
        one.way
        for one in told
        if holds(one.body, hidden.said) or any(holds(one.body, word) for word in hidden.ids if word not in one.asked)
    }


@pytest.mark.asyncio(loop_scope="module")
async def test_attack_05_what_a_rule_hides_leaves_by_no_way(world: World, record_property: Any) -> None:
    log = Log()
    root = logging.getLogger()
    level = root.level
    root.addHandler(log)
    root.setLevel(logging.INFO)
    try:
        everything = await world.told(ASKERS)
    finally:
        root.removeHandler(log)
        root.setLevel(level)
    cells = 0
    for asker, told in everything.items():
        rules = [rule for rule in RULES if not (rule == "site" and ASKERS[asker][1])]
        ways = {one.way for one in told}
        assert {f"{method} {path}" for method, path in requests(world.hub)} <= ways
        for rule in rules:
            cells += len(ways)
            assert red(told, rule) == set(), f"{rule}: {asker}"
    for one in await by_metrics(world.hub):
        assert [rule for rule in RULES if red([one], rule)] == [], one.way
    written = "\n".join(log.lines).encode()
    assert written
    assert [rule for rule, hidden in RULES.items() if holds(written, hidden.said)] == [], "the log has ids, and nothing that was said"
    record_property("cells", cells)
    assert cells > 2_000


async def _allowed(self: Access, question: Question) -> Decision:
    return Decision(True, "allowed", "broken")


async def _no_ruling(*_: object) -> Ruling:
    return Ruling()


def _harmless(*_: object, **__: object) -> None:
    return None


def _always(*_: object) -> bool:
    return True


def _newest(self: Pacing, key: object, hz: object, newest: Any, now: float) -> Any:
    return newest


# Rules → who asks, and the mechanism that is taken out.
BROKEN: list[tuple[tuple[str, ...], str, list[tuple[object, str, object]]]] = [
    (("site",), "viewer of one site", [(Access, "_ask", _allowed), (CameraPolicy, "ruling", _no_ruling)]),
    (("tag", "denial"), "viewer", [(Access, "_ask", _allowed), (CameraPolicy, "ruling", _no_ruling)]),
    (("redaction",), "viewer", [(Redactor, "class_of", _harmless)]),
    (("rate",), "viewer", [(Pacing, "shown", _newest), (Topic, "_may", _always)]),
]


@pytest.mark.asyncio(loop_scope="module")
async def test_attack_05_a_product_without_the_mechanism_turns_the_cells_red(world: World) -> None:
    found: dict[str, set[str]] = {}
    ways: set[str] = set()
    for rules_of, asker, mechanisms in BROKEN:
        with pytest.MonkeyPatch.context() as patch:
            for target, name, broken in mechanisms:
                patch.setattr(target, name, broken)
            told = (await world.told([asker]))[asker]
        found |= {rule: red(told, rule) for rule in rules_of}
        ways |= {one.way for one in told}
    shows = {way for way in ways if not any(part in f"{way} " for part in NOTHING)}
    assert shows - set().union(*found.values()) == set(), "a way that no rule can turn red is no cell: list it, or let it show something"
    assert found.keys() == RULES.keys()
    for rule, parts in SHOWN_BY.items():
        assert {way for way in shows if any(part in way for part in parts)} - found[rule] == set(), rule
