"""A task of the host that will not be kept off a CPU: it asks for the CPU of its argument again and again.

Standard library only: it runs as ``python3 -I -S``.
"""

import contextlib
import os
import sys
import time

CPU = int(sys.argv[1])

while True:
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {CPU})
    until = time.monotonic() + 0.002
    while time.monotonic() < until:
        pass
    time.sleep(0.05)
