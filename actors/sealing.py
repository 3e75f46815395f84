"""How an actor process takes the personal values out of the events that it commits: by the classes
of its deployment, with salts out of fresh random bytes."""

import os

from actors.core.attribute_classes import BUILT_IN, Classes
from actors.core.camera import core as camera_core
from actors.core.camera.core import CameraCore
from actors.core.messages.commits import CommitRow
from actors.core.messages.personal import ENTROPY_BYTES, Sealing


class Sealer:
    """Under `classes`."""

    def __init__(self, classes: Classes = BUILT_IN) -> None:
        self._classes = classes

    def row_of(self, core: CameraCore) -> CommitRow | None:
        """What a camera has to write, its personal values beside the bodies."""
        return camera_core.pending_commit(core, Sealing(os.urandom(ENTROPY_BYTES), self._classes))
