"""Memory protected from reclaim: who gets how much of it, where that stands, and whose value is given back."""

from dataclasses import replace
from pathlib import Path

import pytest

from pinfold.cgroups.found import Found, Record, noted, refreshed
from pinfold.cgroups.held import CpusetState, Held
from pinfold.cgroups.layout import Enforcement, Node
from pinfold.cgroups.paths import ROOT, CgroupPath, File
from pinfold.cgroups.protocol import ordered
from pinfold.cgroups.reclaim import WEAK_LOW
from pinfold.cgroups.tree import ContainerCgroup, Driver, PodCgroup, Tree
from pinfold.cgroups.verify import verify
from pinfold.cgroups.wanted import wanted
from pinfold.cgroups.watch import read, watched
from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import Ledger
from pinfold.planning.planner import World, plan
from pinfold.planning.policy import Policy
from pinfold.planning.protection import Level, Protection
from pinfold.pods.model import Container, ContainerKind, Intent, Pod, QosClass
from tests.agent.bench import Bench
from tests.cgroups.node import machine, pod_path
from tests.cpuset_model.kernel import V7_3
from tests.planning.pods import GIB, annotated, app, pod, uid

ONLINE = CpuSet.parse("0-7")
MACHINE = machine(ONLINE, ONLINE)
K = CgroupPath("kubepods.slice")
BURSTABLE = CgroupPath(f"{K}/kubepods-burstable.slice")
DB, OTHER = CgroupPath(f"{BURSTABLE}/db"), CgroupPath(f"{K}/other")
POSTGRES = CgroupPath(f"{DB}/postgres")
TREE = Tree(
    K,
    Driver.SYSTEMD,
    {QosClass.BURSTABLE: BURSTABLE},
    {
        uid(1): PodCgroup(uid(1), DB, QosClass.BURSTABLE, (ContainerCgroup(POSTGRES, "e" * 64),)),
        uid(2): PodCgroup(uid(2), OTHER, QosClass.GUARANTEED),
    },
)
PATHS = (ROOT, K, BURSTABLE, DB, POSTGRES, OTHER)
FRESH = CpusetState(memory_low="0", memory_min="0", populated=True)
HELD: Held = {path: CpusetState() if path == ROOT else FRESH for path in PATHS}
LOW = Ledger(protections={uid(1): Protection(Level.LOW, 2 * GIB)})
BOTH = Ledger(protections={**LOW.protections, uid(2): Protection(Level.LOW, GIB)})


class _Files:
    """The files of the cgroups, as Pinfold and others write them."""

    def __init__(self, held: Held = HELD) -> None:
        self.held = dict(held)
        self.found: Found = {}

    def pin(self, ledger: Ledger) -> dict[str, str]:
        """One pass of the loop; what was written, by path and file."""
        self.found = refreshed(self.found, TREE, self.held, MACHINE)
        node = Node(TREE, self.held, self.found, MACHINE, Enforcement.PARTITION)
        layout = wanted(node, ledger, ONLINE)
        writes = ordered(self.held, layout)
        self.found = noted(self.found, self.held, writes)
        for write in writes:
            self.write(write.path, write.file, write.value)
        assert verify(layout, self.held, ONLINE) == ()
        return {f"{write.path}/{write.file}": write.value for write in writes}

    def write(self, path: CgroupPath, file: File, value: str) -> None:
        state = self.held[path]
        low = file is File.MEMORY_LOW
        self.held[path] = replace(state, memory_low=value) if low else replace(state, memory_min=value)

    def low(self) -> dict[CgroupPath, str | None]:
        return {path: state.memory_low for path, state in self.held.items() if state.memory_low != "0" and path}


def test_protection_stands_along_the_whole_path_and_adds_up_above() -> None:
    files = _Files()
    files.pin(BOTH)
    one, both = str(2 * GIB), str(3 * GIB)
    assert files.low() == {K: both, BURSTABLE: one, DB: one, POSTGRES: one, OTHER: str(GIB)}
    assert files.pin(BOTH) == {}


def test_an_outer_cgroup_is_written_first() -> None:
    written = [write for write in _Files().pin(LOW) if "burstable" in write or write.startswith(f"{K}/memory")]
    assert written == [f"{path}/memory.low" for path in (K, BURSTABLE, DB, POSTGRES)]


def test_min_and_low_are_two_sums() -> None:
    files = _Files()
    files.pin(replace(BOTH, protections={**LOW.protections, uid(2): Protection(Level.MIN, GIB)}))
    assert (files.held[K].memory_low, files.held[K].memory_min) == (str(2 * GIB), str(GIB))
    assert (files.held[OTHER].memory_low, files.held[OTHER].memory_min) == ("0", str(GIB))


def test_everything_is_given_back_as_it_was_found() -> None:
    files = _Files({**HELD, K: replace(FRESH, memory_low=str(GIB))})
    before = dict(files.held)
    files.pin(BOTH)
    assert files.held != before
    files.pin(Ledger())
    assert files.held == before


@pytest.mark.parametrize(
    ("theirs", "then"),
    [
        pytest.param(str(4 * GIB), str(4 * GIB), id="more-of-the-kubelet-stands"),
        pytest.param("max", "max", id="all-of-it-stands"),
        pytest.param(str(GIB), str(2 * GIB), id="less-is-raised"),
    ],
)
def test_somebody_elses_protection_is_raised_and_never_lowered(theirs: str, then: str) -> None:
    files = _Files()
    files.pin(LOW)
    files.write(DB, File.MEMORY_LOW, theirs)
    files.pin(LOW)
    assert files.held[DB].memory_low == then
    files.pin(Ledger())
    assert files.held[DB].memory_low == theirs, "what the last other writer wrote is what was found"


def test_what_systemd_resets_is_written_again() -> None:
    files = _Files()
    files.pin(LOW)
    files.write(DB, File.MEMORY_LOW, "0")
    assert files.pin(LOW) == {f"{DB}/memory.low": str(2 * GIB)}


def test_without_the_memory_controller_nothing_is_wanted() -> None:
    assert _Files(dict.fromkeys(PATHS, CpusetState())).pin(LOW) == {}


def test_the_cgroups_of_a_protected_pod_are_read_and_watched() -> None:
    assert POSTGRES in read(TREE, LOW, {})
    assert POSTGRES not in read(TREE, Ledger(), {})
    assert {K, BURSTABLE, DB, POSTGRES} <= watched(TREE, LOW, {}, Enforcement.PARTITION)
    assert POSTGRES in read(TREE, Ledger(), {POSTGRES: {File.MEMORY_LOW: Record("0", frozenset())}})


def _planned(*pods: Pod, policy: Policy | None = None) -> Ledger:
    return plan(World(MACHINE, policy or Policy(CpuSet.parse("0")), pods), Ledger()).ledger


def _database(level: str, *, gib: float = 2.0, namespace: str = "default") -> Pod:
    containers = (Container("postgres", ContainerKind.APP, {"memory": round(gib * GIB)} if gib else {}),)
    return annotated(*containers, intent=Intent(memory_protection=level), namespace=namespace)


@pytest.mark.parametrize(
    ("one", "asked"),
    [
        pytest.param(_database("low"), Protection(Level.LOW, 2 * GIB), id="a-burstable-pod-by-its-containers"),
        pytest.param(
            pod(app("a", cpu=1, gib=1), cpu=2, gib=3, intent=Intent(memory_protection="low")),
            Protection(Level.LOW, 3 * GIB),
            id="pod-level-resources-win",
        ),
        pytest.param(
            annotated(app("a", gib=1), intent=Intent(amounts={"memory": 8 * GIB}, memory_protection="low")),
            Protection(Level.LOW, GIB),
            id="an-annotated-amount-was-not-scheduled",
        ),
        pytest.param(_database("low", gib=2 + 1 / (1 << 20)), Protection(Level.LOW, 2 * GIB), id="in-whole-pages"),
        pytest.param(_database("low", gib=0), None, id="no-request-nothing-to-protect"),
        pytest.param(_database("none"), None, id="none"),
        pytest.param(_database("min"), Protection(Level.LOW, 2 * GIB), id="min-is-low-where-it-is-not-allowed"),
        pytest.param(_database("min", namespace="db"), Protection(Level.MIN, 2 * GIB), id="min-where-it-is"),
    ],
)
def test_a_pod_is_protected_by_its_annotation_with_what_was_scheduled(one: Pod, asked: Protection | None) -> None:
    policy = Policy(CpuSet.parse("0"), memory_min_namespaces=frozenset({"db"}))
    assert _planned(one, policy=policy).protections == ({one.uid: asked} if asked else {})


def test_a_pod_is_told_that_min_is_not_allowed_in_its_namespace() -> None:
    decided = plan(World(MACHINE, Policy(CpuSet.parse("0")), (_database("min"),)), Ledger())
    (note,) = decided.decisions[0].notes
    assert "protected by low" in note
    assert "memoryMinNamespaces" in note


def test_the_annotations_of_a_namespace_that_is_not_heard_protect_nothing() -> None:
    policy = Policy(CpuSet.parse("0"), annotation_namespaces=frozenset({"db"}))
    assert _planned(_database("low"), policy=policy).protections == {}


def test_who_is_gone_and_still_runs_stays_protected_and_no_longer() -> None:
    before = _planned(_database("low"))
    gone = World(MACHINE, Policy(CpuSet.parse("0")), ())
    assert plan(replace(gone, lingering=frozenset({uid(1)})), before).ledger == before
    assert plan(gone, before).ledger.protections == {}


def test_a_pod_without_a_pool_is_protected_until_its_last_process_has_gone(tmp_path: Path) -> None:
    bench = Bench.boot(V7_3, tmp_path)
    at = pod_path(1, QosClass.GUARANTEED)
    database = {"name": "postgres", "resources": {"requests": {"memory": "64Mi"}}}
    annotations = {"pinfold.dev/memory-protection": "low"}
    metadata = {"name": "p1", "namespace": "db", "uid": uid(1), "annotations": annotations}
    for path in (K, at):
        bench.fs.texts[path, File.MEMORY_LOW] = "0"
    bench.put({"metadata": metadata, "spec": {"containers": [database]}})
    bench.appear(1)
    bench.start()
    assert bench.status(1).protection == Protection(Level.LOW, 64 << 20)
    (tmp_path / "sys/kernel/mm/lru_gen").mkdir(parents=True)
    (tmp_path / "sys/kernel/mm/lru_gen/enabled").write_text("0x0007\n")
    assert WEAK_LOW in bench.turn().warnings
    (tmp_path / "sys/kernel/mm/lru_gen/enabled").write_text("0x0000\n")
    assert WEAK_LOW not in bench.turn().warnings
    assert {bench.fs.texts[path, File.MEMORY_LOW] for path in (K, at)} == {str(64 << 20)}
    bench.take(1)
    bench.turn()
    assert bench.fs.texts[at, File.MEMORY_LOW] == str(64 << 20), "it still runs"
    bench.fs.world.exit("pause-1")
    bench.turn()
    assert {bench.fs.texts[path, File.MEMORY_LOW] for path in (K, at)} == {"0"}
    bench.stop()
