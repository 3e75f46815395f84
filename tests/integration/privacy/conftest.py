"""Bare servers for the privacy tests."""

from pathlib import Path

import pytest

from storage.stores import Stores
from tests.support.privacy.rig import Rig
from tests.support.servers.store_fixtures import Servers, servers, stores

__all__ = ["servers", "stores"]


@pytest.fixture
async def rig(stores: Stores, servers: Servers, tmp_path: Path) -> Rig:
    """Two persons at one camera on one day, and a third at another camera."""
    made = Rig(stores, servers.settings, tmp_path)
    await made.plant()
    return made
