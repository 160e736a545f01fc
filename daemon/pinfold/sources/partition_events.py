"""Partitions that the kernel breaks or mends by itself, told as it happens.

Inotify is silent on that: a partition whose last CPU goes offline turns invalid without a write. Its
``cpuset.cpus.partition`` wakes a poll when the word in it changes, also by a write, and for nothing else (6.12).
"""

import errno
import os
import select
from collections.abc import Collection
from pathlib import Path
from typing import Final

_FILE: Final = "cpuset.cpus.partition"
_NO_POLL: Final = {errno.ENOENT, errno.ENODEV, errno.EPERM}
"""The cgroup is gone, or this is a copy of a cgroup tree, whose files nobody can wait for."""


class PartitionEvents:
    """Cgroups are paths below *mount*, without a leading slash."""

    def __init__(self, mount: Path) -> None:
        self.fault = ""
        """Why some partitions are not watched, and the remedy."""
        self._mount = mount
        self._poll = select.epoll()
        self._files: dict[str, int] = {}
        self._paths: dict[int, str] = {}

    def fileno(self) -> int:
        return self._poll.fileno()

    @property
    def watched(self) -> Collection[str]:
        return self._files.keys()

    def watch(self, paths: Collection[str]) -> None:
        """Wait for exactly *paths*; one that is gone is left out."""
        for path in self._files.keys() - set(paths):
            self._unwatch(path)
        self.fault = ""
        for path in sorted(set(paths) - self._files.keys()):
            try:
                fd = os.open(self._mount / path / _FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except OSError as error:
                if error.errno in {errno.EMFILE, errno.ENFILE}:
                    self.fault = "no file descriptor is left to watch partitions with: raise LimitNOFILE="
                    return
                if error.errno not in _NO_POLL:
                    raise
                continue
            self._files[path], self._paths[fd] = fd, path
            try:
                self._poll.register(fd, select.EPOLLPRI)
            except OSError as error:
                if error.errno not in _NO_POLL:
                    raise
                self._unwatch(path)
            else:
                self._take(path)

    def drain(self) -> frozenset[str]:
        """The cgroups whose word changed since the last time, without waiting; one that is gone is watched no more."""
        changed = frozenset(self._paths[fd] for fd, _ in self._poll.poll(0))
        for path in changed:
            self._take(path)
        return changed

    def close(self) -> None:
        for path in tuple(self._files):
            self._unwatch(path)
        self._poll.close()

    def _take(self, path: str) -> None:
        """Read the word: from then on the next change wakes."""
        try:
            os.pread(self._files[path], 256, 0)
        except OSError:  # the cgroup is gone
            self._unwatch(path)

    def _unwatch(self, path: str) -> None:
        fd = self._files.pop(path)
        del self._paths[fd]
        os.close(fd)  # the poll forgets it, too
