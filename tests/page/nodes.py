"""Nodes for the page: machines in sysfs, pods as manifests, placed by the planner, with the kernel's counts in files.

Only the kernel's word on the cpusets is made up: that it holds what the ledger promises, but for the drift.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from pinfold import __version__
from pinfold.agent.chronicle import Chronicle
from pinfold.agent.witness import Witness
from pinfold.cgroups.files import Cgroupfs
from pinfold.cgroups.numa_stat import FILE as NUMA_STAT
from pinfold.cgroups.numa_stat import used
from pinfold.cgroups.paths import CgroupPath
from pinfold.planning.ledger import Ledger, PodEntry
from pinfold.planning.planner import World, plan
from pinfold.planning.policy import Policy
from pinfold.pods.reader import read_pods
from pinfold.report.live import CpuTime, cpu_times
from pinfold.report.routes import Readings
from pinfold.report.snapshot import (
    Drift,
    Exclusivity,
    KernelView,
    Mode,
    PodInKernel,
    Snapshot,
    SourceHealth,
    pod_statuses,
)
from pinfold.topology.sysfs import read_topology
from tests.page.counts import GIB, write_counts
from tests.sysfs_writer import write_machine

WORKLOADS = Path(__file__).parents[1] / "vm/workloads"
NOON = 1795521600.0
"""2026-11-24 12:00 UTC."""

Manifest = Mapping[str, Any]


@dataclass
class Node:
    """What a daemon would give to read, from files below *root*."""

    root: Path
    snapshot: Snapshot
    fs: Cgroupfs
    witness: Witness
    seconds: list[int]
    """How long the node has been up, by the witness's clock."""
    busy: Mapping[int, float] = field(default_factory=dict)
    """How busy each CPU is."""
    ticks: dict[int, list[int]] = field(default_factory=dict)

    def readings(self) -> Readings:
        return Readings(
            snapshot=lambda: self.snapshot,
            config=dict,
            heartbeat_age_seconds=lambda: 0.0,
            stale_after_seconds=30.0,
            cgroup_files=lambda cgroup, names: self.fs.read_all(CgroupPath(cgroup), names),
            cpu_times=self._cpu_times,
        )

    def pass_seconds(self, seconds: int) -> None:
        """All CPUs were busy meanwhile."""
        self.seconds[0] += seconds
        write_counts(self.root, self.snapshot.topology, self.snapshot.pods, self.seconds[0])
        self.snapshot = replace(self.snapshot, alone=self.witness.measured())

    def _cpu_times(self) -> Mapping[int, CpuTime]:
        """A second passes whenever somebody looks."""
        lines = ["cpu  0 0 0 0 0 0 0 0 0 0"]
        for cpu in self.snapshot.topology.online:
            ticks = self.ticks.setdefault(cpu, [0, 0])
            used = round(100 * self.busy.get(cpu, 0))
            ticks[0], ticks[1] = ticks[0] + used, ticks[1] + 100 - used
            lines.append(f"cpu{cpu} {ticks[0]} 0 0 {ticks[1]} 0 0 0 0 0 0")
        (self.root / "proc/stat").write_text("\n".join([*lines, "intr 0", ""]))
        return cpu_times(self.root / "proc")


def node(root: Path, name: str, manifests: Iterable[Manifest], drifted: str = "", **shape: Any) -> Node:  # noqa: ANN401
    """*drifted*: namespace/name of a pod whose cpuset somebody has rewritten."""
    (root / "proc").mkdir(parents=True)
    topology = read_topology(write_machine(root, **shape))
    pods, invalid = read_pods(("manifest", one) for one in manifests)
    world = World(topology, Policy(reserved=topology.cores[0]), pods)
    clock = [NOON - 600.0]
    chronicle = Chronicle(lambda: clock[0])
    ledger = Ledger()
    step = -(-len(pods) // 8)
    for count in range(step, len(pods) + step, step):  # one after the other, or a few at once, as they come
        clock[0] += 540.0 / len(pods) * step
        planned = plan(replace(world, pods=pods[:count]), ledger)
        chronicle.decided(planned, ledger, ledger)
        chronicle.reconciled(0.004, None)
        ledger = planned.ledger
    held = {uid: _held(entry, entry.namespace + "/" + entry.name == drifted) for uid, entry in ledger.entries.items()}
    statuses = pod_statuses(pods, planned, held)
    (root / "cgroup").mkdir()
    fs = Cgroupfs(root / "cgroup")
    seconds = [0]
    witness = Witness(lambda cgroup, names: fs.read_all(CgroupPath(cgroup), names), root / "proc", lambda: seconds[0])
    for seconds[0] in (0, 600):
        write_counts(root, topology, statuses, seconds[0])
        witness.follow(statuses)
    alone = witness.measured()
    snapshot = Snapshot(
        node=name,
        version=__version__,
        generation=len(pods),
        at=NOON,
        started_at=NOON - 86400,
        mode=Mode.ENFORCING,
        mode_reason="",
        exclusivity=Exclusivity.PARTITION,
        exclusivity_reason="",
        topology=topology,
        policy=world.policy,
        node_shared=planned.node_shared,
        pods=statuses,
        alone=alone,
        memory={
            uid: used(fs.read(CgroupPath(one.pod.cgroup), NUMA_STAT) or "") for uid, one in held.items() if one.pod
        },
        invalid=invalid,
        sources=(SourceHealth("api-server", healthy=True), SourceHealth("cgroups", healthy=True)),
        counters=chronicle.counters,
        recent=chronicle.recent,
    )
    return Node(root, snapshot, fs, witness, seconds)


def _held(entry: PodEntry, drifted: bool) -> PodInKernel:
    at = f"kubepods.slice/kubepods-pod{entry.uid.replace('-', '_')}.slice"
    scopes = {one.name: f"{at}/cri-containerd-{_id(entry, one.name)}.scope" for one in entry.containers}
    views = {
        one.name: KernelView(scopes[one.name], one.cpus or entry.cpus, entry.mems, "member") for one in entry.containers
    }
    wrong: tuple[Drift, ...] = ()
    if drifted:  # somebody emptied the file: then the pod's set holds
        first = entry.containers[0].name
        wrong = (Drift(scopes[first], "cpuset.cpus", str(views[first].cpus), "", "rewritten"),)
        views[first] = replace(views[first], cpus=entry.owned)
    pod = KernelView(at, entry.owned, entry.mems, "root" if entry.cpus else "member")
    pause = KernelView(f"{at}/cri-containerd-{_id(entry, '')}.scope", entry.shared or entry.cpus, entry.mems, "member")
    return PodInKernel(pod, views, (pause,), wrong)


def _id(entry: PodEntry, container: str) -> str:
    return sha256(f"{entry.uid}/{container}".encode()).hexdigest()


def demo(root: Path) -> Node:
    """Two NUMA nodes of eight cores with two threads; the demo's pods, one that does not fit, one that drifted."""
    manifests = [yaml.safe_load(file.read_text()) for file in sorted(WORKLOADS.glob("*.yaml"))]
    more = [pod(8, "search/index-0", {"indexer": 6}), pod(9, "batch/solver", {"solver": 24})]
    return node(root, "worker-1", [*manifests, *more], "db/postgres", sockets=2, cores=8, threads=2)


def large(root: Path) -> Node:
    """512 CPUs on 16 nodes of two L3 groups, two of them offline, and 60 pods; 52 have pools."""
    manifests = []
    for number in range(60):
        team = f"{('trading', 'search', 'inference', 'ledger', 'media', 'routing')[number % 6]}"
        name = f"{team}/{('matcher', 'index-shard', 'llm-decoder', 'journal', 'transcoder', 'edge-proxy')[number % 6]}"
        slices = {"main": 2 + number % 4 * 2} if number % 5 else {"main": 2, "feed": 2}
        alone = {} if number % 8 == 7 else slices
        manifests.append(pod(number, f"{name}-{number:05}-{(number * 7919) % 46656:05x}", alone))
    shape = {"sockets": 4, "nodes_per_socket": 4, "l3_per_node": 2, "cores": 8, "threads": 2}
    return node(
        root,
        "epyc-17.rack-4",
        manifests,
        "search/index-shard-00001-01eef",
        offline=(77, 333),
        memory_bytes=96 * GIB,
        **shape,
    )


def pod(number: int, name: str, slices: Mapping[str, int]) -> Manifest:
    """Slices beside a sidecar that shares what is left; without slices an ordinary pod."""
    namespace, _, own = name.partition("/")
    total = sum(slices.values()) + 2
    pooled = {"resources": _equal(total, 8)} if slices else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": own, "uid": f"{number:08x}-0000-4000-8000-000000000000"},
        "spec": {
            **pooled,
            "containers": [
                *({"name": one, "resources": _equal(cpus, 2)} for one, cpus in slices.items()),
                {"name": "proxy", "resources": {"limits": {"cpu": "500m"}, "requests": {"cpu": "100m"}}},
            ],
        },
    }


def _equal(cpus: int, gib: int) -> dict[str, dict[str, str]]:
    amounts = {"cpu": str(cpus), "memory": f"{gib}Gi"}
    return {"requests": amounts, "limits": amounts}
