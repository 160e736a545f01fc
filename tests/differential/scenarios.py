"""What nodes do to each other, as short runs of steps: the shapes of docs/kernel.md.

K is the kubepods cgroup, B the burstable one in it, podA and podC pods directly in K, podB one in B; c1 and c2 are
containers of podA, S is system.slice. A scenario looks at the world before each of its steps; it starts `calm`: the
whole tree there, cpuset on, no set written, no partition, all CPUs online.
"""

from collections.abc import Callable, Iterator
from random import Random

from pinfold.cpuset import CpuSet
from tests.cpuset_model import Kernel, World

from .moment import cpus as set_of
from .moment import exclusive as exclusive_of
from .moment import has, populated, state
from .steps import Op, Step

TREE = ("K", "S", "K/B", "K/podA", "K/podC", "K/podA/c1", "K/podA/c2", "K/B/podB")
GIVERS = ("", "K", "K/B", "K/podA")
HOMES = ("S", "K/podA/c1", "K/podA/c2", "K/podC", "K/B/podB")
TASKS = ("t1", "t2", "t3", "t4")

Steps = Iterator[Step]
Now = Callable[[], World]
Scenario = Callable[[Now, Random], Steps]


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


def tree(random: Random) -> Steps:
    """The tree, cpuset on in most of it, some tasks in it."""
    yield control("", "+cpuset")
    for path in TREE:
        yield Step(Op.MKDIR, path)
        if path in GIVERS and random.random() < 0.9:
            yield control(path, "+cpuset")
    for task in TASKS:
        if random.random() < 0.8:
            yield move(task, random.choice(("", *HOMES)))


def calm(now: Now) -> Steps:
    for cpu in now().possible - now().active:
        yield online(cpu)
    for task in TASKS:
        if now().home(task) not in ("", *HOMES):
            yield move(task, "")
    for path in now().paths():
        if path and path not in TREE and not populated(now(), path) and path not in ("x", "K/podA/c1/d", "K/B/podB/c3"):
            yield Step(Op.RMDIR, path)
    yield from _whole(now)
    for path in reversed(now().paths()):
        if path and has(now(), path):
            if state(now(), path) != "member":
                yield partition(path, "member")
            if exclusive_of(now(), path):
                yield exclusive(path, "")
            if set_of(now(), path):
                yield cpus(path, "0-7" if populated(now(), path) else "")


def _whole(now: Now) -> Steps:
    for path in ("", *TREE):
        if path not in now().paths():
            yield Step(Op.MKDIR, path)
        if path in GIVERS and not now().read(path, "cgroup.subtree_control"):
            yield control(path, "+cpuset")


def _pods(random: Random, count: int = 2) -> list[str]:
    """Disjoint sets of CPUs within 2-7, two CPUs or so each."""
    ids = list(range(2, 8))
    cut = random.choice((1, 2, 2))
    random.shuffle(ids)
    return [str(CpuSet.of(ids[at * cut : at * cut + cut])) for at in range(count)]


def _one(now: Now, random: Random, kind: str = "root", path: str = "K/podA") -> Steps:
    """A partition on some CPUs, made as the kernel needs it."""
    wanted = _pods(random)[0]
    if now().kernel.exclusive:
        yield exclusive("K", random.choice(("2-7", "1-7")))
        if path.startswith("K/B/"):
            yield exclusive("K/B", str(CpuSet.parse(wanted) | CpuSet.of([random.randrange(2, 8)])))
        yield exclusive(path, wanted)
    else:
        yield cpus("K", "2-7")
        yield partition("K", "root")
        yield cpus(path, wanted)
    yield partition(path, kind)


# --- making partitions ------------------------------------------------------------------------------------------------


def made(now: Now, random: Random) -> Steps:
    """One is made, grows, shrinks, moves, is a member for a while."""
    path = random.choice(("K/podA", "K/podA", "K/podC", "K/B/podB"))
    yield from _one(now, random, random.choice(("root", "root", "root", "isolated")), path)
    for _ in range(3):
        change = random.choice(_pods(random))
        yield exclusive(path, change) if now().kernel.exclusive else cpus(path, change)
    yield cpus(path, random.choice(_pods(random)))
    yield partition(path, "member")
    yield partition(path, "root")


def grown(now: Now, random: Random) -> Steps:
    """By one CPU and back."""
    yield from _one(now, random)
    old = exclusive_of(now(), "K/podA")
    yield exclusive("K/podA", str(old | CpuSet.of([random.randrange(2, 8)])))
    yield exclusive("K/podA", str(old.first(1)))


def swapped(now: Now, random: Random) -> Steps:
    """A CPU goes from one pod to another, first in the wrong order."""
    del now
    yield exclusive("K", "2-7")
    yield exclusive("K/podA", "2-3")
    yield exclusive("K/podC", "4-5")
    yield partition("K/podA", "root")
    yield partition("K/podC", random.choice(("root", "isolated")))
    yield exclusive("K/podA", "2-4")
    yield exclusive("K/podC", "5")
    yield exclusive("K/podA", "2-4")


def below_burstable(now: Now, random: Random) -> Steps:
    """Pools below B: its exclusive is the union of theirs and meets no pod's in K."""
    del now
    yield exclusive("K", "2-7")
    yield exclusive("K/podA", "2-3")
    yield partition("K/podA", "root")
    yield exclusive("K/B", "4-6")
    yield exclusive("K/B/podB", random.choice(("4-5", "4")))
    yield partition("K/B/podB", random.choice(("root", "root", "isolated")))
    yield exclusive("K/podA", "2-4")
    yield exclusive("K/B", "2-6")
    yield exclusive("K/B/podB", "5")
    yield exclusive("K/B", "5-6")
    yield exclusive("K/podA", "2-4")


def container(now: Now, random: Random) -> Steps:
    """A container is the partition, its pod a member."""
    del now
    wanted = random.choice(("6-7", "3-5"))
    yield exclusive("K", "2-7")
    yield exclusive("K/podA", wanted)
    yield exclusive("K/podA/c1", wanted)
    yield partition("K/podA/c1", random.choice(("root", "isolated")))
    yield exclusive("K/podA/c1", wanted[0])


def refused_root(now: Now, random: Random) -> Steps:
    """Each way in which root turns out invalid, or a set is refused."""
    path = random.choice(("K/podA", "K/podC"))
    yield partition(path, "bogus")
    yield partition(path, "root")
    yield partition(path, "member")
    yield cpus(path, "2-3")
    yield partition(path, "root")
    yield partition(path, "member")
    if now().kernel.exclusive:
        yield exclusive(path, "4-5")
        yield partition(path, "root")
        yield partition(path, "member")
        yield exclusive("K", random.choice(("6-7", "2-3")))
        yield partition(path, "root")
        yield partition(path, "member")


def takes_all(now: Now, random: Random) -> Steps:
    """The root cgroup would keep no CPU."""
    del now, random
    yield exclusive("K", "0-7")
    yield exclusive("K/podA", "0-7")
    yield partition("K/podA", "root")


def overlapping(now: Now, random: Random) -> Steps:
    """A sibling's set is in the way: of the partition, of the exclusive set, of its growth."""
    first, second = random.choice((("K/podA", "K/B"), ("K/podC", "K/B"), ("K/podA", "K/podC")))
    yield cpus(second, random.choice(("0-4", "3-6", "0-7")))
    yield exclusive("K", "2-7")
    yield exclusive(first, "2-3")
    yield partition(first, "root")
    yield partition(first, "member")
    yield cpus(second, "4-6")
    yield exclusive(first, "2-7")
    yield partition(first, "root")
    yield exclusive(first, "2-4")
    yield exclusive(second, "3-4")
    del now


def ancestor_shrinks(now: Now, random: Random) -> Steps:
    yield from _one(now, random, random.choice(("root", "root", "isolated")), random.choice(("K/podA", "K/podC")))
    held = exclusive_of(now(), "K/podA") or exclusive_of(now(), "K/podC")
    rest = CpuSet.parse("2-7") - held
    yield exclusive("K", random.choice((str(rest), str(rest | held.first(1)), str(rest | held.first(1)), "")))


def without_privilege(now: Now, random: Random) -> Steps:
    wanted = random.choice(("2-3", "4"))
    yield exclusive("K", "2-7")
    yield exclusive("K/podA", wanted)
    yield partition("K/podA", "root", Op.WRITE_UNPRIVILEGED)
    yield partition("K/podA", "root")
    yield exclusive("K/podA", str(CpuSet.parse(wanted) | CpuSet.of([5])), Op.WRITE_UNPRIVILEGED)
    del now


def controller_goes(now: Now, random: Random) -> Steps:
    """cpuset taken away above a partition, with and without containers that have it."""
    yield from _one(now, random, path=random.choice(("K/podA", "K/podC")))
    yield control("K", "-cpuset")
    if random.random() < 0.7:
        yield control("K/podA", "-cpuset")
        yield control("K/B", "-cpuset")
    yield control("K", "-cpuset")
    yield control("K", "+cpuset")


def emptied(now: Now, random: Random) -> Steps:
    """exclusive written empty under a live partition."""
    yield from _one(now, random, random.choice(("root", "isolated")))
    yield exclusive("K/podA", "")
    yield partition("K/podA", "member")
    yield exclusive("K/podA", "")


def isolcpus(now: Now, random: Random) -> Steps:
    """CPUs that the kernel was booted to isolate."""
    cpu = (now().isolcpus or CpuSet.of([7])).lowest()
    yield exclusive("K", "2-7")
    yield exclusive("K/podA", random.choice((str(cpu), f"3,{cpu}")))
    for word in ("root", "isolated", "member", "isolated", "root"):
        yield partition("K/podA", word)


# --- local partitions -------------------------------------------------------------------------------------------------


def local_chain(now: Now, random: Random) -> Steps:
    yield cpus("K", random.choice(("2-7", "1-7")))
    yield partition("K", "root")
    yield cpus("K/podA", random.choice(("2-3", "2", "3-5")))
    yield partition("K/podA", random.choice(("root", "root", "isolated")))
    yield cpus("K/podA", random.choice(("2-4", "3", "5-6")))
    yield partition("K", "member")
    del now


def local_overlap(now: Now, random: Random) -> Steps:
    """A sibling's set grows over a local partition; trimmed, the partition can be had again."""
    yield from local_chain_up(now, random)
    yield cpus("K/B", random.choice(("2-7", "2", "3-6")))
    yield partition("K/podA", "root")
    yield cpus("K/B", "5-6")
    yield cpus("K/podA", "7")
    yield cpus("K/podA", "2-3")


def local_chain_up(now: Now, random: Random) -> Steps:
    del now
    yield cpus("K", "2-7")
    yield partition("K", "root")
    yield cpus("K/podA", random.choice(("2-3", "2")))
    yield partition("K/podA", random.choice(("root", "root", "isolated")))


def local_all(now: Now, random: Random) -> Steps:
    """The parent, which has tasks elsewhere, would keep nothing."""
    del now
    yield move("t1", random.choice(("K/podC", "K/B/podB")))
    yield cpus("K", "2-5")
    yield partition("K", "root")
    yield cpus("K/podA", random.choice(("2-5", "0-7")))
    yield partition("K/podA", "root")


def invalid_parent(now: Now, random: Random) -> Steps:
    del now
    yield partition("K", random.choice(("root", "isolated")))
    yield cpus("K/podA", "2-3")
    yield partition("K/podA", "root")


# --- hotplug ----------------------------------------------------------------------------------------------------------


def one_of_two(now: Now, random: Random) -> Steps:
    yield from _one(now, random)
    if held := list(_held(now())):
        cpu = random.choice(held)
        yield offline(cpu)
        yield online(cpu)


def last_one(now: Now, random: Random) -> Steps:
    """The only CPU of a partition, with and without tasks, goes and comes back."""
    kind = random.choice(("root", "root", "isolated"))
    yield move("t1", "K/podA/c1" if random.random() < 0.7 else "S")
    cpu = random.randrange(2, 8)
    if now().kernel.exclusive:
        yield exclusive("K", "2-7")
        yield exclusive("K/podA", str(cpu))
    else:
        yield cpus("K", "2-7")
        yield partition("K", "root")
        yield cpus("K/podA", str(cpu))
    yield partition("K/podA", kind)
    if random.random() < 0.5:  # 6.12's scheduler forgets what it counted when another domain is built
        yield exclusive("K/podC", "6" if cpu != 6 else "5")
        yield partition("K/podC", "root")
    for task in TASKS:
        if kind == "root" and now().home(task).startswith("K/podA") and random.random() < 0.4:
            yield move(task, "S")
    yield offline(cpu)
    yield online(cpu)
    yield partition("K/podA", "root")


def made_offline(now: Now, random: Random) -> Steps:
    """A partition of CPUs that are offline."""
    cpu = random.randrange(2, 8)
    yield exclusive("K", "2-7")
    yield exclusive("K/podA", str(cpu))
    yield offline(cpu)
    yield partition("K/podA", random.choice(("root", "root", "isolated")))
    yield online(cpu)
    del now


def _held(world: World) -> CpuSet:
    return world.effective("K/podA") if has(world, "K/podA") else CpuSet()


# --- sets -------------------------------------------------------------------------------------------------------------


def parent_moves(now: Now, random: Random) -> Steps:
    """A parent leaves the CPUs of its child and comes back."""
    del now
    parent, child = random.choice((("K", "K/podC"), ("K", "K/B"), ("K/podA", "K/podA/c1")))
    yield cpus(parent, "1-4")
    yield cpus(child, random.choice(("2-3", "3-6", "5-6")))
    yield cpus(parent, "5-7")
    yield cpus(parent, "1-4")
    yield cpus(child, random.choice(("6", "4-7")))


def offline_sets(now: Now, random: Random) -> Steps:
    cpu = random.randrange(1, 8)
    path = random.choice(("S", "K", "K/podC"))
    yield offline(cpu)
    yield cpus(path, f"0,{cpu}")
    yield cpus(path, str(cpu))
    yield online(cpu)
    del now


def odd_texts(now: Now, random: Random) -> Steps:
    path = random.choice(("S", "K", "K/podA", "K/podC"))
    for text in random.sample(("x", "3-1", "0,,1", "0-7:1/2", "all", "0-N", "0-8", "2,8"), 4):
        yield cpus(path, text)
    yield Step(Op.WRITE_TWICE, path, "cpuset.cpus", "2-3", before="1")
    for text in random.sample(("0", "1", "", "2", "0,5", "0-1"), 3):
        yield mems(path, text)
    del now


def no_more(now: Now, random: Random) -> Steps:
    """Sets taken back where tasks are and where none are."""
    full, empty = random.choice(HOMES), "K/B/podB/c3"
    yield move("t2", full)
    for write, text in ((cpus, "1-3"), (mems, "1")):
        yield write(full, text)
        yield write(full, "")
    yield control("K/B/podB", "+cpuset")
    yield Step(Op.MKDIR, empty)
    yield cpus(empty, "3")
    yield cpus(empty, "")
    yield Step(Op.WRITE_STALE, empty, "cpuset.cpus", "1")
    yield cpus(empty, "1")
    del now


def inner_processes(now: Now, random: Random) -> Steps:
    """Processes beside enabled controllers."""
    yield move("t1", "K/podA/c1")
    yield move("t2", random.choice(("K", "K/podA")))
    path, child = "K/podC", "K/podC/c4"
    yield Step(Op.MKDIR, child)
    yield move("t3", path)
    yield control(path, "+cpuset")
    yield move("t4", child)
    yield move("t3", "")
    yield Step(Op.RMDIR, child)
    yield control(path, "-cpuset")
    del now


def without_files(now: Now, random: Random) -> Steps:
    """Containers without cpuset files obey the pod; the files come back empty."""
    yield control("K/podA", "-cpuset")
    yield move("t1", "K/podA/c1")
    yield cpus("K/podA", random.choice(("2-3", "5")))
    yield cpus("K/podA", "1-4")
    yield control("K/podA", "+cpuset")
    yield cpus("K/podA/c1", "3")
    yield control("K/podA", "-cpuset")
    yield control("K/podA", "+cpuset")
    del now


def chosen_cpus(now: Now, random: Random) -> Steps:
    """A task chooses CPUs, then its cpuset changes, then it moves."""
    home = random.choice(("S", "K/podC"))
    yield move("t1", home)
    yield affinity("t1", "1-3")
    yield cpus(home, random.choice(("0-1", "6-7")))
    yield affinity("t1", random.choice(("2-3", "0-6", "5-7")))
    yield cpus(home, "0-7")
    yield affinity("t1", "1-2")
    yield cpus("K/podA/c1", "2-5")
    yield move("t1", "K/podA/c1")
    yield move("t1", home)
    del now


def memory_at_odds(now: Now, random: Random) -> Steps:
    """A sibling's cpuset.cpus is put within an exclusive set, then nodes are written."""
    del now
    yield exclusive("K", random.choice(("2-7", "1-6")))
    yield cpus("S", random.choice(("2-3", "4")))
    for path in random.sample(("K", "S"), 2):
        yield mems(path, random.choice(("0", "1")))


def memory(now: Now, random: Random) -> Steps:
    """A child's nodes have nothing, some or all of its parent's."""
    parent, child = random.choice((("K", "K/podC"), ("K", "K/B"), ("K/podA", "K/podA/c1")))
    yield mems(parent, random.choice(("0", "1")))
    for text in random.sample(("0", "1", "0-1"), 2):
        yield mems(child, text)
    yield mems(parent, "0-1")
    del now


ALWAYS: tuple[Scenario, ...] = (
    *(made, made, refused_root, controller_goes, controller_goes, invalid_parent, local_chain, local_chain),
    *(
        local_overlap,
        local_overlap,
        local_all,
        local_all,
        local_all,
        one_of_two,
        last_one,
        last_one,
        last_one,
        last_one,
    ),
    *(
        parent_moves,
        parent_moves,
        offline_sets,
        odd_texts,
        odd_texts,
        no_more,
        inner_processes,
        inner_processes,
        without_files,
    ),
    *(chosen_cpus, memory, memory, refused_root),
)
WITH_EXCLUSIVE: tuple[Scenario, ...] = (
    *(grown, swapped, below_burstable, container, takes_all, takes_all, overlapping, overlapping, made_offline),
    *(ancestor_shrinks, ancestor_shrinks, ancestor_shrinks, ancestor_shrinks, without_privilege, without_privilege),
    *(emptied, emptied, emptied, emptied, made_offline, made_offline, memory_at_odds, one_of_two, one_of_two),
    *(controller_goes, last_one, ancestor_shrinks),
)


def of(kernel: Kernel, *, isolated: bool) -> tuple[Scenario, ...]:
    return ALWAYS + (WITH_EXCLUSIVE if kernel.exclusive else ()) + ((isolcpus,) * 16 if isolated else ())
