"""What nodes do to each other, as short runs of steps: the shapes of docs/kernel.md.

K is the kubepods cgroup, B the burstable one in it, podA and podC pods directly in K, podB one in B; c1 and c2 are
containers of podA, S is system.slice.
"""

from collections.abc import Callable, Iterable, Iterator
from random import Random

from tests.cpuset_model import Kernel, World

from .steps import Op, Step

TREE = ("K", "S", "K/B", "K/podA", "K/podC", "K/podA/c1", "K/podA/c2", "K/B/podB")
Scenario = Callable[[World, Random], Iterable[Step]]


def cpus(path: str, text: str) -> Step:
    return Step(Op.WRITE, path, "cpuset.cpus", text)


def exclusive(path: str, text: str) -> Step:
    return Step(Op.WRITE, path, "cpuset.cpus.exclusive", text)


def partition(path: str, text: str) -> Step:
    return Step(Op.WRITE, path, "cpuset.cpus.partition", text)


def mems(path: str, text: str) -> Step:
    return Step(Op.WRITE, path, "cpuset.mems", text)


def control(path: str, text: str) -> Step:
    return Step(Op.WRITE, path, "cgroup.subtree_control", text)


def move(task: str, path: str) -> Step:
    return Step(Op.MOVE, path, task=task)


def tree(random: Random) -> list[Step]:
    """The tree, cpuset on where containers are, tasks in some of it."""
    steps = [control("", "+cpuset")]
    for path in TREE:
        steps.append(Step(Op.MKDIR, path))
        if path in ("K", "K/B", "K/podA") and random.random() < 0.9:
            steps.append(control(path, "+cpuset"))
    homes = ("", "S", "K/podA/c1", "K/podA/c2", "K/podC", "K/B/podB")
    return [*steps, *(move(task, random.choice(homes)) for task in ("t1", "t2", "t3", "t4") if random.random() < 0.8)]


def remote_partition(_: World, random: Random) -> Iterator[Step]:
    yield exclusive("K", random.choice(("2-7", "1-7", "2-6")))
    yield exclusive("K/podA", random.choice(("2-3", "2", "3-5")))
    yield partition("K/podA", random.choice(("root", "root", "isolated")))


def local_chain(_: World, random: Random) -> Iterator[Step]:
    yield cpus("K", random.choice(("2-7", "1-7")))
    yield partition("K", "root")
    yield cpus("K/podA", random.choice(("2-3", "2", "3-5")))
    yield partition("K/podA", random.choice(("root", "root", "isolated")))


def of(kernel: Kernel) -> tuple[Scenario, ...]:
    return (remote_partition, local_chain) if kernel.exclusive else (local_chain,)
