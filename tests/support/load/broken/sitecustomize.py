"""Makes a product of one of `tests.support.load.broken_product.VARIANTS`: Python runs this at its
start, where this folder is on the path.

Only in Ray's workers, which hold hubs and actors: the load tests and their checker stay as they
are.
"""

import os
import sys

if (variant := os.environ.get("BROKEN_VARIANT")) and any(
    part.endswith("default_worker.py") for part in sys.orig_argv
):
    from tests.support.load import broken_product

    broken_product.install(variant)
