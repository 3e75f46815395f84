"""Which cameras belong to the walls of this hub, compared with the registry: new ones appear,
deleted ones disappear, and others than before may see one whose tags have changed.

A deleted camera publishes nothing more, so nobody would say so. Its walls get a whole message
(``full``), which holds everything there is.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from actors.core.errors import EyrieError
from hub.access.registry_cache import CameraCache
from hub.fanout.fanout import Fanout
from hub.fanout.feed import Feed
from hub.fanout.topics import Topic
from hub.protocol import channels

COMPARE_S = (
    1.0  # seconds between two comparisons; the cache in front of the registry makes them fewer
)
HURRY_S = 0.1  # the same, while events of a site wait for one
RESTING = 4  # times as long as everybody was asked the last time nobody is asked again

log = logging.getLogger(__name__)


class Membership:
    """Over what a hub knows live. `changed(sites, cameras, then)` asks policy again about whoever
    sees these cameras, and then calls `then`."""

    def __init__(
        self,
        cameras: CameraCache,
        feed: Feed,
        fanout: Fanout,
        topics: dict[str, Topic],
        changed: Callable[[set[str], set[str], Callable[[], None]], None],
    ) -> None:
        self._cameras = cameras
        self._fanout = fanout
        self._feed = feed
        self._topics = topics
        self._versions: dict[
            str, dict[str, int]
        ] = {}  # by site and camera, as they were when policy was asked about them
        self._asking = False
        self._took_s = 0.0  # to ask everybody, the last time
        self._changed = changed

    async def run(self) -> None:
        """Compare again and again, until cancelled."""
        while True:
            await self._sleep()
            try:
                await self.compare()
                await self.compare_versions()
            except EyrieError as error:
                log.info("the registry cannot be compared with the walls now: %s", error)

    async def _sleep(self) -> None:
        """Until it is time, or a site's events wait for a look."""
        until = time.monotonic() + COMPARE_S
        await asyncio.sleep(min(COMPARE_S, max(HURRY_S, RESTING * self._took_s)))
        while time.monotonic() < until and not self._feed.newcomers.waiting():
            await asyncio.sleep(min(COMPARE_S, HURRY_S))

    async def compare(self) -> None:
        """Compare every watched site once. Raises what the registry raises when it is away."""
        live = self._feed.live
        for site in [site for site in live.sites() if live.complete(site)]:
            records = await self._cameras.cameras(site)
            registered, seen = (
                {record.camera for record in records},
                {record.camera for record in records if record.seen},
            )
            if not live.complete(site):
                continue  # given up meanwhile: what is expected now would turn stale unheard
            known = set(live.cameras(site))
            for camera in sorted(registered - known):
                live.expect(site, [camera], time.monotonic(), seen=seen)
                self._feed.mark(site, camera)
            for camera in sorted(known - registered):
                # A camera may be newer than what the cache knows: the registry itself is asked.
                self._cameras.forget(camera, site)
                record = await self._cameras.camera(camera)
                if record is None or record.site != site:
                    self._lose(site, camera)

    async def compare_versions(self) -> None:
        """Tell `changed` (sites, cameras) where cameras are new, gone or changed since the last
        look, and show new ones when everybody has been asked about: until then there is no other
        look. Raises what the registry raises."""
        if self._asking:
            return
        watched = {topic.site for topic in self._topics.values() if topic.site}
        if any(topic.channel.scope == "fleet" for topic in self._topics.values()):
            watched |= set(await self._cameras.sites())
        for site in self._feed.newcomers.waiting():
            self._cameras.forget("", site)
            watched.add(site)
        self._versions = {site: known for site, known in self._versions.items() if site in watched}
        sites, cameras, ever = set[str](), set[str](), dict[str, list[str]]()
        for site in watched:
            found = {record.camera: record.version for record in await self._cameras.ever(site)}
            # At the first look nothing is known: what was decided until then may rest on something
            # older than this.
            known = self._versions.get(site, {})
            differ = {
                camera
                for camera in found.keys() | known.keys()
                if found.get(camera) != known.get(camera)
            }
            for camera in differ:
                self._cameras.forget(camera, site)
            if differ:
                sites.add(site)
                cameras |= differ
            self._versions[site] = found
            ever[site] = list(found)

        began = time.monotonic()

        def admit() -> None:
            self._asking, self._took_s = False, time.monotonic() - began
            for site, names in ever.items():
                self._feed.admit(site, names)

        if not cameras:
            admit()
        else:
            log.info(
                "%d cameras are new, gone or others than when policy was asked about them",
                len(cameras),
            )
            self._asking = True
            self._changed(sites, cameras, admit)

    def _lose(self, site: str, camera: str) -> None:
        log.info("camera %s does not belong to site %s any more", camera, site)
        self._feed.live.forget_camera(site, camera)
        for name in (channels.site(site), "fleet"):
            topic = self._topics.get(name)
            if topic is not None and topic.wall is not None:
                topic.show_whole(self._fanout, camera)
        for name in (channels.camera(camera), channels.camera_events(camera)):
            if (topic := self._topics.get(name)) is not None:
                topic.evict()
