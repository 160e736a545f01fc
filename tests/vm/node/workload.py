"""What a container image with threads does here: THREADS threads that work a little and sleep a lot.

Standard library and no imports of ours: it runs as ``python3 -I -S``.
"""

import os
import threading
import time


def work() -> None:
    while True:
        until = time.monotonic() + 0.005
        while time.monotonic() < until:
            pass
        time.sleep(0.25)


for _ in range(int(os.environ["THREADS"]) - 1):
    threading.Thread(target=work).start()
work()
