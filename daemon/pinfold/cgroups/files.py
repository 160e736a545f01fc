"""The only place that touches cgroupfs: directories listed, control files read and written.

Everything goes through directory handles, one component at a time and never through a symbolic link, so that no
text from outside ever becomes a path of its own. An OSError is translated here and nowhere else.
"""

import errno
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import Self

from pinfold.cgroups.paths import ROOT, CgroupPath, base, parent
from pinfold.errors import PinfoldError

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_BYTES = 1 << 20
_PAGE_BYTES = 1 << 12
"""The kernel gives no more at once; less by a line at most, while there is more."""


class CgroupError(PinfoldError):
    """The cgroup tree did not answer as asked."""


class CgroupGoneError(CgroupError):
    """The cgroup was removed, or never had this control file."""


class WriteRefusedError(CgroupError):
    """The kernel did not take a value."""

    def __init__(self, path: CgroupPath, file: str, value: str, error: OSError) -> None:
        self.path, self.file, self.value, self.errno = path, file, value, error.errno or 0
        name = errno.errorcode.get(self.errno, str(self.errno))
        super().__init__(f"{path or '/'}/{file} did not take {value!r}: {name}, {error.strerror}")


class ReadRefusedError(CgroupError):
    """A directory or control file that is there cannot be read."""


class Cgroupfs:
    """The cgroup2 file system at *mount*. Raises CgroupError where there is no such directory."""

    def __init__(self, mount: Path) -> None:
        self.mount = mount
        try:
            self._root = os.open(mount, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise CgroupError(f"{mount} cannot be opened: {error.strerror}. Where is cgroup2 mounted?") from error

    def close(self) -> None:
        os.close(self._root)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def children(self, path: CgroupPath) -> tuple[str, ...]:
        """Names of the cgroups directly below *path*, sorted; none where it is gone."""
        try:
            with self._directory(path) as fd, os.scandir(fd) as entries:
                return tuple(sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False)))
        except CgroupGoneError:
            return ()
        except OSError as error:
            raise ReadRefusedError(f"{path or '/'} cannot be listed: {error.strerror}") from error

    def made_at(self, paths: Collection[CgroupPath]) -> dict[CgroupPath, float]:
        """When each of *paths* was made, in seconds since the epoch; those that are gone are left out.

        To be asked when they are new. The kernel gives a directory a time when somebody first looks it up, which its
        maker does at once, and another one when something is made in it that has extended attributes (systemd).
        """
        made: dict[CgroupPath, float] = {}
        for outer, inside in groupby(sorted(paths, key=parent), parent):
            with suppress(CgroupGoneError), self._directory(outer) as directory:
                for path in inside:
                    with suppress(FileNotFoundError):
                        made[path] = os.stat(base(path), dir_fd=directory, follow_symlinks=False).st_ctime
        return made

    def read(self, path: CgroupPath, file: str) -> str | None:
        """The text of a control file without the newline at its end; None where file or cgroup is not there."""
        return self.read_all(path, (file,)).get(file)

    def read_all(self, path: CgroupPath, files: tuple[str, ...]) -> dict[str, str]:
        """The texts of those of *files* that are there."""
        texts: dict[str, str] = {}
        with suppress(CgroupGoneError), self._directory(path) as directory:
            for file in files:  # this is most of what a look does: hence neither `suppress` nor a function
                try:
                    fd = os.open(file, _FILE, dir_fd=directory)
                    try:
                        texts[file] = _whole(fd).decode(errors="surrogateescape").removesuffix("\n")
                    finally:
                        os.close(fd)
                except OSError as error:
                    # EOPNOTSUPP: cgroup.procs of a threaded or "domain invalid" cgroup cannot be read.
                    if error.errno not in {errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP}:
                        raise ReadRefusedError(f"{path or '/'}/{file} cannot be read: {error.strerror}") from error
        return texts

    def write(self, path: CgroupPath, file: str, value: str) -> None:
        """Write *value* in one write(2). Raises CgroupGoneError, WriteRefusedError."""
        with self._directory(path) as directory:
            try:
                fd = os.open(file, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
                try:
                    os.write(fd, f"{value}\n".encode())  # the empty set is a blank line, not zero bytes
                finally:
                    os.close(fd)
            except OSError as error:
                # A removed cgroup says ENOENT on open and ENODEV on a file that was open already.
                if error.errno in {errno.ENOENT, errno.ENODEV}:
                    raise CgroupGoneError(f"{path or '/'}/{file} is gone") from error
                raise WriteRefusedError(path, file, value, error) from error

    def make(self, path: CgroupPath) -> None:
        """Make the cgroup *path*, if it is not there. Raises CgroupError."""
        with self._directory(parent(path)) as directory:
            try:
                os.mkdir(base(path), dir_fd=directory)
            except FileExistsError:
                return
            except OSError as error:
                raise CgroupError(f"{path} cannot be made: {error.strerror}") from error

    def remove(self, path: CgroupPath) -> None:
        """Remove the empty cgroup *path*, if it is there. Raises CgroupError."""
        with suppress(CgroupGoneError), self._directory(parent(path)) as directory:
            try:
                os.rmdir(base(path), dir_fd=directory)
            except FileNotFoundError:
                return
            except OSError as error:
                raise CgroupError(f"{path} cannot be removed: {error.strerror}") from error

    @contextmanager
    def _directory(self, path: CgroupPath) -> Iterator[int]:
        fd = os.dup(self._root) if path == ROOT else self._walk(path)
        try:
            yield fd
        finally:
            os.close(fd)

    def _walk(self, path: CgroupPath) -> int:
        fd = self._root
        for name in path.split("/"):
            if name in {"", ".", ".."}:
                raise CgroupError(f"{path!r} is no path of a cgroup")
            try:
                lower = os.open(name, _DIRECTORY, dir_fd=fd)
            except OSError as error:
                # A symbolic link and a plain file both say ENOTDIR: cgroupfs has no such directory.
                if error.errno in {errno.ENOENT, errno.ENODEV, errno.ENOTDIR, errno.ELOOP}:
                    raise CgroupGoneError(f"{path} is gone") from error
                raise ReadRefusedError(f"{path} cannot be opened: {error.strerror}") from error
            finally:
                if fd != self._root:
                    os.close(fd)
            fd = lower
        return fd


def _whole(fd: int) -> bytes:
    """All that a control file holds: mostly one read. Lines are short, a list of CPUs is a single piece."""
    first = os.read(fd, _PAGE_BYTES)
    if len(first) <= _PAGE_BYTES // 2:
        return first
    pieces = [first]
    while len(pieces[-1]) > _PAGE_BYTES // 2 and sum(map(len, pieces)) < _MAX_BYTES:
        pieces.append(os.read(fd, _PAGE_BYTES))
    return b"".join(pieces)
