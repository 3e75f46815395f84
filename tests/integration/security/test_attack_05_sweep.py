"""Every way by which something leaves, against every rule that hides something, for every asker: a
cell each (attacks 5 and 9).

The ways are listed from what runs: routes of hubs and of the cluster API by every method, whole,
streamed, by pages, refusing; every kind of channel on every transport, in JSON and protobuf,
subscribed, recovered, read back and pushed; what a device reads back; metrics, and the log on disk.
What a rule hides carries words of its own, which are looked for in all that leaves, in any form
(`tests.support.leaks`).

For each rule its mechanism is taken out, for every kind of asker whom it binds otherwise, and its
cells must turn red. A way that is red for no rule then is in :data:`NOTHING`, and turns red in a
product whose errors, headers and metrics tell what there is. Without a product that turns them red
stay those that refuse whoever comes (a device at the sockets of dashboards) with a text that never
changes.
"""

import base64
import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from prometheus_client.core import GaugeMetricFamily

from actors.core.errors import EyrieError
from actors.core.redaction import Redactor
from actors.core.settings import DataSettings, Settings
from hub.access.authorization import Access
from hub.access.camera_policy import CameraPolicy, Ruling
from hub.fanout.pacing import Pacing
from hub.fanout.topics import Topic
from hub.ingest.authorization import EdgeAccess
from hub.metrics import NodeCollector
from hub.protocol.errors import ReplyError
from hub.protocol.messages import JsonCodec
from hub.protocol.protobuf_codec import ProtobufCodec
from hub.web.answer_headers import AnswerHeaders
from policy.decision.model import Decision, DecisionInput
from storage.embedded.data_dir import DataDir
from storage.process.log_file import log_to_file
from tests.integration.security.hidden_world import ASKERS, LIMITS, RULES, World, rules
from tests.support.cluster.cluster_api import running_api
from tests.support.doubles.actor_handles import FakeActor, FakeDirectory
from tests.support.hub.hub import running_hub
from tests.support.hub.real_policy import real_policy
from tests.support.hub.ways import Told, by_metrics, requests
from tests.support.hub.ways_elsewhere import routes_of_the_cluster
from tests.support.leaks import holds, words_in

pytestmark = pytest.mark.timeout(400)  # many requests, on a machine that may be busy with others

# Ways that hold nothing of a camera (of a zone: numbers): they are red for no rule, whatever is
# taken out.
NOTHING = (
    "GET /v1/privacy/",
    "GET / ",
    "GET /health",
    "GET /openapi",
    "GET /asyncapi",
    "GET /schemas",
    "GET /docs",
    "GET /metrics",
    "GET /v1/policy",
    "GET /v1/audit",
    "GET /v1/revocations",
    "/connection/",
    "POST /emulation",
    "/v1/{rest:path}",
    "POST /v1/",
    "PUT /v1/",
    "DELETE /v1/",
    "/scene/zones/",
    " cluster:operations",
    " #{camera}",
    "history fleet",
    "history site:",
    "history camera:",
    "history events:fleet",
    "recover events:fleet",
    "subscribe events:",
    "GET /v1/sites/{site} ",
    "cluster GET /v1/cluster ",
    "/v1/cluster/nodes",
    "cluster GET /v1/jobs",
    "cluster GET /v1/schedules",
    "cluster GET /v1/sinks",
    "/v1/cluster/hubs",
    "/v1/cluster/policies",
    "/v1/cluster/workers",
    "/v1/cluster/shape",
    "/v1/cluster/processes",
    "cluster PUT ",
    "cluster POST /v1/cluster/operations",
    " refused ",
)
EVENTS_OF = ("/events", " events:")
STATES_OF = ("/state", " camera:", " site:", " fleet")
# Rule → parts of the names of ways that must turn red when its mechanism is taken out.
SHOWN_BY = {
    "site": (
        "GET /v1/cameras",
        "GET /v1/sites",
        "GET /v1/dead-letters",
        "camera:",
        " site:",
        " events:site:",
    ),
    "tag": ("GET /v1/cameras", "GET /v1/dead-letters", *EVENTS_OF, *STATES_OF),
    "denial": ("GET /v1/cameras", "GET /v1/dead-letters", *EVENTS_OF, *STATES_OF),
    "redaction": (*EVENTS_OF, *STATES_OF),
    "rate": STATES_OF,
}
WORDS = tuple(word for hidden in RULES.values() for word in (*hidden.ids, hidden.said))
# Where who runs the cluster is told the ids of all cameras (docs/security.md, "What an operator
# sees").
OF_THE_CLUSTER = ("cluster ", " cluster:operations")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder, policy, actor = (
        tmp_path_factory.mktemp("hub"),
        real_policy(rules()),
        FakeActor("actor-1"),
    )
    async with (
        running_hub(
            folder, decider=policy, limits=LIMITS, directory=FakeDirectory(lambda name: actor)
        ) as hub,
        running_api(folder, decider=policy, memory=hub.memory) as api,
    ):
        made = World(hub, api)
        await made.begin()
        await made.go_on()
        yield made


@contextmanager
def log_on_disk(folder: Path) -> Iterator[Path]:
    """What the processes of ours log goes where that of a hub goes: to the file that is given."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    data = DataDir(folder / "data")
    try:
        log_to_file(Settings(data=DataSettings(dir=str(data.path))), "hub-test")
        yield data.logs / "eyrie.log"
    finally:
        root.handlers[:] = before
        root.setLevel(level)


@pytest.mark.parametrize("shift", ["", "a", "ab"])
def test_attack_05_a_word_is_found_in_every_form(shift: str) -> None:
    word = RULES["tag"].said
    for text in (word, word.upper(), word.title()):
        told = f'{{"next": "{shift}{text}~9"}}'.encode()
        parted = "-".join(text)
        escaped = "".join(f"%{ord(letter):02X}" for letter in text)
        for form in (
            told,
            base64.b64encode(told),
            base64.urlsafe_b64encode(told),
            told.hex().encode(),
            parted.encode(),
            escaped.encode(),
        ):
            assert holds(b"before " + form + b" after", word), form
    assert not holds(base64.b64encode(b"something else") + word[:-1].encode(), word)


def red(told: Iterable[Told], rule: str, *, runs: bool = False) -> set[str]:
    """The ways that told what the rule hides; from who runs the cluster it hides no ids in what is
    of the cluster."""
    hidden, found = RULES[rule], set()
    for one in told:
        words = words_in(one.body, WORDS)
        ids = () if runs and any(part in one.way for part in OF_THE_CLUSTER) else hidden.ids
        if hidden.said in words or any(word in words for word in ids if word not in one.asked):
            found.add(one.way)
    return found


def ids_of_the_cluster(told: Iterable[Told]) -> set[str]:
    """The words that the cluster API told whoever did not name them."""
    return {
        word
        for one in told
        if one.way.startswith("cluster ")
        for word in words_in(one.body, WORDS)
        if word not in one.asked
    }


@pytest.mark.asyncio(loop_scope="module")
async def test_attack_05_what_a_rule_hides_leaves_by_no_way(
    world: World, tmp_path: Path, record_property: Any
) -> None:
    with log_on_disk(tmp_path) as log:
        everything = await world.told(ASKERS)
    cells = 0
    for name, told in everything.items():
        asker = ASKERS[name]
        ways = {one.way for one in told}
        assert {
            f"{method} {path}" for method, path in requests(world.hub)
        } | routes_of_the_cluster() <= ways
        assert ids_of_the_cluster(told) == (
            {word for hidden in RULES.values() for word in hidden.ids} if asker.runs else set()
        ), name
        for rule in RULES:
            if not (rule == "site" and asker.everywhere):
                cells += len(ways)
                assert red(told, rule, runs=asker.runs) == set(), f"{rule}: {name}"
    for one in await by_metrics(world.hub):
        assert words_in(one.body, WORDS) == set(), one.way
    written = log.read_bytes()
    assert b"denied" in written
    assert [hidden.said for hidden in RULES.values() if holds(written, hidden.said)] == [], (
        "the log has ids, and nothing that was said"
    )
    record_property("cells", cells)
    assert cells > 3_000


async def _allowed(self: Access, question: DecisionInput) -> Decision:
    return Decision(True, "allowed", "broken")


_ask = Access._ask


async def _unredacted(self: Access, question: DecisionInput) -> Decision:
    return msgspec.structs.replace(await _ask(self, question), redact=())


async def _no_ruling(*_: object) -> Ruling:
    return Ruling()


async def _admitted(*_: object) -> bool:
    return True


def _harmless(*_: object, **__: object) -> None:
    return None


def _always(*_: object) -> bool:
    return True


def _newest(self: Pacing, key: object, hz: object, newest: Any, now: float) -> Any:
    return newest


class Broken(msgspec.Struct, frozen=True):
    """Rules, who asks, and the mechanism that is taken out: what then is red for each of them is
    the rule's, or `shows`."""

    rules: tuple[str, ...]
    asker: str
    mechanisms: tuple[tuple[object, str, object], ...]
    shows: tuple[str, ...] = ()


UNASKED = ((Access, "_ask", _allowed), (CameraPolicy, "ruling", _no_ruling))
UNHIDDEN = ((Redactor, "class_of", _harmless), (Access, "_ask", _unredacted))
UNPACED = ((Pacing, "shown", _newest), (Topic, "_may", _always))
BROKEN = [
    Broken(("site",), "viewer of one site", UNASKED),
    Broken(("site", "tag", "denial"), "admin of one site", UNASKED),
    Broken(("tag", "denial"), "viewer", UNASKED),
    Broken(
        ("site", "tag", "denial"), "device", ((EdgeAccess, "_may", _admitted),), shows=("edge ",)
    ),
    Broken(("redaction",), "viewer", UNHIDDEN),
    Broken(
        ("redaction",),
        "admin of one site",
        UNHIDDEN,
        shows=(" camera:", " site:", "/sites/{site}/events", "GET /v1/dead-letters"),
    ),
    Broken(("rate",), "viewer", UNPACED),
]


@pytest.mark.asyncio(loop_scope="module")
async def test_attack_05_a_product_without_the_mechanism_turns_the_cells_red(world: World) -> None:
    found: dict[str, set[str]] = {rule: set() for rule in RULES}
    ways: set[str] = set()
    for broken in BROKEN:
        with pytest.MonkeyPatch.context() as patch:
            for target, name, instead in broken.mechanisms:
                patch.setattr(target, name, instead)
            told = (await world.told([broken.asker], broken.rules))[broken.asker]
        ways |= {one.way for one in told}
        for rule in broken.rules:
            found[rule] |= (reds := red(told, rule))
            shown = {
                one.way
                for one in told
                if any(part in one.way for part in broken.shows or SHOWN_BY[rule])
            } - nothing(ways)
            assert shown
            assert shown - reds == set(), f"{rule}: {broken.asker}"
    shows = ways - nothing(ways)
    assert shows - set().union(*found.values()) == set(), (
        "a way that no rule can turn red is no cell: list it, or let it show something"
    )


def nothing(ways: Iterable[str]) -> set[str]:
    """Those of :data:`NOTHING`."""
    return {way for way in ways if any(part in f"{way} " for part in NOTHING)}


@pytest.mark.asyncio(loop_scope="module")
async def test_attack_05_a_product_that_tells_what_there_is_turns_the_other_ways_red(
    world: World, tmp_path: Path
) -> None:
    there = " ".join(WORDS)
    init, of, collect = EyrieError.__init__, AnswerHeaders.of, NodeCollector.collect

    def named(self: EyrieError, detail: str, **options: Any) -> None:
        init(self, f"{there} {detail}", **options)

    def headed(self: AnswerHeaders, *, tls: bool) -> list[tuple[bytes, bytes]]:
        return [*of(self, tls=tls), (b"x-there", there.encode())]

    def labelled(self: NodeCollector) -> Iterator[Any]:
        yield from collect(self)
        family = GaugeMetricFamily("eyrie_hub_there", "What there is.", labels=["camera"])
        family.add_metric([there], 1)
        yield family

    def refusing(codec: type[Any]) -> Any:
        error = codec.error
        return lambda self, id, found: error(
            self, id, ReplyError(found.code, there, found.temporary)
        )

    def replying(codec: type[Any]) -> Any:
        reply = codec.reply
        return lambda self, id, method, found: reply(
            self,
            id,
            method,
            msgspec.structs.replace(found, epoch=there) if hasattr(found, "epoch") else found,
        )

    with pytest.MonkeyPatch.context() as patch, log_on_disk(tmp_path) as log:
        patch.setattr(EyrieError, "__init__", named)
        patch.setattr(AnswerHeaders, "of", headed)
        patch.setattr(NodeCollector, "collect", labelled)
        for codec in (JsonCodec, ProtobufCodec):
            patch.setattr(codec, "error", refusing(codec))
            patch.setattr(codec, "reply", replying(codec))
        told = (await world.told(["viewer"], ["denial"]))["viewer"]
        metrics = await by_metrics(world.hub)
    for rule in RULES:
        red_now = red(told, rule)
        assert nothing({one.way for one in told}) - red_now == set(), rule
        # The page of a node merges what whole processes write into files: here there are none.
        assert red(metrics, rule) == {one.way for one in metrics if "node" not in one.way}, rule
        assert holds(log.read_bytes(), RULES[rule].said)
