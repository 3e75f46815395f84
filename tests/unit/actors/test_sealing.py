"""An actor process stores no personal value in the body of an event, and shows the event as
ever."""

import msgspec

from actors.core.attribute_classes import Classes
from actors.core.messages.deliveries import Data, Welcomed
from actors.core.messages.events import published
from actors.core.messages.observations import Alarm
from actors.sealing import Sealer
from actors.wall_clock import wall_us
from tests.support.doubles.memory_process import SITE, ProcessStores, begin
from tests.support.load.cores import CAMERA, Shell, frame
from tests.support.waiting import until

PLATE = "B-AB 123"
ALARM = Alarm("lpr", "critical", "car", "7", f"{PLATE} at the gate", {"plate": PLATE, "axles": 2})


async def test_what_an_actor_stores_has_no_plate_and_what_it_shows_has() -> None:
    stores = ProcessStores()
    process = await begin(stores, [CAMERA])
    try:
        process.attach(CAMERA)
        await process.has(Welcomed)
        link = f"{process.hub}/1"
        seen = [frame(1.0, alarm=ALARM)]
        process.send(Data(CAMERA, link, "s1", 1, wall_us(), "msgpack", seen))
        await process.acked(CAMERA, 1)
        (row,) = [e.row for e in stores.database.events if b"alarm.lpr" in e.row.body]
        assert b"AB 123" not in row.body
        assert {one.path for one in row.personal} == {
            "/data/text",
            "/data/data/plate",
            "/data/data/unknown",
        }
        live = stores.redis.site(SITE)

        def shown_alarm() -> bytes:
            bodies = [one.body for one in live.stream]
            return next((body for body in bodies if b"alarm.lpr" in body), b"")

        await until(shown_alarm, what="that the alarm is shown")
        assert shown_alarm() == published(row.body, row.hash, row.personal)
        shown = msgspec.json.decode(shown_alarm())
        assert shown["data"] == {"text": ALARM.text, "data": ALARM.data}
    finally:
        await process.end()


def test_names_that_a_deployment_shows_stay_in_the_body() -> None:
    shell = Shell()
    shell.hello()
    shell.send(1, frame(1.0, alarm=ALARM), commit=False)
    row = Sealer(Classes(["axles"])).row_of(shell.core)
    assert row is not None
    (alarm,) = [stored for stored in row.events if stored.event.type == "alarm.lpr"]
    assert alarm.event.data["data"] == {"plate": {"erased": "plates"}, "axles": 2}


def test_no_two_commits_share_a_salt() -> None:
    salts = set()
    for _ in range(2):
        shell = Shell()
        shell.hello()
        shell.send(1, frame(1.0, alarm=ALARM), commit=False)
        row = Sealer().row_of(shell.core)
        assert row is not None
        salts |= {one.salt for stored in row.events for one in stored.personal}
    assert len(salts) == 6
