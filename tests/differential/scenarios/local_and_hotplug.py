"""Local partitions, and CPUs that go offline and come back."""

from pinfold.cpuset import CpuSet
from tests.cpuset_model import World
from tests.differential.moment import has
from tests.differential.plan import TASKS

from .stage import Stage, Steps, cpus, exclusive, move, offline, one, online, partition


def chain(stage: Stage) -> Steps:
    yield cpus("K", stage.random.choice(("2-7", "1-7")))
    yield partition("K", "root")
    yield cpus("K/podA", stage.random.choice(("2-3", "2", "3-5")))
    for word in (stage.random.choice(("root", "isolated")), "member", "root"):
        yield partition("K/podA", word)
    yield cpus("K/podA", stage.random.choice(("2-4", "3", "5-6")))
    yield partition("K", "member")
    yield partition("K", "root")


def overlap(stage: Stage) -> Steps:
    """A sibling's set grows over a local partition; trimmed, the partition can be had again."""
    yield from chain_up(stage)
    for fits in ("7", "2-3"):
        yield cpus("K/B", stage.random.choice(("2-7", "2,7", "3-7")))
        yield partition("K/podA", "root")
        yield cpus("K/B", "5-6")
        yield cpus("K/podA", fits)


def chain_up(stage: Stage) -> Steps:
    yield cpus("K", "2-7")
    yield partition("K", "root")
    yield cpus("K/podA", stage.random.choice(("2-3", "2")))
    yield partition("K/podA", stage.random.choice(("root", "root", "isolated")))


def takes_all(stage: Stage) -> Steps:
    """The parent, which has tasks elsewhere, would keep nothing."""
    yield move("t1", stage.random.choice(("K/podC", "K/B/podB")))
    yield cpus("K", "2-5")
    yield partition("K", "root")
    yield cpus("K/podA", stage.random.choice(("2-5", "0-7")))
    for word in ("root", "member", "root"):
        yield partition("K/podA", word)


def invalid_parent(stage: Stage) -> Steps:
    yield partition("K", stage.random.choice(("root", "isolated")))
    yield cpus("K/podA", "2-3")
    yield partition("K/podA", "root")


# --- hotplug ----------------------------------------------------------------------------------------------------------


def one_of_two(stage: Stage) -> Steps:
    yield from one(stage)
    for cpu in _held(stage.world):
        yield offline(cpu)
        yield online(cpu)


def last_one(stage: Stage) -> Steps:
    """The only CPU of a partition, with and without tasks, goes and comes back."""
    cpu = stage.random.randrange(2, 8)
    if stage.world.kernel.exclusive:
        yield exclusive("K", "2-7")
        yield exclusive("K/podA", str(cpu))
    else:
        yield cpus("K", "2-7")
        yield partition("K", "root")
        yield cpus("K/podA", str(cpu))
    for kind in stage.random.sample(("root", "root", "isolated"), 2):
        yield partition("K/podA", "member")
        yield partition("K/podA", kind)
        if stage.random.random() < 0.5:  # 6.12's scheduler forgets what it counted when another domain is built
            yield exclusive("K/podC", "6" if cpu != 6 else "5")
            yield partition("K/podC", stage.random.choice(("root", "isolated")))
        yield from _inhabited(stage, inhabited=kind == "isolated" or stage.random.random() < 0.5)
        yield offline(cpu)
        yield online(cpu)
        yield partition("K/podA", "root")


def _inhabited(stage: Stage, *, inhabited: bool) -> Steps:
    if inhabited:
        yield move("t1", "K/podA/c1")
        return
    for task in TASKS:
        if stage.world.home(task).startswith("K/podA"):
            yield move(task, "S")


def made_offline(stage: Stage) -> Steps:
    """A partition of CPUs that are offline."""
    cpu = stage.random.randrange(2, 8)
    yield exclusive("K", "2-7")
    yield exclusive("K/podA", str(cpu))
    yield offline(cpu)
    for word in (stage.random.choice(("root", "isolated")), "member", "root"):
        yield partition("K/podA", word)
    yield online(cpu)


def _held(world: World) -> CpuSet:
    return world.effective("K/podA") if has(world, "K/podA") else CpuSet()
