"""A cgroup v2 tree with the cpuset controller, as one would see it through /sys/fs/cgroup.

Paths are relative to the mount: "" is the root cgroup, "kubepods/pod1" a cgroup two below it. What a kernel refuses is
an Errno, not an exception. FaultyState is raised where the kernel would enter a state it should not be in.
"""

from functools import cache
from typing import Self

from pinfold.cpuset import CpuSet, NodeSet

from . import faults, lists
from .kernel import Kernel
from .rules import Move, Rules
from .tree import Cgroup, Machine, Task
from .words import Errno, State

_MAX_NODES = 1024  # CONFIG_NODES_SHIFT=10 of Debian's amd64 kernels
_WRITABLE = ("cpuset.cpus", "cpuset.cpus.exclusive", "cpuset.cpus.partition", "cpuset.mems")


class World:
    """One kernel's cgroups, tasks and CPUs. Change it by the calls below; `copy` before what may not stay."""

    __slots__ = ("_machine", "_rules", "kernel")

    def __init__(self, kernel: Kernel, machine: Machine) -> None:
        self.kernel = kernel
        self._machine = machine
        self._rules: Rules = kernel.rules(machine)

    @classmethod
    def boot(
        cls,
        kernel: Kernel,
        cpus: CpuSet,
        nodes: NodeSet,
        isolcpus: CpuSet = CpuSet(),
        isolated: CpuSet | None = None,
        may_lose: bool = False,
    ) -> Self:
        """*isolated*: what cpuset.cpus.isolated reads, where that is not *isolcpus*. *may_lose*: CPUs may."""
        machine = Machine.boot(cpus, nodes, isolcpus)
        machine.isolated = isolcpus if isolated is None else isolated
        machine.may_lose = may_lose
        return cls(kernel, machine)

    def copy(self) -> "World":
        return World(self.kernel, self._machine.copy())

    # --- looking ------------------------------------------------------------------------------------------------

    @property
    def active(self) -> CpuSet:
        return self._machine.active

    @property
    def possible(self) -> CpuSet:
        return self._machine.possible

    @property
    def isolcpus(self) -> CpuSet:
        return self._machine.boot_isolated

    def paths(self) -> tuple[str, ...]:
        """All cgroups, parents first."""
        return tuple(group.path for group in self._machine.root.walk())

    def has_cpuset(self, path: str) -> bool:
        """Whether the cgroup is there and has cpuset files."""
        group = self._find(path)
        return group is not None and group.has_cpuset

    def tasks(self, path: str) -> tuple[str, ...]:
        """The tasks in the cgroup itself."""
        return tuple(self._group(path).tasks)

    def files(self, path: str) -> tuple[str, ...]:
        """What can be read there, as far as it is modelled."""
        group = self._group(path)
        if group.parent is None:
            return ("cgroup.subtree_control", *_sorted(self._rules.ROOT_FILES))
        own = _sorted(self._rules.FILES) if group.has_cpuset else ()
        return ("cgroup.controllers", "cgroup.subtree_control", "cgroup.type", *own)

    def read(self, path: str, file: str) -> str | Errno:
        """The content without its newline."""
        group = self._find(path)
        if group is None or file not in self.files(path):
            return Errno.ENOENT
        match file:
            case "cgroup.controllers":
                return "cpuset" if group.has_cpuset else ""
            case "cgroup.subtree_control":
                return "cpuset" if group.gives_cpuset else ""
            case "cgroup.type":
                return _domain(group)
            case "cpuset.cpus.partition":
                return self._partition(group)
        return str(
            {
                "cpuset.cpus": group.cpus,
                "cpuset.cpus.exclusive": group.exclusive,
                "cpuset.cpus.exclusive.effective": group.exclusive_effective,
                "cpuset.cpus.effective": group.effective,
                "cpuset.cpus.isolated": self._machine.isolated,
                "cpuset.mems": group.mems,
                "cpuset.mems.effective": group.mems_effective,
            }[file]
        )

    def effective(self, path: str) -> CpuSet:
        """The CPUs that tasks of the cgroup may use: its own effective set or that of the cpuset above it."""
        return _governor(self._group(path)).effective

    def effective_mems(self, path: str) -> NodeSet:
        return _governor(self._group(path)).mems_effective

    def forbids_overlap(self, path: str) -> bool:
        """Whether siblings' sets may not overlap: a partition's mark, which 6.12 now and then forgets to move."""
        return self._group(path).no_overlap

    def allowed(self, task: str) -> CpuSet:
        """Cpus_allowed of a task."""
        return self._home(task).tasks[task].mask

    def own_mask(self, task: str) -> CpuSet | None:
        """What it last asked for by sched_setaffinity, where the kernel remembers that."""
        return self._home(task).tasks[task].own

    def home(self, task: str) -> str:
        return self._home(task).path

    def _partition(self, group: Cgroup) -> str:
        if not group.invalid:
            return group.state.word
        return f"{group.state.word} invalid" + (f" ({self._rules.text(group.reason)})" if group.reason else "")

    # --- changing -----------------------------------------------------------------------------------------------

    def mkdir(self, path: str) -> Errno | None:
        above, _, name = path.rpartition("/")
        parent = self._find(above)
        if parent is None:
            return Errno.ENOENT
        if not name or name in parent.children:
            return Errno.EEXIST
        group = parent.children[name] = Cgroup(name, parent)
        if parent.gives_cpuset:
            self._rules.born(group)
        return None

    def rmdir(self, path: str) -> Errno | None:
        group = self._find(path)
        if group is None:
            return Errno.ENOENT
        if group.parent is None or group.children or group.tasks:
            return Errno.EBUSY
        if group.has_cpuset:
            self._rules.dying(group)
        del group.parent.children[group.name]
        return self._checked(None)

    def write(self, path: str, file: str, text: str, *, privileged: bool = True) -> Errno | None:
        """Write *text* to a file. *privileged*: the writer has CAP_SYS_ADMIN."""
        group = self._find(path)
        if group is None or file not in self.files(path):
            return Errno.ENOENT
        self._machine.privileged = privileged
        if file == "cgroup.subtree_control":
            return self._checked(self._write_subtree_control(group, text.strip()))
        if file not in _WRITABLE:
            return Errno.EINVAL  # root may open any file; those without a write handler say this
        return self._checked(self._write_cpuset(group, file, text.strip()))

    def spawn(self, task: str, path: str = "") -> None:
        """A sleeping process that was born in the root cgroup and moved on; it asked for no mask."""
        self._machine.root.tasks[task] = Task(self._rules.entered_root_mask())
        if path and (refused := self.move(task, path)):
            raise ValueError(f"{task} may not enter {path}: {refused.name}")

    def exit(self, task: str) -> None:
        del self._home(task).tasks[task]

    def move(self, task: str, path: str) -> Errno | None:
        """Write the task's PID to cgroup.procs."""
        target = self._find(path)
        if target is None:
            return Errno.ENOENT
        if not _valid_domain(target):
            return Errno.EOPNOTSUPP
        if target.gives_cpuset and not _may_hold_tasks(target):
            return Errno.EBUSY
        home = self._home(task)
        if home is target:
            return None
        move = Move(home.tasks[task], _governor(home), _governor(target))
        if move.old is not move.new and not move.new.effective:
            return Errno.ENOSPC
        target.tasks[task] = home.tasks.pop(task)
        if move.old is not move.new:
            self._rules.attach([move])
        return None

    def set_affinity(self, task: str, cpus: CpuSet) -> Errno | None:
        home = self._home(task)
        return self._rules.set_affinity(home.tasks[task], _governor(home), cpus)

    def offline(self, cpu: int) -> Errno | None:
        """Take a CPU offline. CPU 0 has no switch."""
        return self._switch(cpu, on=False)

    def online(self, cpu: int) -> Errno | None:
        return self._switch(cpu, on=True)

    def _switch(self, cpu: int, *, on: bool) -> Errno | None:
        one = CpuSet.of([cpu])
        if cpu == 0 or not one <= self._machine.possible:
            return Errno.ENOENT
        if (cpu in self._machine.active) == on:
            return None
        if not on and self._rules.refuses_offline(cpu):
            return Errno.EBUSY
        self._machine.active = self._machine.active | one if on else self._machine.active - one
        self._rules.hotplug()
        return self._checked(None)

    def _checked(self, refused: Errno | None) -> Errno | None:
        self._rules.rebuild_domains()
        faults.check(self._machine)
        return refused

    def _write_cpuset(self, group: Cgroup, file: str, text: str) -> Errno | None:
        if file == "cpuset.cpus.partition":
            if text not in ("member", "root", "isolated"):
                return Errno.EINVAL
            self._rules.write_partition(group, State[text.upper()])
            return None
        size = _MAX_NODES if file == "cpuset.mems" else len(self._machine.possible)
        found = lists.bits(text, size)
        if isinstance(found, Errno):
            return found
        if file == "cpuset.mems":
            return self._rules.write_mems(group, NodeSet(found))
        write = self._rules.write_cpus if file == "cpuset.cpus" else self._rules.write_exclusive
        return write(group, CpuSet(found))

    # --- cgroup.subtree_control ---------------------------------------------------------------------------------

    def _write_subtree_control(self, group: Cgroup, text: str) -> Errno | None:
        wanted: bool | None = None
        for word in text.split(" "):
            if (word and word[1:] != "cpuset") or word[:1] not in ("+", "-", ""):
                return Errno.EINVAL
            wanted = wanted if not word else word[0] == "+"
        if wanted is None or wanted == group.gives_cpuset:
            return None
        return self._enable_cpuset(group) if wanted else self._disable_cpuset(group)

    def _enable_cpuset(self, group: Cgroup) -> Errno | None:
        if not group.has_cpuset:
            return Errno.ENOENT
        if not _valid_domain(group):
            return Errno.EOPNOTSUPP
        if not _may_hold_tasks(group) and group.tasks:
            return Errno.EBUSY
        moves = [Move(task, _governor(child), child) for child in group.children.values() for task in child.governed()]
        if moves and not group.effective:
            return Errno.ENOSPC
        group.gives_cpuset = True
        for child in group.children.values():
            self._rules.born(child)
        self._rules.attach(moves)
        return None

    def _disable_cpuset(self, group: Cgroup) -> Errno | None:
        if any(child.gives_cpuset for child in group.children.values()):
            return Errno.EBUSY
        moves = [Move(task, child, group) for child in group.cpusets() for task in child.governed()]
        if moves and not group.effective:
            return Errno.ENOSPC
        group.gives_cpuset = False
        self._rules.attach(moves)
        for child in group.cpusets():
            child.left = True
        for child in group.cpusets():
            self._rules.dying(child)
        return None

    # --- finding ------------------------------------------------------------------------------------------------

    def _find(self, path: str) -> Cgroup | None:
        group: Cgroup | None = self._machine.root
        for name in path.split("/") if path else ():
            group = group.children.get(name) if group else None
        return group

    def _group(self, path: str) -> Cgroup:
        group = self._find(path)
        if group is None:
            raise KeyError(f"no cgroup {path!r}")
        return group

    def _home(self, task: str) -> Cgroup:
        for group in self._machine.root.walk():
            if task in group.tasks:
                return group
        raise KeyError(f"no task {task!r}")


@cache
def _sorted(files: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(files))


def _governor(group: Cgroup) -> Cgroup:
    """The cpuset that tasks of *group* obey."""
    while not group.has_cpuset:
        group = group.above()
    return group


def _valid_domain(group: Cgroup) -> bool:
    """Whether it may hold processes. Below one that holds some and gives controllers out none may."""
    while group.parent is not None:
        group = group.parent
        if group.parent is not None and _thread_root(group):
            return False
    return True


def _thread_root(group: Cgroup) -> bool:
    return bool(group.tasks) and group.gives_cpuset


def _may_hold_tasks(group: Cgroup) -> bool:
    """Whether processes beside enabled controllers are allowed: cpuset is a threaded controller."""
    return group.parent is None or not any(child.populated for child in group.children.values())


def _domain(group: Cgroup) -> str:
    if not _valid_domain(group):
        return "domain invalid"
    return "domain threaded" if _thread_root(group) else "domain"
