"""What a hub remembers of where cameras live: the process of a camera and where that takes links,
bounded."""

from collections import OrderedDict
from collections.abc import Mapping

from actors.links.address import LinkAddress

MAX_CAMERAS = 100_000  # cameras remembered
MAX_PROCESSES = 8_192  # processes whose address is remembered


class KnownPlaces:
    """The oldest go first. A camera whose process is not remembered is not known."""

    def __init__(self, *, cameras: int = MAX_CAMERAS, processes: int = MAX_PROCESSES) -> None:
        self._max_cameras = cameras
        self._max_processes = processes
        self._names: OrderedDict[str, str] = OrderedDict()
        self._addresses: OrderedDict[str, LinkAddress] = OrderedDict()

    def __contains__(self, name: str) -> bool:
        """Is the process `name` remembered?"""
        return name in self._addresses

    def find(self, camera: str) -> tuple[str, LinkAddress] | None:
        """The process of `camera` and its address, or None."""
        name = self._names.get(camera, "")
        address = self._addresses.get(name)
        return None if address is None else (name, address)

    def learn(self, placed: Mapping[str, str], addresses: Mapping[str, LinkAddress]) -> list[str]:
        """Camera → process, and process → address; the processes that are not remembered any
        more."""
        for camera, name in placed.items():
            self._names[camera] = name
            self._names.move_to_end(camera)
        for name, address in addresses.items():
            self._addresses[name] = address
            self._addresses.move_to_end(name)
        while len(self._names) > self._max_cameras:
            self._names.popitem(last=False)
        gone = []
        while len(self._addresses) > self._max_processes:
            gone.append(self._addresses.popitem(last=False)[0])
        return gone

    def forget(self, name: str) -> None:
        """The process `name` is lost, or does not have all that it is said to have."""
        self._addresses.pop(name, None)
        for camera in [camera for camera, known in self._names.items() if known == name]:
            del self._names[camera]
