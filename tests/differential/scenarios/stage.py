"""The stage on which scenarios play: the tree of docs/kernel.md, and the steps they are made of.

K is the kubepods cgroup, B the burstable one in it, podA and podC pods directly in K, podB one in B; c1 and c2 are
containers of podA, S is system.slice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from pinfold.cpuset import CpuSet
from tests.cpuset_model import World
from tests.differential.moment import cpus as set_of
from tests.differential.moment import exclusive as exclusive_of
from tests.differential.moment import has, populated, state
from tests.differential.plan import TASKS
from tests.differential.steps import Op, Step

TREE = ("K", "S", "K/B", "K/podA", "K/podC", "K/podA/c1", "K/podA/c2", "K/B/podB")
GIVERS = ("", "K", "K/B", "K/podA")
HOMES = ("S", "K/podA/c1", "K/podA/c2", "K/podC", "K/B/podB")
EXTRA = ("x", "K/podA/c1/d", "K/B/podB/c3")

Steps = Iterator[Step]


@dataclass(slots=True)
class Stage:
    """What a scenario looks at before each of its steps."""

    world: World
    random: Random


def cpus(path: str, text: str) -> Step:
    return Step(Op.WRITE, path, "cpuset.cpus", text)


def exclusive(path: str, text: str, op: Op = Op.WRITE) -> Step:
    return Step(op, path, "cpuset.cpus.exclusive", text)


def partition(path: str, text: str, op: Op = Op.WRITE) -> Step:
    return Step(op, path, "cpuset.cpus.partition", text)


def mems(path: str, text: str) -> Step:
    return Step(Op.WRITE, path, "cpuset.mems", text)


def control(path: str, text: str) -> Step:
    return Step(Op.WRITE, path, "cgroup.subtree_control", text)


def move(task: str, path: str) -> Step:
    return Step(Op.MOVE, path, task=task)


def affinity(task: str, text: str) -> Step:
    return Step(Op.AFFINITY, task=task, text=text)


def offline(cpu: int | str) -> Step:
    return Step(Op.OFFLINE, text=str(cpu))


def online(cpu: int | str) -> Step:
    return Step(Op.ONLINE, text=str(cpu))


def tree(stage: Stage) -> Steps:
    """The tree, cpuset on in most of it, some tasks in it."""
    yield control("", "+cpuset")
    for path in TREE:
        yield Step(Op.MKDIR, path)
        if path in GIVERS and stage.random.random() < 0.9:
            yield control(path, "+cpuset")
    for task in TASKS:
        if stage.random.random() < 0.8:
            yield move(task, stage.random.choice(("", *HOMES)))


def calm(stage: Stage) -> Steps:
    for cpu in stage.world.possible - stage.world.active:
        yield online(cpu)
    for task in TASKS:
        if stage.world.home(task) not in ("", *HOMES):
            yield move(task, "")
    for path in stage.world.paths():
        if path and path not in TREE and not populated(stage.world, path) and path not in EXTRA:
            yield Step(Op.RMDIR, path)
    yield from _whole(stage)
    for path in reversed(stage.world.paths()):
        if path and has(stage.world, path):
            if state(stage.world, path) != "member":
                yield partition(path, "member")
            if exclusive_of(stage.world, path):
                yield exclusive(path, "")
            if set_of(stage.world, path):
                yield cpus(path, "0-7" if populated(stage.world, path) else "")


def _whole(stage: Stage) -> Steps:
    for path in ("", *TREE):
        if path not in stage.world.paths():
            yield Step(Op.MKDIR, path)
        if path in GIVERS and not stage.world.read(path, "cgroup.subtree_control"):
            yield control(path, "+cpuset")


def pods(random: Random, count: int = 2) -> list[str]:
    """Disjoint sets of CPUs within 2-7, two CPUs or so each."""
    ids = list(range(2, 8))
    cut = random.choice((1, 2, 2))
    random.shuffle(ids)
    return [str(CpuSet.of(ids[at * cut : at * cut + cut])) for at in range(count)]


def one(stage: Stage, kind: str = "root", path: str = "K/podA") -> Steps:
    """A partition on some CPUs, made as the kernel needs it."""
    wanted = pods(stage.random)[0]
    if stage.world.kernel.exclusive:
        yield exclusive("K", stage.random.choice(("2-7", "1-7")))
        if path.startswith("K/B/"):
            yield exclusive("K/B", str(CpuSet.parse(wanted) | CpuSet.of([stage.random.randrange(2, 8)])))
        yield exclusive(path, wanted)
    else:
        yield cpus("K", "2-7")
        yield partition("K", "root")
        yield cpus(path, wanted)
    yield partition(path, kind)
