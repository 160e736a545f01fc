"""A container that has memory: ANONYMOUS MiB touched on the CPUs ON, and FILE read over and over; PASSES 0: for ever.

Standard library and no imports of ours: it runs as ``python3 -I -S``.
"""

import os
import time

if cpus := os.environ.get("ON"):
    os.sched_setaffinity(0, {int(cpus)})
hog = b"x" * (int(os.environ["ANONYMOUS"]) << 20)
if cpus:
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
passes = int(os.environ.get("PASSES", "0")) or -1
while passes and (path := os.environ.get("FILE")):
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123  pathlib is an import
        while file.read(1 << 20):
            pass
    passes -= 1
while True:
    time.sleep(3600)
