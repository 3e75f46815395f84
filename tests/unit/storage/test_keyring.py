"""`storage.keyring.FolderKeyring`: keys that lie outside the database, and that can be erased."""

import stat
from pathlib import Path

import pytest

from actors.core.errors import Unavailable
from storage.keyring import FolderKeyring
from storage.ports.keyring import KEY_BYTES, KeyScope

PLATES = KeyScope("20261130", "north", "cam-1", "plates")
NAMES = PLATES._replace(class_="names")


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def ring(tmp_path: Path, clock: Clock | None = None) -> FolderKeyring:
    """Another process's view of one folder."""
    return FolderKeyring(tmp_path / "keyring", now=clock or Clock())


async def test_every_scope_has_a_key_of_its_own_that_all_processes_share(tmp_path: Path) -> None:
    made = await ring(tmp_path).current({PLATES, NAMES})
    assert {key.id for key in made.values()} == {
        "20261130/north/cam-1/plates/1",
        "20261130/north/cam-1/names/1",
    }
    assert {len(key.secret) for key in made.values()} == {KEY_BYTES}
    assert made[PLATES].secret != made[NAMES].secret
    other = ring(tmp_path)
    assert await other.current({PLATES}) == {PLATES: made[PLATES]}
    assert await other.find([made[NAMES].id]) == {made[NAMES].id: made[NAMES].secret}
    assert await other.ids() == sorted(key.id for key in made.values())


async def test_nobody_else_may_read_a_key(tmp_path: Path) -> None:
    await ring(tmp_path).current({PLATES})
    for path in [tmp_path / "keyring", *(tmp_path / "keyring").rglob("*")]:
        mode = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.lstat().st_mode) == mode, path


async def test_a_key_that_others_may_read_is_used_no_more(tmp_path: Path) -> None:
    await ring(tmp_path).current({PLATES})
    path = tmp_path / "keyring" / "20261130/north/cam-1/plates/1.key"
    path.chmod(0o644)
    with pytest.raises(Unavailable, match="others may read"):
        await ring(tmp_path).current({PLATES})
    with pytest.raises(Unavailable, match="others may read"):
        await ring(tmp_path).find(["20261130/north/cam-1/plates/1"])


async def test_a_destroyed_key_is_gone_and_remembered_and_its_number_never_comes_again(
    tmp_path: Path,
) -> None:
    keys = ring(tmp_path)
    first = (await keys.current({PLATES}))[PLATES]
    assert await keys.destroy([first.id]) == [first.id]
    assert await keys.destroy([first.id]) == []
    assert await keys.find([first.id, "20261130/north/cam-1/plates/9"]) == {first.id: None}
    second = (await keys.current({PLATES}))[PLATES]
    assert second.id == "20261130/north/cam-1/plates/2"
    assert await keys.ids() == [second.id]
    everything = b"".join(
        path.read_bytes() for path in (tmp_path / "keyring").rglob("*") if path.is_file()
    )
    assert first.secret not in everything
    assert second.secret in everything


async def test_another_process_leaves_a_destroyed_key_within_a_second(tmp_path: Path) -> None:
    clock = Clock()
    other = ring(tmp_path, clock)
    first = (await other.current({PLATES}))[PLATES]
    assert await other.find([first.id]) == {first.id: first.secret}
    await ring(tmp_path).destroy([first.id])
    clock.now += 1.1
    assert (await other.current({PLATES}))[PLATES].id != first.id
    assert await other.find([first.id]) == {first.id: None}


async def test_a_key_that_was_never_here_cannot_come_later_once_it_is_destroyed(
    tmp_path: Path,
) -> None:
    name = "20261130/north/cam-1/plates/1"
    assert await ring(tmp_path).destroy([name]) == [name]
    path = tmp_path / "keyring" / f"{name}.key"
    path.write_bytes(bytes(KEY_BYTES))  # a backup of the folder is put back over it
    path.chmod(0o600)
    assert await ring(tmp_path).find([name]) == {name: None}
    assert (await ring(tmp_path).current({PLATES}))[PLATES].id == "20261130/north/cam-1/plates/2"
    assert await ring(tmp_path).destroy([name]) == [name]
    assert not path.exists()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "1",
        "../../etc/passwd",
        "20261130/north/../plates/1",
        "20261130/north/cam-1/plates/0",
        "/20261130/north/cam-1/plates/1",
        "20261130/north/cam-1/plates/1.key",
    ],
)
async def test_an_id_never_leaves_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        await ring(tmp_path).find([name])
    with pytest.raises(ValueError, match="is no"):
        await ring(tmp_path).destroy([name])


async def test_a_folder_that_cannot_be_written_stores_nothing(tmp_path: Path) -> None:
    (tmp_path / "keyring").write_text("no folder")
    with pytest.raises(Unavailable, match="cannot be used"):
        await ring(tmp_path).current({PLATES})
