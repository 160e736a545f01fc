"""A neighbour that is not silent: busy half of the time. Standard library only: it runs as ``python3 -I -S``."""

import time

BUSY_S = 0.02

while True:
    until = time.monotonic() + BUSY_S
    while time.monotonic() < until:
        pass
    time.sleep(BUSY_S)
