"""A node and its own address."""

import pytest

from actors.core.errors import StartError
from cluster.ray.node import BESIDE, own_address


def test_a_node_s_own_address_is_the_one_towards_the_head() -> None:
    assert own_address("127.0.0.2:6380") == BESIDE
    with pytest.raises(StartError, match="cannot be reached"):
        own_address("127.0.0.2:port")
