"""A network namespace with a link of its own to this one: another machine, as far as the network
goes. Linux, root and iproute2."""

import contextlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator

SUBNET = "10.213.77"


def impossible() -> str:
    """Why there can be none here, or an empty text."""
    if shutil.which("ip") is None:
        return "iproute2 is not installed"
    return "" if os.geteuid() == 0 else "network namespaces need root"


class Namespace:
    """`here` is this side's address, `there` the other's."""

    def __init__(self) -> None:
        tag = secrets.token_hex(3)
        self.name, self._link, self._far = f"eyrie-{tag}", f"ey{tag}a", f"ey{tag}b"
        self.here, self.there = f"{SUBNET}.1", f"{SUBNET}.2"

    @property
    def enter(self) -> list[str]:
        """Words before a command that is to run there."""
        return ["ip", "netns", "exec", self.name]

    def build(self) -> None:
        """Make it."""
        for words in (
            f"netns add {self.name}",
            f"link add {self._link} type veth peer name {self._far}",
            f"link set {self._far} netns {self.name}",
            f"addr add {self.here}/24 dev {self._link}",
            f"link set {self._link} up",
            f"-n {self.name} addr add {self.there}/24 dev {self._far}",
            f"-n {self.name} link set {self._far} up",
            f"-n {self.name} link set lo up",
        ):
            subprocess.run(["ip", *words.split()], check=True, timeout=10)

    def cut(self) -> None:
        """Nothing passes any more, and nobody is told: packets are dropped."""
        subprocess.run(
            ["ip", "-n", self.name, "link", "set", self._far, "down"], check=True, timeout=10
        )

    def mend(self) -> None:
        """It passes again."""
        subprocess.run(
            ["ip", "-n", self.name, "link", "set", self._far, "up"], check=True, timeout=10
        )

    def remove(self) -> None:
        """Take it away, and the link with it."""
        subprocess.run(
            ["ip", "link", "del", self._link], check=False, timeout=10, capture_output=True
        )
        subprocess.run(
            ["ip", "netns", "del", self.name], check=False, timeout=10, capture_output=True
        )


@contextlib.contextmanager
def namespace() -> Iterator[Namespace]:
    """One that exists, gone at the end."""
    made = Namespace()
    try:
        made.build()
        yield made
    finally:
        made.remove()
