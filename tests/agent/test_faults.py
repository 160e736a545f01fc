"""What goes wrong at one step of an admission, a resize or an end: a write that the kernel refuses, a disk, a crash.

At every step nobody meets whom he should not; and afterwards, with nothing wrong any more, every promise is kept.
"""

import errno
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pinfold.agent.loop import RETRY_S
from pinfold.cgroups.files import CgroupError
from pinfold.cgroups.paths import CgroupPath, File
from pinfold.cgroups.verify import Cause
from pinfold.cpuset import CpuSet
from pinfold.pods.model import QosClass
from pinfold.report.snapshot import Mode
from pinfold.state import FILE, StateError
from tests.agent.bench import Bench, Death, pod, sharing
from tests.cgroups.node import pod_path
from tests.cpuset_model import KERNELS, V6_12, Kernel

ERRNOS = ("ENOENT", "ENODEV", "EINVAL", "EBUSY", "ENOSPC", "EACCES", "EPERM", "EIO")
GONE = ("ENOENT", "ENODEV")
"""Of a cgroup that is gone, nobody is left who could meet anyone; here it is not."""
NEIGHBOUR = 2


@pytest.fixture(params=KERNELS, ids=str)
def kernel(request: pytest.FixtureRequest) -> Kernel:
    found: Kernel = request.param
    return found


@pytest.fixture
def bench(kernel: Kernel, tmp_path: Path) -> Iterator[Bench]:
    """A node with a pinned pod, and another that runs unmanaged."""
    made = Bench.boot(kernel, tmp_path, apiServer={"enabled": False})
    made.put(pod(NEIGHBOUR, 2, engine=1))
    made.appear(NEIGHBOUR)
    made.appear(1)
    made.start()
    made.turn()
    yield made
    made.stop()


def admitted(bench: Bench) -> None:
    bench.put(pod(1, 4, engine=3))


def grown(bench: Bench) -> None:
    bench.put(pod(1, 6, engine=4))


def shrunk(bench: Bench) -> None:
    bench.put(pod(1, 3, engine=2))


def ended(bench: Bench) -> None:
    bench.take(1)
    bench.fs.world.exit("pause-1")


Step = Callable[[Bench], None]
STEPS: tuple[Step, ...] = (admitted, grown, shrunk, ended)
SIZES: dict[Step, int] = {admitted: 4, grown: 6, shrunk: 3, ended: 0}


def promised(bench: Bench, step: Step) -> None:
    """The promises, by the kernel's word, after a while."""
    bench.fs.refused = {}
    bench.now_s += RETRY_S
    snapshot = bench.turn()
    pools = {one.name: one.pool for one in snapshot.pods}
    assert len(pools.get("p1", CpuSet())) == SIZES[step]
    assert len(pools[f"p{NEIGHBOUR}"]) == 2
    assert sum(map(len, pools.values())) == len(CpuSet.union(pools.values()))
    drift = [one for status in snapshot.pods for one in status.kernel.drift]
    assert [one for one in drift if one.cause != Cause.MEMORY_NOT_MOVED] == []
    tasks = {name: bench.fs.world.allowed(f"pause-{name[1:]}") for name in pools}
    for name, pool in pools.items():
        assert tasks[name] <= pool
        assert bench.fs.world.allowed("system.slice").isdisjoint(pool)
    written = snapshot.counters.writes
    assert bench.turn().counters.writes == written, "there is an end to it"


def walked(bench: Bench, upto: Step) -> None:
    """Every step before *upto*, with nothing wrong."""
    for step in STEPS[: STEPS.index(upto)]:
        step(bench)
        bench.turn()


def writes_of(bench: Bench, step: Step) -> int:
    """How many writes *step* takes when nothing goes wrong; it is done then."""
    before = bench.fs.count
    step(bench)
    bench.turn()
    return bench.fs.count - before


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
@pytest.mark.parametrize(
    ("kernel", "name"),
    [(V6_12, name) for name in ERRNOS]
    + [(kernel, name) for kernel in KERNELS if kernel is not V6_12 for name in ("ENOENT", "EINVAL")],
    indirect=["kernel"],
    ids=str,
)
def test_a_write_that_is_refused_harms_nobody_and_is_made_up_for(bench: Bench, step: Step, name: str) -> None:
    """One write after another is refused, for as long as there are any."""
    walked(bench, step)
    neighbour = bench.status(NEIGHBOUR).pool
    number, seen = 0, 0
    while True:
        before = dict(sharing(bench.fs.world))
        bench.fs.moments = []
        first = bench.fs.count
        bench.fs.refused = {first + number: getattr(errno, name)}
        step(bench)
        bench.turn()
        met = bench.fs.count > first + number
        moments = bench.fs.moments
        promised(bench, step)
        assert bench.status(NEIGHBOUR).pool == neighbour
        after = dict(sharing(bench.fs.world))
        for moment in moments:
            wrong = {pair: cpus - before[pair] - after[pair] for pair, cpus in moment.items() if pair in after}
            assert name in GONE or not any(wrong.values()), wrong
        if not met or step is ended:
            break
        number, seen = number + 1, seen + 1
        undone(bench, step)
    assert seen or step is ended


def undone(bench: Bench, step: Step) -> None:
    """Back to where *step* began."""
    at = STEPS.index(step)
    if at:
        STEPS[at - 1](bench)
    else:
        bench.put({**pod(1, 4), "spec": {"containers": [{"name": "proxy"}]}})
    bench.turn()


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_a_full_disk_stops_a_step_before_its_first_write(bench: Bench, step: Step) -> None:
    walked(bench, step)
    draft = Path(bench.config.state_dir) / f"{FILE}.new"
    draft.mkdir()  # no file can be made there, as on a full disk
    count, masks = bench.fs.count, dict(sharing(bench.fs.world))
    step(bench)
    snapshot = bench.turn()
    assert snapshot.counters.faults[StateError.__name__].count > 0
    assert bench.fs.count == count
    assert {pair: cpus for pair, cpus in masks.items() if pair in sharing(bench.fs.world)} == dict(
        sharing(bench.fs.world)
    )
    draft.rmdir()
    promised(bench, step)


def full(bench: Bench) -> Path:
    """The disk is, as long as this is there."""
    (draft := Path(bench.config.state_dir) / f"{FILE}.new").mkdir()
    return draft


@pytest.mark.parametrize("waits", [False, True], ids=["and-nobody-waits", "and-a-pod-waits"])
def test_while_the_disk_is_full_what_others_undo_is_repaired(bench: Bench, waits: bool) -> None:
    admitted(bench)
    pool = bench.turn().pods[0].pool
    draft = full(bench)
    if waits:
        bench.put(pod(3, 2))
    path = pod_path(NEIGHBOUR, QosClass.GUARANTEED)
    for where, file, value in ((path, File.PARTITION, "member"), (CgroupPath("system.slice"), File.CPUS, "0-15")):
        with suppress(CgroupError):
            bench.fs._take(where, file, value)
    snapshot = bench.turn()
    if waits:
        assert snapshot.counters.faults[StateError.__name__].count > 0
        assert any("Make room in stateDir" in one for one in snapshot.warnings)
    owned = CpuSet.union(one.pool for one in snapshot.pods)
    assert len(owned) == 6
    assert pool < owned
    assert bench.fs.world.allowed("system.slice").isdisjoint(owned)
    assert bench.fs.world.allowed(f"pause-{NEIGHBOUR}") <= bench.status(NEIGHBOUR).pool
    draft.rmdir()
    snapshot = bench.turn()
    assert not any("Make room in stateDir" in one for one in snapshot.warnings)
    assert bool(waits) is any(one.name == "p3" and one.pool for one in snapshot.pods)


def test_while_the_disk_is_full_nobody_new_comes_into_a_pool_and_nobody_is_let_in(bench: Bench) -> None:
    """A pod of nobody's comes, and somebody writes a list that was none before."""
    pool = bench.turn().pods[0].pool
    system = CgroupPath("system.slice")
    draft = full(bench)
    bench.appear(7)
    with suppress(CgroupError):
        bench.fs._take(system, File.CPUS, "0-7")
    bench.turn()
    for task in ("system.slice", "pause-7"):
        assert bench.fs.world.allowed(task).isdisjoint(pool)
    draft.rmdir()
    bench.start()  # as if it had died before there was room
    bench.turn()
    bench.take(NEIGHBOUR)
    bench.fs.world.exit(f"pause-{NEIGHBOUR}")
    bench.turn()
    assert bench.fs.world.allowed("pause-7") == CpuSet.parse("0-15"), "what was written meanwhile is given back"


def test_while_the_disk_is_full_a_kubelet_that_becomes_static_has_its_cpusets_back(bench: Bench) -> None:
    root = Path(bench.config.sources.kubelet.root_dir)
    root.mkdir(exist_ok=True)
    draft = full(bench)
    state = {"policyName": "static", "defaultCpuSet": "0-15", "checksum": 1}
    (root / "cpu_manager_state").write_text(json.dumps(state))
    snapshot = bench.turn()
    assert snapshot.mode is Mode.OBSERVING
    assert bench.fs.world.allowed("system.slice") == CpuSet.parse("0-15")
    assert bench.fs.world.allowed(f"pause-{NEIGHBOUR}") == CpuSet.parse("0-15")
    draft.rmdir()
    (root / "cpu_manager_state").write_text(json.dumps({**state, "policyName": "none", "defaultCpuSet": ""}))
    promised(bench, ended)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
@pytest.mark.parametrize("damage", [b"", b"{", b'{"version": 99, "data": {}}'], ids=["empty", "torn", "new"])
def test_a_checkpoint_torn_at_any_write_is_rebuilt_without_a_move_of_the_neighbour(
    bench: Bench, step: Step, damage: bytes
) -> None:
    walked(bench, step)
    neighbour = bench.status(NEIGHBOUR).pool
    number = 0
    while True:
        bench.fs.dies_at = bench.fs.count + number
        step(bench)
        died = not survived(bench)
        bench.fs.dies_at = None
        (Path(bench.config.state_dir) / FILE).write_bytes(damage)
        bench.start()
        promised(bench, step)
        assert bench.status(NEIGHBOUR).pool == neighbour
        if not died or step is ended:
            break
        number += 1
        undone(bench, step)


def survived(bench: Bench) -> bool:
    try:
        bench.turn()
    except Death:
        bench.stop()
        return False
    return True
