"""The floor: a bare inotify loop that writes a confinement's files when it sees a cgroup, and decides nothing.

    python -m tests.cri.floor partition|shrink kubepods.slice OUT

What each new pod and container gets stands in its name. Each line of OUT is what became of one cgroup: its path, when
it was made, seen and done (seconds since the epoch). Ends at SIGTERM.
"""

import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from inotify_simple import INotify, flags

from tests.cri.pods import KINDS
from tests.vm.node.tasks import CGROUPS

_MASK = flags.CREATE | flags.MODIFY | flags.ONLYDIR
_FIRST_CPU = 2
_NUMBER = slice(-12, None)
"""A pod's number is the end of its UID (`pods.uid`)."""


class Floor:
    def __init__(self, way: str, kubepods: Path, out: Path) -> None:
        self._way, self._out = way, out.open("w", buffering=1)
        self._inotify = INotify()
        self._watched: dict[int, tuple[Path, str]] = {}
        """The pods' cpus by where they were made; blank for what holds pods."""
        _write(CGROUPS / "cgroup.subtree_control", "+cpuset")
        _write(kubepods / "cgroup.subtree_control", "+cpuset")
        if way == "partition":
            _write(kubepods / "cpuset.cpus.exclusive", f"{_FIRST_CPU}-{(os.cpu_count() or 1) - 1}")
        for holder in (kubepods, *(path for path in kubepods.iterdir() if path.is_dir())):
            self._watch(holder, "")

    def run(self) -> None:
        while True:
            for event in self._inotify.read():
                where, cpus = self._watched.get(event.wd, (None, ""))
                if where is None:
                    continue
                if event.mask & flags.ISDIR and event.mask & flags.CREATE:
                    self._appeared(where / event.name, cpus)
                elif cpus and event.name == "cpuset.cpus" and self._way == "shrink":
                    with suppress(OSError):
                        if (where / event.name).read_text().strip() != cpus:
                            _write(where / event.name, cpus)

    def _appeared(self, path: Path, cpus: str) -> None:
        seen = time.time()
        with suppress(OSError):
            made = path.stat().st_ctime
            if cpus:
                _write(path / "cpuset.cpus", cpus.split("-")[0])
            elif not (cpus := _cpus(path.name)):
                return
            elif self._way == "partition":
                _write(path / "cpuset.cpus.exclusive", cpus)
                _write(path / "cpuset.cpus.partition", "root")
                self._watch(path, cpus)
            else:
                _write(path / "cpuset.cpus", cpus)
                self._watch(path, cpus)
            (path / "cpuset.cpus.effective").read_text()
            said = {"path": str(path), "made": made, "seen": seen, "done": time.time()}
            self._out.write(json.dumps(said) + "\n")

    def _watch(self, path: Path, cpus: str) -> None:
        self._watched[self._inotify.add_watch(path, _MASK)] = (path, cpus)
        if cpus:
            for child in path.iterdir():
                if child.is_dir():
                    self._appeared(child, cpus)


def _cpus(name: str) -> str:
    """A pair of CPUs for a pod that is to have a pool."""
    digits = name.removesuffix(".slice")[_NUMBER]
    pooled = [place for place, kind in enumerate(KINDS) if kind.pool]
    if not digits.isdigit() or int(digits) % len(KINDS) not in pooled:
        return ""
    nth = int(digits) // len(KINDS) * len(pooled) + pooled.index(int(digits) % len(KINDS))
    first = _FIRST_CPU + 2 * (nth % (((os.cpu_count() or 1) - _FIRST_CPU) // 2))
    return f"{first}-{first + 1}"


def _write(file: Path, text: str) -> None:
    with suppress(OSError):
        file.write_text(text)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Floor(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])).run()
