"""A step that can be taken on the model and on a kernel, and all that can be read afterwards."""

from dataclasses import astuple, dataclass
from enum import StrEnum

from pinfold.cpuset import CpuSet
from tests.cpuset_model import Errno, World


class Op(StrEnum):
    MKDIR = "mkdir"
    RMDIR = "rmdir"
    WRITE = "write"
    WRITE_UNPRIVILEGED = "write without CAP_SYS_ADMIN"
    WRITE_TWICE = "two writes on one open file"
    WRITE_STALE = "rmdir, then write on a file that was open"
    MOVE = "move a task"
    AFFINITY = "sched_setaffinity"
    OFFLINE = "CPU offline"
    ONLINE = "CPU online"


@dataclass(frozen=True, slots=True)
class Step:
    """*path* is relative to the cgroup mount. *text* is what is written; WRITE_TWICE writes *before* first.

    MOVE and AFFINITY name a *task*; AFFINITY, OFFLINE and ONLINE have CPUs as *text*.
    """

    op: Op
    path: str = ""
    file: str = ""
    text: str = ""
    task: str = ""
    before: str = ""

    def packed(self) -> list[str]:
        return [str(part) for part in astuple(self)]

    @classmethod
    def unpacked(cls, parts: list[str]) -> "Step":
        return cls(Op(parts[0]), *parts[1:])

    def __str__(self) -> str:
        where = f"{self.path or '/'}"
        match self.op:
            case Op.MKDIR | Op.RMDIR:
                return f"{self.op} {where}"
            case Op.MOVE:
                return f"echo ${self.task} >{where}/cgroup.procs"
            case Op.AFFINITY:
                return f"taskset -pc {self.text} ${self.task}"
            case Op.OFFLINE | Op.ONLINE:
                return f"{self.op} {self.text}"
            case Op.WRITE_TWICE:
                return f"echo {self.before!r}, then {self.text!r} on one open {where}/{self.file}"
            case Op.WRITE_STALE:
                return f"rmdir {where}, then echo {self.text!r} on its open {self.file}"
        cap = " (without CAP_SYS_ADMIN)" if self.op == Op.WRITE_UNPRIVILEGED else ""
        return f"echo {self.text!r} >{where}/{self.file}{cap}"


def take(world: World, step: Step) -> Errno | None:
    """Take *step* in the model. Raises FaultyState."""
    match step.op:
        case Op.MKDIR:
            return world.mkdir(step.path)
        case Op.RMDIR:
            return world.rmdir(step.path)
        case Op.WRITE:
            return world.write(step.path, step.file, step.text)
        case Op.WRITE_UNPRIVILEGED:
            return world.write(step.path, step.file, step.text, privileged=False)
        case Op.WRITE_TWICE:
            return world.write(step.path, step.file, step.before) or world.write(step.path, step.file, step.text)
        case Op.WRITE_STALE:
            if step.path not in world.paths() or step.file not in world.files(step.path):
                return Errno.ENOENT
            return world.rmdir(step.path) or Errno.ENODEV
        case Op.MOVE:
            return world.move(step.task, step.path)
        case Op.AFFINITY:
            return world.set_affinity(step.task, CpuSet.parse(step.text))
        case Op.OFFLINE:
            return world.offline(int(step.text))
        case Op.ONLINE:
            return world.online(int(step.text))


def observed(world: World, tasks: tuple[str, ...]) -> dict[str, str]:
    """All that can be read: ``path|file`` for each file, ``|online``, ``task|home`` and ``task|mask`` for each task."""
    seen = {f"{path}|{file}": str(world.read(path, file)) for path in world.paths() for file in world.files(path)}
    seen["|online"] = str(world.active)
    for task in tasks:
        seen[f"{task}|home"] = world.home(task)
        seen[f"{task}|mask"] = str(world.allowed(task))
    return seen
