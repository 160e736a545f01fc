"""Decision vectors: what the kubelet decides, as JSON, run through the functions that the daemon itself uses.

``python -m tests.vectors FILE…`` reads files in the format of ``../shared/vectors``, which its README.md and the
``format`` of each file tell, runs every vector, prints every difference and closes with ``N passed, N failed``; it
ends with 1 where one failed. ``--own-rules`` also lists, rule by rule, which vectors come out otherwise under
Pinfold's own rules.

A vector is run by the operation of its kind (``ops.kind_of``). The modules that end in ``_ops`` hold one function for
each kind, registered by ``@op(KIND)``; it returns what came out, under the names that ``expect`` uses. A kind without
an operation fails, and so does an expectation that the operation says nothing about.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("pinfold") is None:  # run from a checkout that is not installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "daemon"))
