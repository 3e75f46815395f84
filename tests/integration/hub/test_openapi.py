"""Schemathesis over the hub's OpenAPI document, against a real hub: whatever is asked, the answer
is one that the document tells of."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from actors.core.settings import CameraSettings
from policy.engine.modules import read_sources
from policy.identity import sign_in
from storage.ports.policy import DecisionRow
from tests.support.doubles.local_actor import local_actor
from tests.support.doubles.stores import memory_stores
from tests.support.hub import alert_routes, privacy_routes
from tests.support.hub.api_fuzz import Known, fuzz, in_thread
from tests.support.hub.hub import TestHub, running_hub

SEED = 20260301
NEVER_GOOD = [
    # pages alone sign in: nothing here names an origin
    "DELETE /v1/session",
    # what was refused once is refused again, unless the rules changed
    "POST /v1/dead-letters/{letter}/replay",
    "POST /v1/session",
    "POST /v1/session/ticket",
]
SLOW = frozenset(
    {"uploadRevision", "activateRevision", "rollBackPolicy"}
)  # each tries the policy in a process of its own
SQUARE = [[0.1, 0.1], [0.5, 0.1], [0.5, 0.5], [0.1, 0.5]]


@asynccontextmanager
async def furnished(folder: Path) -> AsyncIterator[TestHub]:
    """A hub with something of everything."""
    memory = memory_stores()
    async with (
        local_actor(memory, CameraSettings(commit_interval_s=0.05)) as actor,
        running_hub(folder, memory=memory, directory=actor) as hub,
    ):
        scene = {"zones": {"z1": {"points": SQUARE}}, "lines": {"l1": {"points": SQUARE[:2]}}}
        await hub.register("gate", "dock", "yard", scene=msgspec.json.encode(scene))
        await memory.registry.add_site("spare")
        await hub.show(
            "gate",
            3,
            tracks=[
                {
                    "id": "1",
                    "label": "car",
                    "score": 0.5,
                    "box": [0, 0, 0.1, 0.1],
                    "current_zones": [],
                    "stationary": True,
                }
            ],
        )
        for offset in 1, 2, 3:
            await hub.happen("gate", offset)
        for code in "bad_input", "poison", "bad_input":
            await memory.dead_letters.add("gate", "s1", code, "not good", b"\xff{", 1)
        for camera in ("gate", "dock", "yard"):
            alert_routes.raise_alert(hub, camera)
        revisions = hub.hub.context.stores.revisions
        assert revisions is not None
        await hub.hub.context.stores.decisions.write(
            [
                DecisionRow(
                    "r1", "subscribe", "viewer", "north", True, "allowed", "{}", bytes(32), "{}"
                )
            ]
        )
        yield hub


def prepared(url: str, headers: dict[str, str]) -> str:
    """Two revisions, one after the other in force, and a shadow; the name of the second."""
    with httpx.Client(
        base_url=f"{url}/v1/policy", headers={**headers, "If-Match": "*"}, timeout=60
    ) as http:
        for modules in (
            read_sources(),
            read_sources() | {"more.rego": "package eyrie.more\n\nfast := 10\n"},
        ):
            found = (
                http.post("/revisions", json={"modules": modules})
                .raise_for_status()
                .json()["revision"]
            )
            http.post(f"/revisions/{found}/activate", json={}).raise_for_status()
        http.put("/shadow", json={"revision": found}).raise_for_status()
    return str(found)


def asked_of_privacy(url: str, headers: dict[str, str]) -> dict[str, list[str]]:
    """Requests and holds that somebody else has asked for: who asked may not approve."""
    with httpx.Client(base_url=f"{url}/v1/privacy", headers=headers, timeout=60) as http:

        def made(path: str, operation: str, **also: str) -> dict[str, str]:
            body = privacy_routes.BODIES[operation] | also
            answer = http.post(path, json=body).raise_for_status()
            found: dict[str, str] = answer.json()
            return found

        return {
            "request": [
                made("/requests", "askPrivacy", kind=kind)["request"]
                for kind in ("erasure", "erasure", "access")
            ],
            "hold": [made("/holds", "placeHold")["hold"] for _ in range(2)],
        }


def run(folder: Path, examples: int) -> None:
    with in_thread(lambda: furnished(folder)) as hub:
        url = f"http://127.0.0.1:{hub.port}"
        roles = ["admin", "privacy", "operator"]
        people = hub.token(roles=roles, scopes=["restricted:read", "pii:read"])
        edge = hub.token(typ="edge", roles=["edge"])

        def token_of(method: str, path: str) -> str:
            return edge if path.endswith("/observations") else people

        link, kept = sign_in.offer(people), hub.hub.context.sign_ins
        assert kept is not None
        asyncio.run(kept.keep(link.name, link.sealed, sign_in.LIFE_S))
        revision = prepared(url, {"Authorization": f"Bearer {people}"})
        names = {
            "camera": ["gate", "dock", "yard"],
            "site": ["north", "spare"],
            "letter": ["1", "2", "3"],
            "revision": [revision],
            "zone": ["z1"],
            "line": ["l1"],
            **{name: [value] for name, value in alert_routes.NAMES.items()},
            **asked_of_privacy(
                url, {"Authorization": f"Bearer {hub.token('eva', roles=['privacy'])}"}
            ),
        }
        bodies: dict[str, Any] = {
            "addSite": {"site": "south"},
            "addCamera": {"camera": "tower", "site": "north"},
            "changeSite": {"name": "North"},
            "changeCamera": {"tags": ["door"]},
            "changeScene": {"zones": {"z1": {"points": SQUARE}}},
            "changeZone": {"points": SQUARE},
            "changeLine": {"points": [[0.1, 0.1], [0.9, 0.9]]},
            "resetCounts": {},
            "startShadow": {"revision": revision},
            "uploadRevision": {"modules": read_sources()},
            "revoke": {"jti": "somebody"},
            "activateRevision": {},
            "rollBackPolicy": {},
            "discardDeadLetter": {"reason": "noise"},
            "signIn": {"code": link.code},
            "openSession": {"user": "ada", "password": "correct horse battery"},
            **privacy_routes.BODIES,
            **alert_routes.BODIES,
            "postObservations": {
                "session": "s1",
                "first_seq": 1,
                "observations": [{"time": "2026-03-01T12:00:00Z", "objects": []}],
            },
        }
        found = fuzz(url, Known(names, bodies, token_of, SLOW), examples=examples, seed_number=SEED)
        assert (found.never_good(), found.calls > 2 * examples * 20) == (NEVER_GOOD, True)


@pytest.mark.timeout(400)  # it computes for a minute of an idle machine
def test_no_500_and_no_undocumented_answer(tmp_path: Path) -> None:
    run(tmp_path, 6)


@pytest.mark.prove
@pytest.mark.timeout(1800)
def test_the_same_for_longer(tmp_path: Path) -> None:
    run(tmp_path, 150)
