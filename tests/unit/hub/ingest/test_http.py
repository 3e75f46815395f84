"""HTTP ingest where the actor gives no credits: a paused camera."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from actors.core.errors import TooMany
from actors.core.messages.deliveries import Answer, Attach, Item, Welcomed
from actors.core.settings import Settings
from hub.ingest.http import Ingest
from hub.ingest.node import EdgeNode


class Paused:
    """What `Ingest` uses of an edge node, over an actor that welcomes and gives nothing."""

    def __init__(self) -> None:
        self.context = SimpleNamespace(settings=Settings())
        self.pump = self
        self.items: list[Item] = []
        self._answer: Callable[[Answer], None] = lambda answer: None

    def open_link(self, answer: Callable[[Answer], None], leave: Callable[[], None]) -> str:
        self._answer = answer
        return "hub/1"

    def put(self, item: Item, *, urgent: bool = True) -> None:
        self.items.append(item)
        if isinstance(item, Attach):
            self._answer(Welcomed(item.camera, item.link, item.session, 5, 0))


async def test_a_paused_camera_is_told_to_come_back_later_and_nothing_is_sent_on() -> None:
    node = Paused()
    ingest = Ingest(cast(EdgeNode, cast(Any, node)))
    seen = {"time": "2026-03-01T12:00:00Z", "objects": []}
    body = msgspec.json.encode({"session": "s1", "first_seq": 5, "observations": [seen]})
    with pytest.raises(TooMany) as refused:
        await ingest.post("cam-1", body, packed=False)
    assert (refused.value.status, refused.value.retry_after_s) == (429, 1.0)
    assert [type(item) for item in node.items] == [Attach]
    durable = msgspec.json.encode({"session": "s1", "first_seq": 4, "observations": [seen]})
    assert (await ingest.post("cam-1", durable, packed=False))["seq"] == 4, (
        "what was committed before is still a success"
    )
