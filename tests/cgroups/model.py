"""A model kernel behind the words of `files.Cgroupfs`; the files that the model has not are made up of its tasks."""

import errno
from collections.abc import Mapping
from typing import Self

from pinfold.cgroups.files import CgroupGoneError, WriteRefusedError
from pinfold.cgroups.paths import CgroupPath, File, base, holds, parent
from pinfold.cpuset import CpuSet, NodeSet
from tests.cpuset_model import Errno, FaultyState, Kernel, World


class ModelGround:
    """A process is called as its cgroup; the one in the root has no name."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.possible = world.possible

    @classmethod
    def boot(cls, kernel: Kernel, cpus: int, isolcpus: str = "", *, may_lose: bool = False) -> Self:
        possible, nodes = CpuSet.of(range(cpus)), NodeSet.of(range(2))
        return cls(World.boot(kernel, possible, nodes, CpuSet.parse(isolcpus), may_lose=may_lose))

    def copy(self) -> "ModelGround":
        return ModelGround(self.world.copy())

    @property
    def online(self) -> CpuSet:
        return self.world.active

    def children(self, path: CgroupPath, /) -> tuple[str, ...]:
        paths = map(CgroupPath, self.world.paths())
        return tuple(sorted(base(one) for one in paths if one and parent(one) == path))

    def read_all(self, path: CgroupPath, files: tuple[str, ...], /) -> dict[str, str]:
        paths = self.world.paths()
        if path not in paths:
            return {}
        texts = {file: text for file in files if isinstance(text := self.world.read(path, file), str)}
        texts[File.PROCS] = "1" if self.world.tasks(path) else ""
        populated = any(self.world.tasks(one) for one in paths if holds(path, CgroupPath(one)))
        texts[File.EVENTS] = f"populated {int(populated)}"
        return texts

    def read(self, path: CgroupPath, file: str, /) -> str | None:
        return self.read_all(path, (file,)).get(file)

    def write(self, path: CgroupPath, file: str, value: str, /) -> None:
        refused = self.world.write(path, file, value)
        if refused is Errno.ENOENT:
            raise CgroupGoneError(f"{path}/{file} is gone")
        if refused is not None:
            raise WriteRefusedError(path, file, value, OSError(refused.value, errno.errorcode[refused.value]))

    def meddle(self, path: CgroupPath, file: File, value: str) -> None:
        """Somebody else writes; not where the kernel would go into a state that the model does not."""
        trial = self.world.copy()
        try:
            trial.write(path, file, value)
        except FaultyState:
            return
        self.world = trial

    def make(self, path: CgroupPath, /) -> None:
        refused = self.world.mkdir(path)
        _done(None if refused is Errno.EEXIST else refused)

    def remove(self, path: CgroupPath, /) -> None:
        refused = self.world.rmdir(path)
        _done(None if refused is Errno.ENOENT else refused)

    def spawn(self, path: CgroupPath, /) -> None:
        self.world.spawn(path, path)

    def end(self, path: CgroupPath, /) -> None:
        if self.world.tasks(path):
            self.world.exit(path)

    def allowed(self) -> Mapping[CgroupPath, CpuSet]:
        return {CgroupPath(path): self.world.allowed(path) for path in self.world.paths() if self.world.tasks(path)}

    def switch(self, cpu: int, /, *, on: bool) -> bool:
        return (self.world.online(cpu) if on else self.world.offline(cpu)) is None


def _done(refused: Errno | None) -> None:
    assert refused is None, refused
