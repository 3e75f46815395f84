"""What an object is called: a label that settles later, and an id that something else takes over.

Detectors waver before they settle, and trackers give the id of what is gone to something new. A
sighting under another label far from where the object was is something else. Any other is a vote:
the label is corrected when the other leads.
"""

import msgspec

from actors.core.boxes import Box

LEAD = 3  # sightings by which another label must lead, the last so many of them in a row
# sightings in a row of another label that decide by themselves, however long the first one held
LONG = 30
MAX_LABELS = 8  # labels of one track that are counted


class Votes(msgspec.Struct, array_like=True):
    """Sightings of a track under labels that it does not have: all by label, and the last ones in a
    row."""

    others: dict[str, int] = {}
    rival: str = ""
    run: int = 0


def vote(votes: Votes, hits: int, label: str, seen: str) -> bool:
    """A sighting, one of `hits`, of a track called `label` as `seen`: True when it is to be called
    that from now on."""
    if seen == label:
        votes.run = 0
        return False
    votes.run = votes.run + 1 if seen == votes.rival else 1
    votes.rival = seen
    if seen in votes.others or len(votes.others) < MAX_LABELS:
        votes.others[seen] = votes.others.get(seen, 0) + 1
    own = hits - sum(votes.others.values())
    if votes.run >= LONG:
        votes.others = {}
    elif votes.run >= LEAD and votes.others.get(seen, 0) >= own + LEAD:
        votes.others[label] = own
        del votes.others[seen]
    else:
        return False
    votes.run = 0
    return True


def something_else(before: Box, now: Box) -> bool:
    """True when a box under another label cannot be the same object: they do not meet, nor would
    they with a whole box between them."""
    width = max(before[2] - before[0], now[2] - now[0])
    height = max(before[3] - before[1], now[3] - now[1])
    return (
        now[0] > before[2] + width
        or now[2] < before[0] - width
        or now[1] > before[3] + height
        or now[3] < before[1] - height
    )
