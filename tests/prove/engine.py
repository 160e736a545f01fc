"""A latency-sensitive engine: it wakes every millisecond and notes how late it was, then answers a request.

Standard library and no imports of ours: it runs as ``python3 -I -S`` in a container. SIGUSR1 begins the measurement,
SIGTERM ends it and writes what was measured to the file in RESULT, in nanoseconds.
"""

import json
import os
import signal
import time
from pathlib import Path

PERIOD_NS = 1_000_000
REQUEST = tuple(range(2000))


def main() -> None:
    late: list[int] = []
    served: list[int] = []
    began = False

    def begin(*_: object) -> None:
        nonlocal began
        late.clear()
        served.clear()
        began = True

    def end(*_: object) -> None:
        text = json.dumps({"late_ns": late, "served_ns": served})
        Path(os.environ["RESULT"]).write_text(text)
        os._exit(0)

    signal.signal(signal.SIGUSR1, begin)
    signal.signal(signal.SIGTERM, end)
    due = time.monotonic_ns()
    while True:
        due += PERIOD_NS
        if (left := due - time.monotonic_ns()) > 0:
            time.sleep(left / 1e9)
        woken = time.monotonic_ns()
        sum(REQUEST)
        done = time.monotonic_ns()
        if began:
            late.append(woken - due)
            served.append(done - woken)
        if done - due > PERIOD_NS:
            due = done


main()
