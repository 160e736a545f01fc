"""Machines and snapshots that the tests of report and cli draw and scrape. The kernel's word in them is made up."""

from dataclasses import replace

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.ledger import Block, ContainerEntry, Isolation, Ledger, PodEntry
from pinfold.planning.planner import Plan
from pinfold.planning.policy import Policy
from pinfold.planning.protection import Level, Protection
from pinfold.planning.reasons import Decision, HintWeighed, Outcome, Refused, Regime, Word
from pinfold.pods.model import CPU, MEMORY, Container, ContainerKind, InvalidPod, Pod, PodResources, PodUid, QosClass
from pinfold.report.counters import Counters
from pinfold.report.events import EventCounts
from pinfold.report.migration import Migrated, Migrating, Result
from pinfold.report.snapshot import (
    Drift,
    Exclusivity,
    KernelView,
    Mode,
    Moment,
    PodInKernel,
    Snapshot,
    SourceHealth,
    pod_statuses,
)
from pinfold.topology.model import Cpu, NumaNode, Topology

GIB = 1 << 30
ALONE, SHARED = Isolation.CONTAINER, Isolation.POD


def machine(sockets: int, nodes: int, cores: int, threads: int = 1) -> Topology:
    """*nodes* a socket, *cores* a node; the second threads are numbered after all first ones, as Intel does."""
    total = sockets * nodes * cores
    cpus = [
        Cpu(
            id=thread * total + core,
            core=core,
            socket=core // (nodes * cores),
            node=core // cores,
            uncore=core // cores * cores,
        )
        for thread in range(threads)
        for core in range(total)
    ]
    numa = [
        NumaNode(
            id=node,
            cpus=CpuSet.of(cpu.id for cpu in cpus if cpu.node == node),
            memory_bytes=64 * GIB,
            hugepages_bytes={"hugepages-2Mi": GIB},
            distances={other: 10 if other == node else 21 for other in range(sockets * nodes)},
        )
        for node in range(sockets * nodes)
    ]
    return Topology(tuple(cpus), tuple(numa))


def guaranteed(name: str, cpus: int, gib: int = 1, kind: ContainerKind = ContainerKind.APP) -> Container:
    amounts = {CPU: cpus * 1000, MEMORY: gib * GIB}
    return Container(name, kind, amounts, amounts)


def pod(full_name: str, number: int, *containers: Container, cpus: int = 0) -> Pod:
    namespace, name = full_name.split("/")
    amounts = {CPU: cpus * 1000, MEMORY: 8 * GIB}
    return Pod(
        uid=PodUid(f"00000000-0000-4000-8000-{number:012}"),
        namespace=namespace,
        name=name,
        qos=QosClass.GUARANTEED if cpus else QosClass.BURSTABLE,
        containers=containers,
        resources=PodResources(amounts, amounts) if cpus else None,
        started_at="2026-11-24T08:00:00Z",
        owner=f"Deployment/{name}",
    )


def pooled(of: Pod, pool: str, node: str, **slices: str) -> PodEntry:
    """The entry of a pod pool, its shared containers on what the slices leave."""
    rest = CpuSet.parse(pool) - CpuSet.union(CpuSet.parse(cpus) for cpus in slices.values())
    blocks = (Block(NodeSet.parse(node), MEMORY, 8 * GIB),)
    return PodEntry(
        of.uid,
        of.namespace,
        of.name,
        cpus=CpuSet.parse(pool),
        mems=NodeSet.parse(node),
        containers=tuple(
            ContainerEntry(one.name, ALONE, CpuSet.parse(slices[one.name]), blocks, one.kind)
            if one.name in slices
            else ContainerEntry(one.name, SHARED, rest, blocks, one.kind)
            for one in of.containers
        ),
        blocks=blocks,
    )


def pinned(of: Pod, entry: PodEntry) -> Decision:
    return Decision(
        of.uid,
        of.namespace,
        of.name,
        Outcome.PINNED,
        Regime.POD_POOL,
        because="Guaranteed with pod-level resources, scope pod: a pod pool",
        wanted_cpus=len(entry.cpus),
        pool=entry.cpus,
        mems=entry.mems,
        hints=(HintWeighed(entry.mems, True, True, "the narrowest preferred"),),
    )


def refused(of: Pod, wanted: int, message: str) -> Decision:
    no = Refused(Word.TOPOLOGY_AFFINITY, message, can_pass=True, remedy="12 CPUs free on one NUMA node")
    return Decision(
        of.uid, of.namespace, of.name, Outcome.SHARED, Regime.POD_POOL, "no NUMA node has room", wanted, refusal=no
    )


def snapshot(topology: Topology, reserved: str, plan: Plan, pods: tuple[Pod, ...], **kernel: PodInKernel) -> Snapshot:
    """*kernel* by pod name."""
    views = {one.uid: kernel[one.name.replace("-", "_")] for one in pods if one.name.replace("-", "_") in kernel}
    return Snapshot(
        node="worker-1",
        version="0.1.0",
        generation=42,
        at=1795507200.25,
        started_at=1795500000.0,
        mode=Mode.ENFORCING,
        mode_reason="",
        exclusivity=Exclusivity.PARTITION,
        exclusivity_reason="",
        topology=topology,
        policy=Policy(reserved=CpuSet.parse(reserved)),
        node_shared=plan.node_shared,
        pods=pod_statuses(pods, plan, views),
    )


ENGINE = pod(
    "trading/match-engine",
    1,
    guaranteed("engine", 3),
    Container("exporter", ContainerKind.APP),
    Container("proxy", ContainerKind.SIDECAR),
    cpus=4,
)
POSTGRES = pod("db/postgres", 2, guaranteed("postgres", 3), Container("shipper", ContainerKind.APP), cpus=4)
REPORTS = pod("batch/reports", 3, Container("worker", ContainerKind.APP))
BIG = pod("batch/big", 4, guaranteed("solver", 24), cpus=24)


def picture() -> Snapshot:
    """The machine at the top of the README: two NUMA nodes, two pinned pods, one of them drifted, one pod refused."""
    topology = machine(sockets=2, nodes=1, cores=16)
    engine = pooled(ENGINE, "2-5", "0", engine="2-4")
    postgres = pooled(POSTGRES, "16-19", "1", postgres="16-18")
    plan = Plan(
        Ledger({ENGINE.uid: engine, POSTGRES.uid: postgres}, {POSTGRES.uid: Protection(Level.LOW, 8 * GIB)}),
        (
            refused(BIG, 24, "wants 24 CPUs on one NUMA node; the emptiest node has 12 free"),
            Decision(REPORTS.uid, "batch", "reports", Outcome.UNMANAGED, Regime.NODE_SHARED, "Burstable"),
            pinned(POSTGRES, postgres),
            pinned(ENGINE, engine),
        ),
        node_shared=topology.online - engine.cpus - postgres.cpus,
    )
    at = "kubepods.slice/kubepods-pod1.slice"
    seen = PodInKernel(
        KernelView(at, CpuSet.parse("2-5"), NodeSet.parse("0"), "root"),
        {"engine": KernelView(f"{at}/cri-1.scope", CpuSet.parse("2-4"), NodeSet.parse("0"), "member")},
        others=(KernelView(f"{at}/cri-0.scope", CpuSet.parse("5"), NodeSet.parse("0"), "member"),),
    )
    drifted = PodInKernel(
        KernelView("kubepods.slice/kubepods-pod2.slice", CpuSet.parse("16-19"), NodeSet.parse("1"), "root"),
        drift=(Drift("kubepods.slice/kubepods-pod2.slice/cri-2.scope", "cpuset.cpus", "16-18", "0-31", "rewritten"),),
    )
    counters = (
        Counters()
        .reconciled(0.004, writes=9)
        .reconciled(0.5, writes=0, writes_refused=1)
        .mended({"rewritten": 2})
        .failed("WriteRefusedError", 1795507000.0, "kubepods.slice/…: EBUSY")
        .decided({}, Ledger(), plan)
    )
    return replace(
        snapshot(topology, "0-1", plan, (ENGINE, POSTGRES, REPORTS, BIG), match_engine=seen, postgres=drifted),
        counters=counters,
        invalid=(InvalidPod("InvalidUid", "metadata.uid: '../x' is no UID", "bad.yaml"),),
        sources=(
            SourceHealth("manifests", healthy=True, last_event_at=1795507100.0),
            SourceHealth("api-server", healthy=False, message="connection refused", reconnects=3),
        ),
        events=EventCounts(sent=7),
        memory={POSTGRES.uid: {0: GIB, 1: 3 * GIB}},
        migrated=Migrated(
            Migrating("kubepods.slice/kubepods-pod1.slice", "0", 4096, 1024), {}, {Result.DONE: 2}, GIB, 2.5
        ),
        recent=(Moment(1795507100.0, "pool.pinned", "db/postgres", "16-19 on NUMA node 1"),),
        warnings=("reserved CPU 40 is offline",),
    )


def crowd() -> Snapshot:
    """512 CPUs on 16 nodes, two threads a core, and 60 pods: four a node on most of them."""
    topology = machine(sockets=4, nodes=4, cores=16, threads=2)
    pods, entries, decisions = [], {}, []
    for number in range(60):
        node, place = divmod(number, 4)
        first = node * 16 + 1 + place * 3
        one = pod(
            f"team-{node:02}/service-with-a-name-of-some-length-{place}",
            100 + number,
            guaranteed("main", 4),
            Container("log", ContainerKind.SIDECAR),
            cpus=6,
        )
        cores = CpuSet.of([first, first + 1, first + 256, first + 257])
        pool = cores | CpuSet.of([first + 2, first + 258])
        entry = pooled(one, str(pool), str(node), main=str(cores))
        pods.append(one)
        entries[one.uid] = entry
        decisions.append(pinned(one, entry))
    ledger = Ledger(entries)
    return snapshot(topology, "0,256", Plan(ledger, tuple(decisions), topology.online - ledger.owned), tuple(pods))


def odd() -> Snapshot:
    """One NUMA node over two sockets, one with memory and no CPU, an offline CPU, ``isolcpus=``, ids with gaps.

    The pods: one with a slice and no pool, one that ends, and one whose texts would steer a terminal.
    """
    ids = (0, 1, 2, 3, 8, 9, 10, 11, 100)
    cpus = tuple(Cpu(id=cpu, core=cpu, socket=cpu // 8, node=0, uncore=cpu // 8) for cpu in ids)
    nodes = (NumaNode(0, CpuSet.of(ids), 32 * GIB), NumaNode(7, CpuSet(), 256 * GIB))
    topology = Topology(cpus, nodes, offline=CpuSet.parse("4-5"), isolated=CpuSet.parse("100"))
    sliced = pod("a/sliced", 1, guaranteed("main", 2), Container("log", ContainerKind.APP), cpus=3)
    entry = PodEntry(
        sliced.uid,
        "a",
        "sliced",
        containers=(ContainerEntry("main", ALONE, CpuSet.parse("1-2")), ContainerEntry("log", Isolation.HOST)),
    )
    ends = pod("a/ends", 2, guaranteed("main", 2), cpus=2)
    ending = pooled(ends, "8-9", "0", main="8-9")
    hostile = pod("a/hostile", 3, Container("main", ContainerKind.APP))
    said = refused(hostile, 1, "annotation says '\x1b[2J\x1b]0;owned\x07'\nand \u202e turns around")
    plan = Plan(
        Ledger({sliced.uid: entry, ends.uid: ending}),
        (replace(pinned(sliced, entry), regime=Regime.CONTAINER, because="container by container"), said),
        node_shared=topology.online - CpuSet.parse("1-2,8-9,100"),
    )
    of = snapshot(topology, "0", plan, (sliced, hostile))
    reason = "the kubelet's CPU manager policy is static (cpu_manager_state): two owners would fight over one file"
    return replace(of, mode=Mode.OBSERVING, mode_reason=reason, exclusivity=Exclusivity.NONE)
