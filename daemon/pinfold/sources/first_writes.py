"""Whether somebody writes to cgroups that are written to all the time: asked now and then, for one event an answer.

A watch with IN_ONESHOT tells the first thing that happens and then is gone; so however fast somebody writes, nobody
wakes. Source: inotify(7).
"""

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from inotify_simple import INotify, flags

from pinfold.sources.inotify import InotifyLimitError, opened

_MASK: Final = flags.MODIFY | flags.ONESHOT | flags.ONLYDIR | flags.DONT_FOLLOW


class FirstWrites:
    """Cgroups are paths below *mount*, without a leading slash; of their files, *files* count."""

    def __init__(self, mount: Path, files: Collection[str]) -> None:
        self._mount, self._files = mount, files
        self._inotify: INotify | None = None

    def since(self, paths: Collection[str]) -> bool:
        """Whether any of *paths* was written to since the last call that named it, ourselves included.

        Never where the node has no inotify left.
        """
        if self._inotify is None and paths:
            with suppress(InotifyLimitError):
                self._inotify = opened()
        if self._inotify is None:
            return False
        wrote = any(event.name in self._files for event in self._inotify.read(timeout=0))
        for path in paths:
            with suppress(OSError):  # it is gone, or no watch is left
                self._inotify.add_watch(self._mount / path, _MASK)
        return wrote

    def close(self) -> None:
        if self._inotify is not None:
            self._inotify.close()
