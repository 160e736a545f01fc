"""Waiting for what another thread does: polled, with a deadline that no slow day reaches."""

import time
from collections.abc import Callable

DEADLINE_S = 30.0


def until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < end, f"not within {DEADLINE_S:g} s: {what}"
        time.sleep(0.005)
