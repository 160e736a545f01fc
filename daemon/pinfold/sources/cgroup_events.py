"""What others do in the cgroup tree, seen by inotify as it happens.

A watch on a cgroup's directory tells of its children and of every write to a control file in it, by anyone, ourselves
included; it is silent on what the kernel changes by itself (``*.effective``, a partition gone invalid), and of
``mkdir -p a/b/c`` it shows only ``a`` (6.1 and 6.12): whoever adds a watch lists the directory afterwards.
"""

import errno
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from inotify_simple import flags

from pinfold.sources.inotify import NO_WATCH_LEFT, opened

_MUTED: Final = flags.CREATE | flags.DELETE | flags.ONLYDIR | flags.DONT_FOLLOW
_MASK: Final = _MUTED | flags.MODIFY


class Happening(StrEnum):
    CREATED = "created"
    REMOVED = "removed"
    WRITTEN = "written"
    """A control file; ``cgroup.events`` when its populated or frozen changed."""
    GONE = "gone"
    """The watched cgroup itself: it is watched no more."""


@dataclass(frozen=True, slots=True)
class Change:
    happening: Happening
    path: str
    """The watched cgroup."""
    name: str = ""
    """The child or the file."""


@dataclass(frozen=True, slots=True)
class Changes:
    seen: tuple[Change, ...] = ()
    """In order, each once."""
    overflowed: bool = False
    """The kernel dropped events: look at everything."""

    @property
    def paths(self) -> frozenset[str]:
        """The cgroups to look at again."""
        return frozenset(change.path for change in self.seen)


class CgroupEvents:
    """Cgroups are paths below *mount*, without a leading slash; empty: the root itself."""

    def __init__(self, mount: Path) -> None:
        """Raises InotifyLimitError."""
        self.fault = ""
        """Why some cgroups are not watched, and the remedy."""
        self._mount = mount
        self._inotify = opened()
        self._paths: dict[int, str] = {}
        self._watches: dict[str, int] = {}
        self._muted: frozenset[str] = frozenset()

    def fileno(self) -> int:
        return int(self._inotify.fileno())

    @property
    def watched(self) -> Collection[str]:
        return self._watches.keys()

    @property
    def heard(self) -> frozenset[str]:
        """Those of the watched that are not muted."""
        return frozenset(self._watches) - self._muted

    def watch(self, paths: Collection[str], muted: Collection[str] = ()) -> frozenset[str]:
        """Watch exactly *paths*, and in those that are *muted* only which children come and go.

        Gives those of which more is heard from now on, to be looked at once more. One that is gone is left out.
        """
        wanted, before = frozenset(paths), self._muted
        self._muted = wanted & frozenset(muted)
        for path in self._watches.keys() - wanted:
            self._unwatch(path)
        self.fault = ""
        for path in self._watches.keys() & (self._muted - before):
            self._watch(path)
        more = (wanted - self._watches.keys()) | (wanted & before - self._muted)
        return frozenset(path for path in sorted(more) if self._watch(path))

    def also(self, path: str) -> bool:
        """Watch *path* too, until `watch` says otherwise; whether it is watched."""
        return path in self._watches or self._watch(path)

    def drain(self) -> Changes:
        """What happened since the last time, without waiting."""
        seen: dict[Change, None] = {}
        overflowed = False
        for event in self._inotify.read(timeout=0):
            if event.mask & flags.Q_OVERFLOW:
                overflowed = True
            elif (path := self._paths.get(event.wd)) is None:
                continue  # it was unwatched with events on their way
            elif event.mask & flags.IGNORED:
                del self._paths[event.wd], self._watches[path]
                seen[Change(Happening.GONE, path)] = None
            elif event.mask & flags.MODIFY:
                seen[Change(Happening.WRITTEN, path, event.name)] = None
            elif event.mask & flags.ISDIR:
                made = event.mask & flags.CREATE
                seen[Change(Happening.CREATED if made else Happening.REMOVED, path, event.name)] = None
        return Changes(tuple(seen), overflowed)

    def close(self) -> None:
        self._inotify.close()

    def _watch(self, path: str) -> bool:
        try:
            watch = self._inotify.add_watch(self._mount / path, _MUTED if path in self._muted else _MASK)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                self.fault = NO_WATCH_LEFT
            elif error.errno not in {errno.ENOENT, errno.ENOTDIR}:
                raise
            return False
        self._paths[watch] = path
        self._watches[path] = watch
        return True

    def _unwatch(self, path: str) -> None:
        watch = self._watches.pop(path)
        del self._paths[watch]
        try:
            self._inotify.rm_watch(watch)
        except OSError as error:
            if error.errno != errno.EINVAL:  # the cgroup is gone, and the watch with it
                raise
