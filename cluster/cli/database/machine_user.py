"""Who runs a command, for records of who changed what."""

import os
import pwd


def machine_user() -> str:
    """The real user of this process by the system's table: the environment (`LOGNAME`, `USER`) says
    what anybody likes."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # a container's user of no name
        return f"uid-{number}"
