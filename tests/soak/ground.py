"""A model kernel whose cgroups also stand as directories, so that inotify rings as it does on a node.

What is read comes from the model; the directories ring. What the kernel changes by itself rings nowhere, as on a node.
"""

import shutil
from pathlib import Path

from pinfold.cgroups.paths import ROOT, CgroupPath, File
from tests.agent.bench import Fs
from tests.cpuset_model import FaultyState, World

FILES = (File.CPUS, File.EXCLUSIVE, File.PARTITION, File.MEMS, File.SUBTREE_CONTROL, File.PROCS, File.EVENTS)


class SoakGround(Fs):
    def __init__(self, world: World, mount: Path) -> None:
        super().__init__(world)
        self._mount = mount
        self.taken = 0
        """Writes that the kernel took."""
        self.written: list[tuple[CgroupPath, File, str]] = []
        """Those of them since it was last emptied: once a step."""
        self._populated: dict[CgroupPath, str] = {}
        for path in map(CgroupPath, world.paths()):
            self._stand(path)

    def read_all(self, path: CgroupPath, files: tuple[str, ...], /) -> dict[str, str]:
        texts = super().read_all(path, files)
        return {**texts, File.PROCS: ""} if path == ROOT else texts  # its tasks would be looked for on this machine

    def write(self, path: CgroupPath, file: str, value: str, /) -> None:
        super().write(path, file, value)
        self.taken += 1
        self.written.append((path, File(file), value))
        self._ring(path, file, value)

    def meddle(self, path: CgroupPath, file: File, value: str) -> None:
        super().meddle(path, file, value)
        self._ring(path, file, value)

    def make(self, path: CgroupPath, /) -> None:
        super().make(path)
        self._stand(path)

    def remove(self, path: CgroupPath, /) -> None:
        super().remove(path)
        self._populated.pop(path, None)
        shutil.rmtree(self._mount / path)

    def spawn(self, path: CgroupPath, /) -> None:
        super().spawn(path)
        self._ring(path, File.PROCS, "1")
        self._ring_populated()

    def end(self, path: CgroupPath, /) -> None:
        super().end(path)
        self._ring_populated()

    def switch(self, cpu: int, /, *, on: bool) -> bool:
        """Not where the kernel would go into a state that the model does not."""
        before = self.world.copy()
        try:
            return super().switch(cpu, on=on)
        except FaultyState:
            self.world = before
            return False

    def _stand(self, path: CgroupPath) -> None:
        (self._mount / path).mkdir(exist_ok=True)
        for file in FILES:
            (self._mount / path / file).touch()

    def _ring(self, path: CgroupPath, file: str, value: str) -> None:
        if file in FILES:
            with (self._mount / path / file).open("w") as stream:
                stream.write(value)

    def _ring_populated(self) -> None:
        before, now = self._populated, {}
        for path in map(CgroupPath, self.world.paths()):
            now[path] = super().read_all(path, (File.EVENTS,))[File.EVENTS]
            if before.get(path) != now[path]:
                self._ring(path, File.EVENTS, now[path])
        self._populated = now
