"""Sets without partitions, memory nodes, processes and the masks that tasks choose."""

from tests.differential.steps import Op, Step

from .stage import HOMES, Stage, Steps, affinity, control, cpus, exclusive, mems, move, offline, online


def parent_moves(stage: Stage) -> Steps:
    """A parent leaves the CPUs of its child and comes back."""
    parent, child = stage.random.choice((("K", "K/podC"), ("K", "K/B"), ("K/podA", "K/podA/c1")))
    yield cpus(parent, "1-4")
    yield cpus(child, stage.random.choice(("2-3", "3-6", "5-6")))
    yield cpus(parent, "5-7")
    yield cpus(parent, "1-4")
    yield cpus(child, stage.random.choice(("6", "4-7")))


def offline_sets(stage: Stage) -> Steps:
    cpu = stage.random.randrange(1, 8)
    path = stage.random.choice(("S", "K", "K/podC"))
    yield offline(cpu)
    yield cpus(path, f"0,{cpu}")
    yield cpus(path, str(cpu))
    yield online(cpu)


def odd_texts(stage: Stage) -> Steps:
    path = stage.random.choice(("S", "K", "K/podA", "K/podC"))
    for text in stage.random.sample(("x", "3-1", "0,,1", "0-7:1/2", "all", "0-N", "0-8", "2,8"), 4):
        yield cpus(path, text)
    yield Step(Op.WRITE_TWICE, path, "cpuset.cpus", "2-3", before="1")
    for text in stage.random.sample(("0", "1", "", "2", "0,5", "0-1"), 3):
        yield mems(path, text)


def no_more(stage: Stage) -> Steps:
    """Sets taken back where tasks are and where none are."""
    full, empty = stage.random.choice(HOMES), "K/B/podB/c3"
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


def inner_processes(stage: Stage) -> Steps:
    """Processes beside enabled controllers."""
    yield move("t1", "K/podA/c1")
    yield move("t2", stage.random.choice(("K", "K/podA")))
    path, child = "K/podC", "K/podC/c4"
    yield Step(Op.MKDIR, child)
    yield move("t3", path)
    yield control(path, "+cpuset")
    yield move("t4", child)
    yield move("t3", "")
    yield Step(Op.RMDIR, child)
    yield control(path, "-cpuset")


def without_files(stage: Stage) -> Steps:
    """Containers without cpuset files obey the pod; the files come back empty."""
    yield control("K/podA", "-cpuset")
    yield move("t1", "K/podA/c1")
    yield cpus("K/podA", stage.random.choice(("2-3", "5")))
    yield cpus("K/podA", "1-4")
    yield control("K/podA", "+cpuset")
    yield cpus("K/podA/c1", "3")
    yield control("K/podA", "-cpuset")
    yield control("K/podA", "+cpuset")


def chosen_cpus(stage: Stage) -> Steps:
    """A task chooses CPUs, then its cpuset changes, then it moves."""
    home = stage.random.choice(("S", "K/podC"))
    yield move("t1", home)
    yield affinity("t1", "1-3")
    yield cpus(home, stage.random.choice(("0-1", "6-7")))
    yield affinity("t1", stage.random.choice(("2-3", "0-6", "5-7")))
    yield cpus(home, "0-7")
    yield affinity("t1", "1-2")
    yield cpus("K/podA/c1", "2-5")
    yield move("t1", "K/podA/c1")
    yield move("t1", home)


def memory_at_odds(stage: Stage) -> Steps:
    """A sibling's cpuset.cpus is put within an exclusive set, then nodes are written."""
    yield exclusive("K", stage.random.choice(("2-7", "1-6")))
    yield cpus("S", stage.random.choice(("2-3", "4")))
    for path in stage.random.sample(("K", "S"), 2):
        yield mems(path, stage.random.choice(("0", "1")))


def memory(stage: Stage) -> Steps:
    """A child's nodes have nothing, some or all of its parent's."""
    parent, child = stage.random.choice((("K", "K/podC"), ("K", "K/B"), ("K/podA", "K/podA/c1")))
    yield mems(parent, stage.random.choice(("0", "1")))
    for text in stage.random.sample(("0", "1", "0-1"), 2):
        yield mems(child, text)
    yield mems(parent, "0-1")
