"""A ring when the kubelet writes a state file of its managers, or removes one: that is how its policy changes."""

from pathlib import Path
from typing import Final

from inotify_simple import flags

from pinfold.sources.inotify import opened
from pinfold.sources.kubelet_state import CPU_FILE, MEMORY_FILE

_MASK: Final = flags.CLOSE_WRITE | flags.MOVED_TO | flags.MOVED_FROM | flags.DELETE | flags.DELETE_SELF | flags.ONLYDIR


class KubeletEvents:
    """The files are replaced by renaming; their directory is watched, while it is there."""

    def __init__(self, root: Path) -> None:
        """Raises InotifyLimitError."""
        self._root = root
        self._inotify = opened()
        self._watched = False
        self.refresh()

    def fileno(self) -> int:
        return int(self._inotify.fileno())

    def refresh(self) -> None:
        """For the timer: the directory may be there now."""
        if not self._watched:
            try:
                self._inotify.add_watch(self._root, _MASK)
            except OSError:  # not there, or no watch is left: the timer serves
                return
            self._watched = True

    def drain(self) -> bool:
        """Take what rang; whether it was one of the two files, or their directory."""
        rang = False
        for event in self._inotify.read(timeout=0):
            if event.mask & (flags.IGNORED | flags.DELETE_SELF):
                self._watched, rang = False, True
            rang |= bool(event.mask & flags.Q_OVERFLOW) or event.name in {CPU_FILE, MEMORY_FILE}
        return rang

    def close(self) -> None:
        self._inotify.close()
