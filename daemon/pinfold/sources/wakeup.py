"""What ends the loop's sleep: a descriptor that any thread may ring, and the period's clock as a value."""

import contextlib
import os
from dataclasses import dataclass
from typing import Self


class Wakeup:
    """An eventfd: many rings before the loop wakes are one."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def fileno(self) -> int:
        return self._fd

    def wake(self) -> None:
        """Ring; from any thread, and from a signal handler. After close() nobody listens and nothing happens."""
        if self._fd >= 0:
            with contextlib.suppress(BlockingIOError):  # the counter is full: the loop is as good as awake
                os.eventfd_write(self._fd, 1)

    def drain(self) -> bool:
        """Take the rings away; whether there were any."""
        try:
            return os.eventfd_read(self._fd) > 0
        except BlockingIOError:
            return False

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


@dataclass(frozen=True, slots=True)
class Timer:
    """When the loop must look again though nothing rang. Times are seconds of one monotonic clock."""

    period_s: float
    due_at_s: float

    def due(self, now_s: float) -> bool:
        return now_s >= self.due_at_s

    def remaining_s(self, now_s: float) -> float:
        """How long a selector may sleep."""
        return max(0.0, self.due_at_s - now_s)

    def restarted(self, now_s: float) -> Self:
        """The next period begins now: what was missed while the loop was busy is not made up for."""
        return type(self)(self.period_s, now_s + self.period_s)
