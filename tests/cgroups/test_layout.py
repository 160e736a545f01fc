"""What a pod's cgroups should hold besides its CPUs: memory nodes, quotas and controllers; and whose CPUs are whose."""

from dataclasses import replace

import pytest

from pinfold.cgroups.found import Found, Record
from pinfold.cgroups.held import CpusetState, Held
from pinfold.cgroups.layout import MOVE_BYTES, Enforcement, Layout, Node, Want, container_sets
from pinfold.cgroups.paths import ROOT, CgroupPath, File
from pinfold.cgroups.protocol import ordered
from pinfold.cgroups.tree import ContainerCgroup, Driver, PodCgroup, Tree
from pinfold.cgroups.verify import verify
from pinfold.cgroups.wanted import wanted
from pinfold.cgroups.watch import read, watched
from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.ledger import Block, ContainerEntry, Isolation, Ledger, PodEntry
from pinfold.pods.model import ContainerKind, QosClass

from .node import machine, uid

ONLINE = CpuSet.parse("0-7")
MACHINE = machine(ONLINE, ONLINE)
K = CgroupPath("kubepods.slice")
POD = CgroupPath("kubepods.slice/pod")
ENGINE, REST, PAUSE = (CgroupPath(f"{POD}/{name}") for name in ("engine", "rest", "pause"))
SYSTEM, USER = CgroupPath("system.slice"), CgroupPath("user.slice")
CGROUP = PodCgroup(
    uid(1),
    POD,
    QosClass.GUARANTEED,
    (ContainerCgroup(ENGINE, "e" * 64), ContainerCgroup(REST, "c" * 64), ContainerCgroup(PAUSE, None)),
)
TREE = Tree(K, Driver.SYSTEMD, {}, {uid(1): CGROUP}, outsiders=(SYSTEM,))
NAMES = {"e" * 64: "engine", "c" * 64: "rest"}
GIB = 1 << 30
POOL, SLICE, SHARED = CpuSet.parse("2-5"), CpuSet.parse("2-4"), CpuSet.parse("5")
NODE_1 = NodeSet.parse("1")
BLOCK = Block(NODE_1, "memory", GIB)

POOLED = PodEntry(
    uid(1),
    "ns",
    "a",
    POOL,
    NODE_1,
    (
        ContainerEntry("engine", Isolation.CONTAINER, SLICE, (BLOCK,)),
        ContainerEntry("rest", Isolation.POD, SHARED, (BLOCK,)),
    ),
    blocks=(BLOCK,),
)
SLICED = PodEntry(
    uid(1),
    "ns",
    "a",
    containers=(ContainerEntry("engine", Isolation.CONTAINER, SLICE, (BLOCK,)), ContainerEntry("rest", Isolation.HOST)),
)
BOOKED_ONLY = PodEntry(uid(1), "ns", "a", mems=NODE_1, blocks=(BLOCK,))
QUOTA = CpusetState(
    cpus=CpuSet(), exclusive=CpuSet(), partition="member", mems=NodeSet(), cpu_max="400000 100000", gives_cpuset=True
)
HELD: Held = dict.fromkeys((ROOT, K, POD, ENGINE, REST, PAUSE, SYSTEM), QUOTA)


def wants(entry: PodEntry | None, held: Held = HELD, found: Found | None = None) -> dict[CgroupPath, Want]:
    node = Node(TREE, held, found or {}, MACHINE, Enforcement.PARTITION, NAMES)
    ledger = Ledger({uid(1): entry}) if entry else Ledger()
    return dict(wanted(node, ledger, ONLINE - ledger.owned).wants)


@pytest.mark.parametrize(
    ("entry", "mems"),
    [
        pytest.param(POOLED, {POD: NODE_1}, id="a-pool-binds-the-pod-and-its-containers-inherit"),
        pytest.param(BOOKED_ONLY, {POD: NODE_1}, id="memory-booked-for-the-pod-without-cpus"),
        pytest.param(SLICED, {ENGINE: NODE_1}, id="without-a-pool-each-container-has-its-own"),
        pytest.param(replace(POOLED, mems=NodeSet()), {}, id="no-memory-policy-writes-no-nodes"),
    ],
)
def test_memory_nodes(entry: PodEntry, mems: dict[CgroupPath, NodeSet]) -> None:
    assert {path: want.mems for path, want in wants(entry).items() if want.mems is not None} == mems


@pytest.mark.parametrize(
    ("entry", "lifted"),
    [
        pytest.param(POOLED, [POD, ENGINE], id="a-slice-in-a-pool"),
        pytest.param(SLICED, [POD, ENGINE], id="a-slice-without-a-pool"),
        pytest.param(
            replace(POOLED, containers=(ContainerEntry("rest", Isolation.POD, POOL),)), [], id="a-pool-without-a-slice"
        ),
        pytest.param(
            replace(POOLED, containers=(ContainerEntry("init", Isolation.CONTAINER, SLICE, kind=ContainerKind.INIT),)),
            [POD],
            id="a-standard-init-container-counts",
        ),
        pytest.param(BOOKED_ONLY, [], id="memory-alone"),
    ],
)
def test_a_slice_lifts_its_own_quota_and_its_pods(entry: PodEntry, lifted: list[CgroupPath]) -> None:
    found = {path: want.cpu_max for path, want in wants(entry).items() if want.cpu_max is not None}
    assert found == dict.fromkeys(lifted, "max 100000")


def test_a_quota_is_given_back_as_its_last_other_writer_left_it() -> None:
    found: Found = {POD: {File.CPU_MAX: Record("600000 100000", frozenset({"max 100000"}))}}
    held = {**HELD, POD: replace(QUOTA, cpu_max="max 100000")}
    assert wants(None, held, found)[POD].cpu_max == "600000 100000"


@pytest.mark.parametrize(
    ("file", "found", "state", "given_back"),
    [
        pytest.param(File.CPUS, "0-3", replace(QUOTA, cpus=POOL), "0-3", id="cpus"),
        pytest.param(File.EXCLUSIVE, "", replace(QUOTA, exclusive=POOL), "", id="exclusive"),
        pytest.param(File.PARTITION, "member", replace(QUOTA, partition="root"), "member", id="partition"),
        pytest.param(File.MEMS, "0", replace(QUOTA, mems=NODE_1), "0", id="mems"),
        pytest.param(File.CPU_MAX, "6000 10000", replace(QUOTA, cpu_max="max 10000"), "6000 10000", id="cpu-max"),
        pytest.param(File.MEMORY_LOW, "4096", replace(QUOTA, memory_low="max"), "4096", id="memory-low"),
        pytest.param(File.MEMORY_MIN, "8192", replace(QUOTA, memory_min="max"), "8192", id="memory-min"),
    ],
)
def test_every_file_is_given_back_as_it_was_found_and_told_of_its_pod(
    file: File, found: str, state: CpusetState, given_back: str
) -> None:
    ours = state.text(file)
    assert ours is not None
    want = wants(None, {**HELD, POD: state}, {POD: {file: Record(found, frozenset({ours}))}})[POD]
    assert (want.texts(), want.pod) == ({file: given_back}, uid(1))


def test_whatever_is_written_for_a_pod_names_it() -> None:
    """So a refused write is the pod's, and no other's."""
    for entry in (POOLED, SLICED, BOOKED_ONLY):
        for enforcement in Enforcement:
            node = Node(TREE, HELD, {}, MACHINE, enforcement, NAMES)
            layout = wanted(node, Ledger({uid(1): entry}), ONLINE - entry.owned)
            writes = [one for one in ordered(HELD, layout) if one.path in {POD, ENGINE, REST, PAUSE}]
            assert writes
            kept_off = {File.CPUS} if entry is not POOLED and enforcement is Enforcement.SHRINK else set()
            assert {one.pod for one in writes if one.file not in kept_off} == {uid(1)}


def test_where_pools_are_held_by_shrinking_whoever_was_given_cpus_keeps_those_that_are_nobodys() -> None:
    """And a partition that somebody made is his."""
    qos, other, theirs = (CgroupPath(f"{K}/{name}") for name in ("burstable", "other", "theirs"))
    pods = {
        uid(number): PodCgroup(uid(number), path, QosClass.GUARANTEED) for number, path in ((2, other), (3, theirs))
    }
    tree = replace(TREE, qos_slices={QosClass.BURSTABLE: qos}, pods={**TREE.pods, **pods}, outsiders=(SYSTEM, USER))
    given = replace(QUOTA, cpus=CpuSet.parse("1-3,7"))
    partition = replace(given, partition="root")
    held = {**HELD, qos: given, other: given, theirs: partition, SYSTEM: given, USER: replace(given, cpus=POOL)}
    node = Node(tree, held, {}, MACHINE, Enforcement.SHRINK, NAMES)
    layout = wanted(node, Ledger({uid(1): POOLED}), ONLINE - POOL).wants
    cpus = {path: str(layout[path].cpus) for path in (qos, other, SYSTEM, USER)}
    assert cpus == {qos: "1,7", other: "1,7", SYSTEM: "1,7", USER: "0-1,6-7"}
    assert theirs not in layout
    wider = {path: replace(QUOTA, cpus=layout[path].cpus, cpus_effective=ONLINE) for path in cpus}
    drift = verify(Layout({path: layout[path] for path in wider}), wider, ONLINE)
    assert [(one.path, one.want) for one in drift] == [(path, cpus[path]) for path in sorted(cpus)]


def test_the_rest_of_a_pod_without_a_pool_keeps_what_it_was_given() -> None:
    held = {**HELD, POD: replace(QUOTA, cpus=CpuSet.parse("0,6"))}
    node = Node(TREE, held, {}, MACHINE, Enforcement.SHRINK, NAMES)
    layout = wanted(node, Ledger({uid(1): SLICED}), ONLINE - SLICE).wants
    cpus = {path: str(layout[path].cpus) for path in (POD, ENGINE, REST, PAUSE)}
    assert cpus == {POD: "0,2-4,6", ENGINE: "2-4", REST: "0,6", PAUSE: "0,6"}


def test_no_controller_is_enabled_in_a_cgroup_with_processes_of_its_own() -> None:
    """It would succeed, and nobody could enter the cgroups below any more."""
    held = {**HELD, ROOT: replace(QUOTA, has_tasks=True), POD: replace(QUOTA, has_tasks=True)}
    given = {path for path, want in wants(POOLED, held).items() if want.gives_cpuset}
    assert given == {ROOT, K}


@pytest.mark.parametrize(
    ("below", "given_up"),
    [
        pytest.param(CpusetState(cpus=CpuSet()), True, id="nobody-uses-it"),
        pytest.param(CpusetState(cpus=CpuSet.parse("0-1")), False, id="somebody-set-cpus"),
        pytest.param(CpusetState(cpus=CpuSet(), mems=NODE_1), False, id="somebody-set-nodes"),
        pytest.param(CpusetState(cpus=CpuSet(), gives_cpuset=True), False, id="somebody-gives-it-on"),
    ],
)
def test_a_controller_is_taken_back_where_nobody_below_uses_it(below: CpusetState, given_up: bool) -> None:
    found: Found = {ROOT: {File.SUBTREE_CONTROL: Record("-cpuset", frozenset({"+cpuset"}))}}
    want = wants(None, {ROOT: CpusetState(gives_cpuset=True, has_tasks=True), SYSTEM: below}, found)[ROOT]
    assert (want.gives_cpuset is False) is given_up


@pytest.mark.parametrize(
    ("state", "moved"),
    [
        pytest.param(replace(QUOTA, populated=False, memory_bytes=GIB), True, id="nobody-runs-in-it"),
        pytest.param(replace(QUOTA, populated=False, mems=NODE_1), False, id="it-is-written-already"),
        pytest.param(replace(QUOTA, populated=True, memory_bytes=1 << 20), True, id="little-to-move"),
        pytest.param(replace(QUOTA, populated=True, memory_bytes=MOVE_BYTES), True, id="just-as-much-as-may-be"),
        pytest.param(replace(QUOTA, populated=True, memory_bytes=MOVE_BYTES + 1), False, id="much-to-move"),
        pytest.param(replace(QUOTA, populated=True), False, id="nobody-knows-how-much"),
        pytest.param(
            replace(QUOTA, populated=True, memory_bytes=GIB, mems=NodeSet.parse("0-1"), mems_effective=NODE_1),
            True,
            id="it-lies-there-already",
        ),
    ],
)
def test_memory_is_moved_only_within_a_bound(state: CpusetState, moved: bool) -> None:
    held = {**HELD, POD: state}
    node = Node(TREE, held, {}, MACHINE, Enforcement.PARTITION, NAMES)
    writes = ordered(held, wanted(node, Ledger({uid(1): BOOKED_ONLY}), ONLINE))
    assert [(write.path, write.value) for write in writes if write.file is File.MEMS] == [(POD, "1")] * moved


INIT = ContainerEntry("init", Isolation.CONTAINER, CpuSet.parse("3-4"), kind=ContainerKind.INIT)
WIDE = ContainerEntry("engine", Isolation.POD, POOL, kind=ContainerKind.INIT)


@pytest.mark.parametrize(
    ("containers", "engine", "rest", "pause"),
    [
        pytest.param(POOLED.containers, "2-4", "5", "5", id="slice-shared-and-unknown"),
        pytest.param((WIDE,), "2-5", "2-5", "2-5", id="an-init-container-without-a-slice-has-the-pool"),
        pytest.param(
            (WIDE, ContainerEntry("late", Isolation.CONTAINER, SLICE)),
            "2-5",
            "5",
            "5",
            id="an-init-container-has-what-is-a-slices-that-is-not-there-yet",
        ),
        pytest.param(
            (ContainerEntry("engine", Isolation.CONTAINER, POOL),), "2-5", "2-5", "2-5", id="nothing-left-whole-pool"
        ),
        pytest.param(
            (ContainerEntry("engine", Isolation.CONTAINER, SLICE), ContainerEntry("rest", Isolation.POD, POOL)),
            "2-4",
            "5",
            "5",
            id="a-shared-container-yields-to-a-slice-that-is-there",
        ),
        pytest.param(
            (INIT, ContainerEntry("rest", Isolation.POD, POOL)), "2-5", "2-5", "2-5", id="a-slice-not-there-yet"
        ),
    ],
)
def test_who_runs_where_in_a_pool(containers: tuple[ContainerEntry, ...], engine: str, rest: str, pause: str) -> None:
    sets = container_sets(replace(POOLED, containers=containers), CGROUP, NAMES)
    assert {path: str(cpus) for path, cpus in sets.items()} == {ENGINE: engine, REST: rest, PAUSE: pause}


def test_cpus_that_the_kernel_was_booted_to_isolate_are_in_no_shared_pool() -> None:
    isolated = replace(MACHINE, isolated=CpuSet.parse("6-7"))
    node = Node(TREE, HELD, {}, isolated, Enforcement.SHRINK, NAMES)
    layout = wanted(node, Ledger({uid(1): POOLED}), ONLINE - POOL)
    assert (layout.shared, layout.wants[SYSTEM].cpus) == (CpuSet.parse("0-1"), CpuSet.parse("0-1"))


def test_exclusive_cpus_of_a_strangers_pod_stay_in_the_sets_above() -> None:
    """CRI-O makes partitions of containers, and writes the sets above them."""
    theirs = CgroupPath("kubepods.slice/theirs")
    tree = replace(TREE, pods={**TREE.pods, uid(2): PodCgroup(uid(2), theirs, QosClass.GUARANTEED)})
    held = {**HELD, theirs: replace(QUOTA, exclusive=CpuSet.parse("7")), K: replace(QUOTA, exclusive=CpuSet.parse("7"))}
    node = Node(tree, held, {}, MACHINE, Enforcement.PARTITION, NAMES)
    ours = wanted(node, Ledger({uid(1): POOLED}), ONLINE - POOL).wants
    assert ours[K].exclusive == CpuSet.parse("2-5,7")
    assert theirs not in ours
    found: Found = {K: {File.EXCLUSIVE: Record("6-7", frozenset({"2-5,7"}))}}
    released = wanted(replace(node, found=found), Ledger(), ONLINE).wants
    assert released[K].exclusive == CpuSet.parse("7"), "no more of what was found than they need"


@pytest.mark.parametrize(
    ("found", "exclusive"),
    [
        pytest.param({}, None, id="it-gives-the-pools-its-own-cpus"),
        pytest.param({K: {File.EXCLUSIVE: Record("", frozenset({"2-5"}))}}, POOL, id="the-pools-were-there-before-it"),
    ],
)
def test_a_partition_that_somebody_made_above_the_pods_has_a_union_only_as_pinfold_wrote_it(
    found: Found, exclusive: CpuSet | None
) -> None:
    held = {**HELD, K: replace(QUOTA, partition="root", exclusive=POOL)}
    assert wants(POOLED, held, found)[K].exclusive == exclusive


def test_only_containers_of_managed_pods_are_read_and_watched() -> None:
    ledger = Ledger({uid(1): POOLED})
    assert set(read(TREE, Ledger(), {})) == {ROOT, K, SYSTEM, POD}
    assert set(read(TREE, ledger, {})) == {ROOT, K, SYSTEM, POD, ENGINE, REST, PAUSE}
    assert watched(TREE, ledger, {}, Enforcement.PARTITION) == {ROOT, K, POD, ENGINE, REST, PAUSE}
    assert SYSTEM in watched(TREE, ledger, {}, Enforcement.SHRINK)


def test_a_container_that_was_written_to_is_read_until_it_is_given_back() -> None:
    found: Found = {ENGINE: {File.CPUS: Record("", frozenset({"2-4"}))}}
    assert ENGINE in read(TREE, Ledger(), found)


@pytest.mark.parametrize(
    ("ledger", "burstable", "beside"),
    [
        pytest.param(Ledger({uid(1): POOLED}), "1,6-7", "1,6-7", id="where-a-pod-owns-cpus"),
        pytest.param(Ledger(), None, None, id="a-node-without-pools-is-left-as-it-is"),
    ],
)
def test_no_pod_runs_on_strictly_reserved_cpus(ledger: Ledger, burstable: str | None, beside: str | None) -> None:
    """Partitions hold the pools; pods that own nothing, and those in the slices, are narrowed; the system is not."""
    qos, other = CgroupPath(f"{K}/burstable"), CgroupPath(f"{K}/other")
    pods = {**TREE.pods, uid(2): PodCgroup(uid(2), other, QosClass.GUARANTEED)}
    tree = replace(TREE, qos_slices={QosClass.BURSTABLE: qos}, pods=pods)
    held = {**HELD, qos: QUOTA, other: QUOTA}
    node = Node(tree, held, {}, MACHINE, Enforcement.PARTITION, NAMES, reserved=CpuSet.parse("0"))
    found = wanted(node, ledger, ONLINE - ledger.owned).wants
    cpus = {path: str(want.cpus) for path, want in found.items() if want.cpus is not None}
    assert (cpus.get(qos), cpus.get(other), cpus.get(SYSTEM)) == (burstable, beside, None)


@pytest.mark.parametrize(
    ("enforcement", "shrunk", "room"),
    [
        pytest.param(Enforcement.SHRINK, True, "1,6-7", id="narrowed"),
        pytest.param(Enforcement.PARTITION, False, "", id="kept-off-by-the-kernel"),
    ],
)
def test_a_layout_tells_whether_everybody_is_narrowed_and_where_pods_that_own_nothing_run_then(
    enforcement: Enforcement, shrunk: bool, room: str
) -> None:
    node = Node(TREE, HELD, {}, MACHINE, enforcement, NAMES, reserved=CpuSet.parse("0"))
    layout = wanted(node, Ledger({uid(1): POOLED}), ONLINE - POOL)
    assert (str(layout.shared), layout.shrunk, str(layout.room)) == ("0-1,6-7", shrunk, room)
    everything = wanted(replace(node, reserved=ONLINE), Ledger({uid(1): POOLED}), ONLINE - POOL)
    assert str(everything.room) == ("0-1,6-7" if shrunk else ""), "nobody is left without a CPU"


def test_nobody_is_given_cpus_exclusively_where_pools_are_held_by_shrinking() -> None:
    node = Node(TREE, HELD, {}, MACHINE, Enforcement.SHRINK, NAMES)
    layout = wanted(node, Ledger({uid(1): POOLED}), ONLINE - POOL).wants
    assert [path for path, want in layout.items() if want.exclusive is not None or want.partition is not None] == []
