"""Migrations of running pods' memory, one after another in a thread of their own: the loop asks and goes on.

How much would move is asked first; beyond the configured size it is not begun. What came of it is immutable and is read
by other threads. The write that ends a migration is on disk as ours before it is asked for.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import structlog

from pinfold.cgroups.executor import Kernel
from pinfold.cgroups.files import CgroupError, CgroupGoneError
from pinfold.cgroups.migration import MigrationError, Move, Reading, migrate_pages, migrated, size_bytes
from pinfold.cgroups.paths import CgroupPath
from pinfold.cgroups.writes import Write
from pinfold.report.migration import Migrated, Migrating, Result

RETRY_S = 60.0
"""What was too large, or failed, is asked about again after so long."""

log = structlog.get_logger()


class NodeFs(Reading, Kernel, Protocol):
    """`files.Cgroupfs`."""


class Migrations:
    """Starts its thread when it is first asked. *max_bytes*: the most that one may move."""

    def __init__(
        self,
        fs: NodeFs,
        max_bytes: int,
        wake: Callable[[], None],
        move: Move = migrate_pages,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fs, self._max_bytes, self._wake, self._move, self._clock = fs, max_bytes, wake, move, clock
        self._asked: dict[CgroupPath, Write] = {}
        self._again_at_s: dict[tuple[CgroupPath, str], float] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self.progress = Migrated()

    def ask(self, writes: tuple[Write, ...]) -> None:
        """Have these done; what was asked for before and is none of them any more, is not."""
        with self._changed:
            self._asked = {write.path: write for write in writes}
            self._again_at_s = {one: at for one, at in self._again_at_s.items() if one[0] in self._asked}
            self._changed.notify()
        if writes and self._thread is None:
            self._thread = threading.Thread(target=self._work, name="migrations", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """One under way goes on to the end of the process that it is at; the next daemon begins it anew."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread:
            self._thread.join(timeout=1.0)

    def _work(self) -> None:
        while (write := self._next()) is not None:
            began = self._clock()
            try:
                size, result, why = self._migrate(write)
            except (CgroupError, MigrationError) as error:
                gone = isinstance(error, CgroupGoneError)
                size, result, why = 0, Result.CANCELLED if gone else Result.FAILED, "" if gone else str(error)
            seconds = self._clock() - began
            if why:
                self._again_at_s[write.path, write.value] = self._clock() + RETRY_S
            self.progress = self.progress.ended(write.path, result, why, size, seconds)
            tell = log.info if result in {Result.DONE, Result.CANCELLED} else log.warning
            tell("memory.migrated", cgroup=write.path, mems=write.value, result=result.value, reason=why, bytes=size)
            self._wake()

    def _next(self) -> Write | None:
        """The next one that is due; None when closing."""
        with self._changed:
            while not self._closing:
                now = self._clock()
                due = {one: self._again_at_s.get((one.path, one.value), now) - now for one in self._asked.values()}
                if (write := min(due, key=due.__getitem__, default=None)) and due[write] <= 0:
                    return write
                self._changed.wait(due[write] if write else None)
            return None

    def _migrate(self, write: Write) -> tuple[int, Result, str]:
        """Bytes moved, and what came of it."""
        size = left = size_bytes(self._fs, write)
        if size > self._max_bytes:
            why = f"{size >> 20} MiB lie elsewhere, memoryMigrationMaxSize is {self._max_bytes >> 20} MiB"
            return 0, Result.TOO_LARGE, why
        self.progress = replace(self.progress, running=Migrating(write.path, write.value, size, left))
        for left in migrated(self._fs, write, self._move):
            self.progress = replace(self.progress, running=Migrating(write.path, write.value, size, left))
            if not self._is_asked(write):
                return size - left, Result.CANCELLED, ""
        with self._changed:  # what is asked for now is not taken back while it is written
            if self._closing or self._asked.get(write.path) != write:
                return size - left, Result.CANCELLED, ""
            self._fs.write(write.path, write.file, write.value)
            del self._asked[write.path]
        return size - left, Result.DONE, ""

    def _is_asked(self, write: Write) -> bool:
        with self._changed:
            return not self._closing and self._asked.get(write.path) == write
