"""What the documents and stubs say about every primitive, from the registry and from running the ops: `make docs`.

May import both frameworks, both fronts and `overbar`.
"""

import os

from overbar.import_order import triton_first

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
triton_first()
