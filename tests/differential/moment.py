"""A step with the worlds around it, and the questions that `rows` asks of it."""

from dataclasses import dataclass
from functools import cached_property

from pinfold.cpuset import CpuListError, CpuSet
from tests.cpuset_model import Errno, World

from .steps import Op, Step


@dataclass(frozen=True)
class Moment:
    """*outcome* is the errno that the kernel, like the model, answered; None where it did what was asked."""

    before: World
    step: Step
    outcome: Errno | None
    after: World

    @property
    def path(self) -> str:
        return self.step.path

    @cached_property
    def parent(self) -> str:
        return self.path.rpartition("/")[0]

    @cached_property
    def text(self) -> CpuSet:
        """What was written, where that is a plain list of possible CPUs; else nothing."""
        try:
            cpus = CpuSet.parse(self.step.text)
        except CpuListError:
            return CpuSet()
        return cpus if cpus <= self.before.possible else CpuSet()

    @cached_property
    def marked_right(self) -> bool:
        """Whether partitions here forbid overlap and others do not; 6.12 leaves the mark of some that were or are."""
        paths = (self.path, *self.siblings)
        return all(self.before.forbids_overlap(one) == valid(self.before, one) for one in paths if one)

    @cached_property
    def siblings(self) -> list[str]:
        return [one for one in children(self.before, self.parent) if one != self.path and has(self.before, one)]

    @cached_property
    def children(self) -> list[str]:
        return [one for one in children(self.before, self.path) if has(self.before, one)]

    def writes(self, file: str, op: Op = Op.WRITE) -> bool:
        """Whether the step writes *file* of a cgroup below the root that has cpuset files."""
        return self.step.op == op and self.step.file == file and bool(self.path) and has(self.before, self.path)

    def founds(self, word: str = "root", op: Op = Op.WRITE) -> bool:
        """Whether it is to make a member a partition."""
        return (
            self.writes("cpuset.cpus.partition", op)
            and self.step.text == word
            and state(self.before, self.path) == "member"
        )

    def founds_remote(self, word: str = "root", op: Op = Op.WRITE) -> bool:
        """... and nothing is in the way of a remote one, but for what the CPUs themselves are."""
        wanted = self.wanted(self.path)
        return (
            self.founds(word, op)
            and not valid(self.before, self.parent)
            and bool(exclusive(self.before, self.path))
            and wanted <= cpus(self.before, self.parent, "cpus.exclusive.effective")
            and not wanted & self.held_elsewhere
            and bool(cpus(self.before, "", "cpus.effective") - wanted)
            and not any(self.wanted(one) & wanted for one in self.siblings)
        )

    def founds_local(self) -> bool:
        """... and its parent is a partition, siblings leave its CPUs alone."""
        wanted = self.wanted(self.path)
        return (
            self.founds()
            and bool(self.parent)
            and valid(self.before, self.parent)
            and bool(wanted)
            and not exclusive(self.before, self.path)
            and wanted <= self.wanted(self.parent)
            and not any(self.wanted(one) & wanted for one in self.siblings)
        )

    def resizes_remote(self, op: Op = Op.WRITE) -> bool:
        """Whether cpuset.cpus.exclusive of a remote partition gets another set that it can have."""
        return (
            self.writes("cpuset.cpus.exclusive", op)
            and remote(self.before, self.path)
            and state(self.before, self.parent) == "member"
            and bool(self.text & self.before.active)
            and not self.text & self.before.isolcpus
            and self.text != exclusive(self.before, self.path)
            and self.text <= cpus(self.before, self.parent, "cpus.exclusive.effective")
            and not (self.text - cpus(self.before, self.path, "cpus.exclusive.effective")) & self.held_elsewhere
            and bool(cpus(self.before, self.parent, "cpus.effective") - self.text)
            and not any(exclusive(self.before, one) & self.text for one in self.siblings)
            and not any(cpus(self.before, one) and cpus(self.before, one) <= self.text for one in self.siblings)
        )

    @cached_property
    def held_elsewhere(self) -> CpuSet:
        """CPUs that some partition took from the root."""
        return (
            self.before.possible - cpus(self.before, "", "cpus.effective") - (self.before.possible - self.before.active)
        )

    def wanted(self, path: str) -> CpuSet:
        return exclusive(self.before, path) or cpus(self.before, path)

    def holder(self) -> str | None:
        """The partition, not the root, that runs on the CPU which goes off- or online."""
        cpu = CpuSet.of([int(self.step.text)])
        partitions = (one for one in self.before.paths() if one and valid(self.before, one))
        return next((one for one in partitions if cpu <= self.before.effective(one)), None)

    def switches(self, op: Op) -> bool:
        cpu = int(self.step.text) if self.step.op == op else 0
        return cpu != 0 and (cpu in self.before.active) == (op == Op.OFFLINE)


def children(world: World, path: str) -> list[str]:
    above = f"{path}/" if path else ""
    return [one for one in world.paths() if one and one.startswith(above) and "/" not in one[len(above) :]]


def has(world: World, path: str) -> bool:
    """Whether the cgroup has cpuset files."""
    return world.has_cpuset(path)


def cpus(world: World, path: str, end: str = "cpus") -> CpuSet:
    """A list file as a set; empty where the file is missing."""
    text = world.read(path, f"cpuset.{end}")
    return CpuSet() if isinstance(text, Errno) else CpuSet.parse(text)


def exclusive(world: World, path: str) -> CpuSet:
    return cpus(world, path, "cpus.exclusive")


def state(world: World, path: str) -> str:
    """What cpuset.cpus.partition reads; the root has no such file and is one."""
    return str(world.read(path, "cpuset.cpus.partition")) if path else "root"


def valid(world: World, path: str) -> bool:
    return state(world, path) in ("root", "isolated")


def remote(world: World, path: str) -> bool:
    return valid(world, path) and not valid(world, path.rpartition("/")[0])


def populated(world: World, path: str) -> bool:
    return any(world.tasks(one) for one in world.paths() if one == path or one.startswith(f"{path}/"))
