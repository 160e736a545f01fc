"""Remote partitions: made, changed, refused, and what ancestors and siblings do to them."""

from pinfold.cpuset import CpuSet
from tests.differential.moment import exclusive as exclusive_of
from tests.differential.plan import TASKS
from tests.differential.steps import Op, Step

from .stage import Stage, Steps, control, cpus, exclusive, move, one, partition, pods


def made(stage: Stage) -> Steps:
    """One is made, grows, shrinks, moves, is a member for a while."""
    path = stage.random.choice(("K/podA", "K/podA", "K/podC", "K/B/podB"))
    yield from one(stage, stage.random.choice(("root", "root", "root", "isolated")), path)
    for _ in range(3):
        change = stage.random.choice(pods(stage.random))
        yield exclusive(path, change) if stage.world.kernel.exclusive else cpus(path, change)
    yield cpus(path, stage.random.choice(pods(stage.random)))
    yield partition(path, "member")
    yield partition(path, "root")


def grown(stage: Stage) -> Steps:
    """By one CPU and back."""
    yield from one(stage)
    old = exclusive_of(stage.world, "K/podA")
    yield exclusive("K/podA", str(old | CpuSet.of([stage.random.randrange(2, 8)])))
    yield exclusive("K/podA", str(old.first(1)))


def swapped(stage: Stage) -> Steps:
    """A CPU goes from one pod to another, first in the wrong order."""
    yield exclusive("K", "2-7")
    yield exclusive("K/podA", "2-3")
    yield exclusive("K/podC", "4-5")
    yield partition("K/podA", "root")
    yield partition("K/podC", stage.random.choice(("root", "isolated")))
    yield exclusive("K/podA", "2-4")
    yield exclusive("K/podC", "5")
    yield exclusive("K/podA", "2-4")


def below_burstable(stage: Stage) -> Steps:
    """Pools below B: its exclusive is the union of theirs and meets no pod's in K."""
    yield exclusive("K", "2-7")
    yield exclusive("K/podA", "2-3")
    yield partition("K/podA", "root")
    yield exclusive("K/B", "4-6")
    yield exclusive("K/B/podB", stage.random.choice(("4-5", "4")))
    yield partition("K/B/podB", stage.random.choice(("root", "root", "isolated")))
    yield exclusive("K/podA", "2-4")
    yield exclusive("K/B", "2-6")
    yield exclusive("K/B/podB", "5")
    yield exclusive("K/B", "5-6")
    yield exclusive("K/podA", "2-4")


def container(stage: Stage) -> Steps:
    """A container is the partition, its pod a member."""
    wanted = stage.random.choice(("6-7", "3-5"))
    yield exclusive("K", "2-7")
    yield exclusive("K/podA", wanted)
    yield exclusive("K/podA/c1", wanted)
    yield partition("K/podA/c1", stage.random.choice(("root", "isolated")))
    yield exclusive("K/podA/c1", wanted[0])


def refused_root(stage: Stage) -> Steps:
    """Each way in which root turns out invalid, or a set is refused."""
    path = stage.random.choice(("K/podA", "K/podC"))
    for word in ("bogus", stage.random.choice(("ROOT", "root member", "root invalid"))):
        yield partition(path, word)
    yield partition(path, "root")
    yield partition(path, "member")
    yield cpus(path, "2-3")
    yield partition(path, "root")
    yield partition(path, "member")
    if stage.world.kernel.exclusive:
        yield exclusive(path, "4-5")
        yield partition(path, "root")
        yield partition(path, "member")
        yield exclusive("K", stage.random.choice(("6-7", "2-3")))
        yield partition(path, "root")
        yield partition(path, "member")


def takes_all(_: Stage) -> Steps:
    """The root cgroup would keep no CPU."""
    yield exclusive("K", "0-7")
    yield exclusive("K/podA", "0-7")
    for word in ("root", "member", "root"):
        yield partition("K/podA", word)


def overlapping(stage: Stage) -> Steps:
    """A sibling's set is in the way: of the partition, of the exclusive set, of its growth."""
    first, second = stage.random.choice((("K/podA", "K/B"), ("K/podC", "K/B"), ("K/podA", "K/podC")))
    yield cpus(second, stage.random.choice(("0-4", "3-6", "0-7")))
    yield exclusive("K", "2-7")
    yield exclusive(first, "2-3")
    yield partition(first, "root")
    yield partition(first, "member")
    yield cpus(second, "4-6")
    yield exclusive(first, "2-7")
    yield partition(first, "root")
    for larger in ("2-4", "2-5"):
        yield exclusive(first, larger)
    yield exclusive(second, "3-4")


def ancestor_shrinks(stage: Stage) -> Steps:
    path = stage.random.choice(("K/podA", "K/podC"))
    for _ in range(3):
        yield partition(path, "member")
        yield from one(stage, stage.random.choice(("root", "root", "isolated")), path)
        held = exclusive_of(stage.world, path)
        rest = CpuSet.parse("2-7") - held
        yield exclusive("K", stage.random.choice((str(rest), str(rest | held.first(1)), "")))


def without_privilege(stage: Stage) -> Steps:
    wanted = stage.random.choice(("2-3", "4"))
    yield exclusive("K", "2-7")
    yield exclusive("K/podA", wanted)
    yield partition("K/podA", "root", Op.WRITE_UNPRIVILEGED)
    yield partition("K/podA", "root")
    yield exclusive("K/podA", str(CpuSet.parse(wanted) | CpuSet.of([5])), Op.WRITE_UNPRIVILEGED)


def controller_goes(stage: Stage) -> Steps:
    """cpuset taken away above a partition, with and without containers that have it."""
    path = stage.random.choice(("K/podA", "K/podC"))
    yield from one(stage, path=path)
    yield control("K", "-cpuset")
    for container in ("K/podA", "K/B"):
        yield control(container, "-cpuset")
    for _ in range(2):
        yield control("K", "-cpuset")
        yield control("K", "+cpuset")
        yield from one(stage, path=path)


def removed(stage: Stage) -> Steps:
    """A pod ends while its cgroup is a partition."""
    for kind in stage.random.sample(("root", "isolated"), 2):
        yield from one(stage, kind, "K/podC")
        for task in TASKS:
            if stage.world.home(task) == "K/podC":
                yield move(task, "S")
        yield Step(Op.RMDIR, "K/podC")
        yield Step(Op.MKDIR, "K/podC")


def emptied(stage: Stage) -> Steps:
    """exclusive written empty under a live partition."""
    for kind in stage.random.sample(("root", "isolated"), 2):
        yield from one(stage, kind)
        yield exclusive("K/podA", "")
        yield partition("K/podA", "member")


def isolcpus(stage: Stage) -> Steps:
    """CPUs that the kernel was booted to isolate."""
    cpu = (stage.world.isolcpus or CpuSet.of([7])).lowest()
    yield exclusive("K", "2-7")
    yield exclusive("K/podA", stage.random.choice((str(cpu), f"3,{cpu}")))
    for word in ("root", "isolated", "member", "isolated", "root"):
        yield partition("K/podA", word)
