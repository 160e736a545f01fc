"""An API server for tests and benchmarks: pods and Events over real HTTP, with every fault that a real one has.

``with LocalApiServer() as server`` in a test, ``python -m tests.apiserver`` beside one.
"""

from tests.apiserver.faults import Drop, Fault, Garbage, Hang, Refuse, Slow
from tests.apiserver.server import LocalApiServer

__all__ = ["Drop", "Fault", "Garbage", "Hang", "LocalApiServer", "Refuse", "Slow"]
