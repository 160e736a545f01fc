"""A directory of pod manifests, read as the kubelet reads its static ones: all that is not hidden, nothing below it.

Only what changed is read again. A bad file is a fault of its own and the others stay; while the directory itself cannot
be read, the last picture stays whole. Where the node has no inotify left for it, the timer serves.
"""

import errno
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from inotify_simple import INotify, flags

from pinfold.pods.model import InvalidPod
from pinfold.sources.documents import Documents, read
from pinfold.sources.inotify import NO_WATCH_LEFT, InotifyLimitError, opened
from pinfold.sources.picture import Pods, trimmed

MAX_FILE_BYTES: Final = 1 << 20
_MASK: Final = (
    flags.CLOSE_WRITE
    | flags.ATTRIB
    | flags.MOVED_FROM
    | flags.MOVED_TO
    | flags.CREATE
    | flags.DELETE
    | flags.DELETE_SELF
    | flags.MOVE_SELF
    | flags.ONLYDIR
)
_LOST: Final = flags.DELETE_SELF | flags.MOVE_SELF | flags.IGNORED


@dataclass(frozen=True, slots=True)
class _File:
    stamp: tuple[int, ...]
    """Device, inode, size, times: another stamp is another content."""
    documents: Documents


class Manifests:
    def __init__(self, directory: Path) -> None:
        """Reads the directory."""
        self.picture = Pods()
        self.fault = ""
        """Why changes do not ring, and the remedy."""
        self._directory = directory
        self._inotify: INotify | None = None
        self._watch: int | None = None
        self._files: Mapping[str, _File] = {}
        try:
            self._inotify = opened()
        except InotifyLimitError as error:
            self.fault = str(error)
        self.refresh()

    def fileno(self) -> int:
        """-1 where nothing can ring."""
        return int(self._inotify.fileno()) if self._inotify else -1

    def drain(self) -> bool:
        """Take what inotify has to say; whether the picture is another one now."""
        touched: set[str] = set()
        lost = False
        for event in self._inotify.read(timeout=0) if self._inotify else ():
            touched.add(event.name)
            if event.wd == self._watch and event.mask & _LOST:
                self._watch = None
            if event.mask & flags.Q_OVERFLOW:
                lost = True
        if lost:
            self._files = {}
        # A mounted ConfigMap exchanges ``..data``, through which all its files are links.
        everything = lost or any(name.startswith("..") for name in touched)
        return (lost or bool(touched)) and self._look(None if everything else frozenset(touched))

    def refresh(self) -> bool:
        """Look for files whose stamp changed; whether the picture is another one now.

        For the timer: a directory that was not there before, or one whose filesystem has no inotify.
        """
        return self._look(None)

    def _look(self, touched: frozenset[str] | None) -> bool:
        """Read the files that were *touched*, whatever their stamp says; None: all whose stamp is another.

        Before 6.13 two writes within one tick of the kernel's clock, 4 ms, leave the same times behind.
        """
        try:
            if self._watch is None:
                touched = None
                self._watch = self._watched()
            names = sorted(path.name for path in self._directory.iterdir() if not path.name.startswith("."))
        except OSError as error:
            self._watch = None
            message = f"cannot be read: {error.strerror}. Name a directory of pod manifests that is there."
            synced = self.picture.synced or isinstance(error, FileNotFoundError)  # as for the kubelet: no pods yet
            return self._show(replace(self.picture, synced=synced, faults=(_fault(self._directory, message),)))
        files = {
            name: self._files[name]
            if touched is not None and name not in touched and name in self._files
            else self._file(name, self._files.get(name) if touched is None else None)
            for name in names
        }
        self._files = {name: file for name, file in files.items() if file is not None}
        objects = {where: pod for file in self._files.values() for where, pod in file.documents.objects.items()}
        faults = tuple(fault for file in self._files.values() for fault in file.documents.faults)
        return self._show(Pods(objects, synced=True, faults=faults))

    def _watched(self) -> int | None:
        """Watch the directory; None where inotify has no room for that. Raises OSError where it cannot be read."""
        if self._inotify is None:
            return None
        try:
            watch = int(self._inotify.add_watch(self._directory, _MASK))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            self.fault = NO_WATCH_LEFT
            return None
        self.fault = ""
        return watch

    def close(self) -> None:
        if self._inotify:
            self._inotify.close()

    def _show(self, picture: Pods) -> bool:
        if picture == self.picture:
            return False
        self.picture = picture
        return True

    def _file(self, name: str, known: _File | None) -> _File | None:
        """What stands in a file: as *known* while its stamp is the same, None where it is no file or gone meanwhile."""
        path = self._directory / name
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                return None  # a directory, or a pipe that would never end
            with path.open("rb") as file:
                about = os.fstat(file.fileno())
                stamp = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
                if known and known.stamp == stamp:
                    return known
                data = file.read(min(about.st_size, MAX_FILE_BYTES) + 1)  # room for more would be mapped each time
        except FileNotFoundError:
            return None
        except OSError as error:
            return _File((), Documents(faults=(_fault(path, f"cannot be read: {error.strerror}."),)))
        if len(data) > MAX_FILE_BYTES:
            message = f"longer than {MAX_FILE_BYTES} bytes. Put fewer pods into one file."
            return _File(stamp, Documents(faults=(_fault(path, message),)))
        found = read(data, _shown(name))
        objects = {where: trimmed(pod) for where, pod in found.objects.items()}
        return _File(stamp, Documents(objects, found.faults))


def _fault(path: Path, message: str) -> InvalidPod:
    return InvalidPod("InvalidPod", message, _shown(path.name))


def _shown(name: str) -> str:
    """A file's name may hold anything but a slash; two names never look the same."""
    return name if name.isprintable() and "\\" not in name else ascii(name)[1:-1]
