"""A run whose alarms are stored without their personal values is compared with one that folds what
the devices sent, and with the export of an older release."""

import msgspec

from actors.core.messages.commits import CommitRow
from actors.core.messages.observations import Alarm
from actors.sealing import Sealer
from cluster.event_proofs import AuditEvent, diff
from load_tests.checker.model import derived_key
from tests.support.load.cores import Shell, frame

ALARM = Alarm("help_point", "critical", "car", "7", "Help is wanted", {"plate": "B-AB 123"})


def row(sealer: Sealer | None) -> CommitRow:
    """What one alarm makes a camera write."""
    shell = Shell()
    shell.hello()
    shell.send(1, frame(1.0, alarm=ALARM), commit=sealer is None)
    found = shell.row.events if sealer is None else None
    made = sealer.row_of(shell.core) if sealer is not None else None
    if found is not None:
        return CommitRow("cam-1", "", 0, shell.row.position, shell.row.position, b"", found)
    assert made is not None
    return made


def test_both_tell_the_same() -> None:
    plain, apart = row(None), row(Sealer())
    bodies = [[msgspec.json.decode(one.body) for one in each.events] for each in (plain, apart)]
    assert bodies[0] != bodies[1]
    keys = [
        [derived_key(body) for body in each if body["type"] == "alarm.help_point"]
        for each in bodies
    ]
    assert keys[0] == keys[1]
    assert len(keys[0]) == 1
    records = [
        [AuditEvent("cam-1", "e", n, one.body.decode(), "") for n, one in enumerate(each.events)]
        for each in (plain, apart)
    ]
    assert diff(records[0], records[1]).green
    assert not diff(records[0], []).green
