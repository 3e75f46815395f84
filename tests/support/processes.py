"""What the kernel says of a process: whether a fault that a test injects has really happened."""

from pathlib import Path


def frozen(pid: int) -> bool:
    """Whether every thread of `pid` is stopped (state T, proc(5)). SIGSTOP returns before a thread
    in the kernel stands still."""
    states = [_state(task) for task in Path(f"/proc/{pid}/task").iterdir()]
    return bool(states) and all(state == "T" for state in states)


def gone(pid: int) -> bool:
    """Whether `pid` has ended, reaped or not."""
    return _state(Path(f"/proc/{pid}")) in ("", "X", "Z")


def _state(folder: Path) -> str:
    """The letter of proc(5); empty when there is no such process or thread."""
    try:
        return (folder / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""
