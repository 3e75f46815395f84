"""What load tests read back of a run comes in slices, and is whole."""

from load_tests.checker.stored import install_witness, moves_of
from storage.postgres.pool import Database
from storage.stores import open_stores
from tests.support.servers.store_fixtures import Servers
from tests.support.store_rows import event_of, row_of, running

CAMERAS = ["slice-1", "slice-2"]


async def test_moves_are_the_same_in_slices_of_any_size(servers: Servers) -> None:
    stores = await open_stores(servers.settings, name="test")
    database = await Database.open(servers.settings.postgres, name="look", size=1)
    try:
        await install_witness(servers.settings.postgres)
        at = await running(stores.registry, stores.cameras, CAMERAS)
        for _ in range(4):
            rows = [
                row_of(name, generation, position, events=[event_of(name, position)])
                for name, (generation, position) in at.items()
            ]
            assert await stores.cameras.commit(rows) == set(CAMERAS)
            at = {row.camera: (row.generation, row.after) for row in rows}
        whole = await moves_of(database, CAMERAS)
        assert [(move.camera, move.offset) for move in whole if move.offset] == [
            (name, n) for n in range(1, 5) for name in CAMERAS
        ]
        for size in (1, 3, 4):
            assert await moves_of(database, CAMERAS, size) == whole
    finally:
        await database.fetch(
            "DROP TRIGGER IF EXISTS witness ON positions", writing=True
        )  # the servers are shared
        await database.close()
        await stores.close()
