"""Metrics, computed from the snapshot at the moment of the scrape; pure, but for the reader of cgroup files.

The nouns and label values are the kubelet's, so that its dashboards carry over; what is assigned now is a gauge here.
Series end with their pod. No UID and no CPU list is a label. Source: kubernetes pkg/kubelet/metrics; KEP-5526.
"""

import platform
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from pinfold import __version__
from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import Isolation
from pinfold.planning.reasons import Outcome, Regime, Word
from pinfold.report.counters import Counters
from pinfold.report.families import Family, Series, counter, gauge, histogram
from pinfold.report.memory import memory
from pinfold.report.snapshot import Exclusivity, Mode, PodStatus, Snapshot
from pinfold.report.status import ENDING
from pinfold.report.usage import ReadFiles, usage
from pinfold.topology.model import Topology


def families(snapshot: Snapshot | None, read: ReadFiles, now: float) -> Iterator[Family]:
    """All that is told at *now*; before the first reconcile that is the build alone."""
    build: Series = {(__version__, platform.python_version(), platform.machine()): 1}
    yield gauge("build_info", "Pinfold's version, Python's and the architecture.", _BUILD_LABELS, build)
    if snapshot:
        yield from _cpus(snapshot)
        yield from _pods(snapshot)
        yield from usage(snapshot.pods, read)
        yield from _alone(snapshot)
        yield from memory(snapshot)
        yield from _assignments(snapshot)
        yield from _alignment(snapshot)
        yield from _counted(snapshot.counters)
        yield from _sources(snapshot, now)
        yield from _health(snapshot)


_BUILD_LABELS = ("version", "python_version", "architecture")
_POD = ("namespace", "pod")


def _cpus(snapshot: Snapshot) -> Iterator[Family]:
    topology, reserved = snapshot.topology, snapshot.policy.reserved
    owned = CpuSet.union(pod.owned for pod in snapshot.pods)
    exclusive = CpuSet.union(pod.exclusive for pod in snapshot.pods)
    kinds = {
        "exclusive": exclusive,
        "pod_shared": owned - exclusive,
        "node_shared": snapshot.node_shared - reserved,
        "reserved": reserved,
    }
    yield gauge(
        "cpus",
        "Online CPUs by NUMA node and kind.",
        ("numa_node", "kind"),
        {
            (str(node), kind): len(cpus & own)
            for node, own in topology.node_cpus.items()
            for kind, cpus in kinds.items()
        },
    )
    yield gauge("offline_cpus", "CPUs that are there and offline.", (), {(): len(topology.offline)})
    yield gauge(
        "cpu_manager_shared_pool_size_millicores",
        "The size of the node shared pool, without the reserved CPUs, in millicores.",
        (),
        {(): 1000 * len(snapshot.node_shared - reserved)},
    )
    yield gauge(
        "cpu_manager_exclusive_cpu_allocation_count",
        "CPUs that are taken out of the node shared pool: pod pools, and exclusive slices without a pool.",
        (),
        {(): len(owned)},
    )
    yield gauge(
        "cpu_manager_allocation_per_numa",
        "CPUs that are taken out of the node shared pool, by NUMA node.",
        ("numa_node",),
        {(str(node),): len(owned & own) for node, own in topology.node_cpus.items()},
    )


def _pods(snapshot: Snapshot) -> Iterator[Family]:
    outcomes = Counter(pod.decision.outcome.value if pod.decision else ENDING for pod in snapshot.pods)
    yield gauge(
        "pods",
        "Pods by what was decided for them; ending: gone, and their processes are not.",
        ("outcome",),
        {(outcome,): outcomes[outcome] for outcome in (*Outcome, ENDING)},
    )
    lacking = Counter(pod.decision.refusal.word for pod in snapshot.pods if pod.decision and pod.decision.refusal)
    yield gauge(
        "refused_pods",
        "Pods that now lack what they asked for, by the reason word.",
        ("reason",),
        {(word.value,): lacking[word] for word in Word},
    )
    yield gauge(
        "invalid_pods",
        "Objects that cannot be taken as a pod, by reason.",
        ("reason",),
        {(reason,): count for reason, count in Counter(one.reason for one in snapshot.invalid).items()},
    )
    owners = [pod for pod in snapshot.pods if pod.owned]
    for name, documentation, size in (
        ("pod_pool_cpus", "CPUs of the pod's pool.", lambda pod: len(pod.pool)),
        (
            "pod_exclusive_cpus",
            "CPUs of the pod that one of its containers owns alone.",
            lambda pod: len(pod.exclusive),
        ),
        ("pod_mems", "NUMA nodes that the pod's memory is bound to; 0: all.", lambda pod: len(pod.mems)),
        ("pod_drifted_files", "Files of the pod that differ from the ledger.", lambda pod: len(pod.kernel.drift)),
    ):
        yield gauge(name, documentation, _POD, _by_pod(owners, size))


def _by_pod(pods: list[PodStatus], size: Callable[[PodStatus], int]) -> Series:
    """A pod that ends and its successor of the same name are one series, or the scrape would be refused."""
    series: dict[tuple[str, ...], float] = {}
    for pod in pods:
        key = (pod.namespace, pod.name)
        series[key] = series.get(key, 0) + size(pod)
    return series


def _alone(snapshot: Snapshot) -> Iterator[Family]:
    """Gauges, though they are sums: a counter that falls, as an unclipped difference may, is read as a restart."""
    slices = {(one.claim.namespace, one.claim.pod, one.claim.container): one for one in snapshot.alone}
    pools = {key[:2]: one for key, one in slices.items() if not key[2]}
    slices = {key: one for key, one in slices.items() if key[2]}
    container = (*_POD, "container")
    since = "since they were first seen confined"
    yield gauge(
        "exclusive_foreign_seconds",
        f"Run time on the slice's CPUs that was not its owner's, {since}; never clipped, so it may fall.",
        container,
        {key: one.foreign_s for key, one in slices.items()},
    )
    yield gauge(
        "exclusive_foreign_error_seconds",
        "How far the reading alone may put exclusive_foreign_seconds off, either way.",
        container,
        {key: one.error_s for key, one in slices.items()},
    )
    yield gauge(
        "exclusive_measured_seconds",
        f"CPU seconds that there were on the slice's CPUs, {since}.",
        container,
        {key: one.measured_s for key, one in slices.items()},
    )
    yield gauge(
        "exclusive_interrupted_seconds",
        f"Time that the slice's CPUs spent in interrupts and soft interrupts, {since}; counted at ticks.",
        container,
        {key: one.interrupted_s for key, one in slices.items()},
    )
    yield gauge(
        "pod_pool_foreign_seconds",
        f"Run time on the pool's CPUs that was not the pod's, {since}; never clipped, so it may fall.",
        _POD,
        {key: one.foreign_s for key, one in pools.items()},
    )


def _assignments(snapshot: Snapshot) -> Iterator[Family]:
    counts: Counter[tuple[str, ...]] = Counter()
    for pod in snapshot.pods:
        pooled = pod.decision.regime is Regime.POD_POOL if pod.decision else bool(pod.pool)
        kinds = {Isolation.CONTAINER: "pod_exclusive" if pooled else "node_exclusive", Isolation.POD: "pod_shared"}
        for one in pod.containers:
            for resource, isolation in (("cpu", one.isolation), ("memory", one.memory_isolation)):
                if isolation in kinds:
                    counts[resource, kinds[isolation]] += 1
    yield gauge(
        "resource_manager_container_assignments",
        "Containers by resource and by whom they share it with.",
        ("resource_name", "assignment_type"),
        {
            (resource, kind): counts[resource, kind]
            for resource in ("cpu", "memory")
            for kind in ("node_exclusive", "pod_exclusive", "pod_shared")
        },
    )


def _alignment(snapshot: Snapshot) -> Iterator[Family]:
    sets = {
        "container": [
            one.cpus for pod in snapshot.pods for one in pod.containers if one.isolation is Isolation.CONTAINER
        ],
        "pod": [pod.pool for pod in snapshot.pods if pod.pool],
    }
    aligned: dict[tuple[str, ...], float] = {}
    failed: dict[tuple[str, ...], float] = {}
    for scope, owned in sets.items():
        for boundary, holds in _BOUNDARIES.items():
            fit = sum(holds(snapshot.topology, cpus) for cpus in owned)
            aligned[scope, boundary] = fit
            failed[scope, boundary] = len(owned) - fit
    labels = ("scope", "boundary")
    yield gauge(
        "container_aligned_compute_resources_count",
        "Exclusive slices (scope container) and pod pools (scope pod) that lie within the boundary.",
        labels,
        aligned,
    )
    yield gauge(
        "container_aligned_compute_resources_failure_count",
        "Exclusive slices and pod pools that cross the boundary.",
        labels,
        failed,
    )


_BOUNDARIES: Mapping[str, Callable[[Topology, CpuSet], bool]] = {
    "numa_node": lambda topology, cpus: len(topology.nodes_of(cpus)) == 1,
    "physical_cpu": lambda topology, cpus: all(
        core <= cpus or core.isdisjoint(cpus) for core in topology.cores.values()
    ),
    "uncore_cache": lambda topology, cpus: any(cpus <= cache for cache in topology.uncores.values()),
}


def _counted(counters: Counters) -> Iterator[Family]:
    yield histogram(
        "reconcile_duration_seconds",
        "Time that one turn of the loop took, from the wake-up to the published snapshot.",
        (),
        {(): counters.reconcile_seconds},
    )
    yield histogram(
        "confinement_seconds",
        "Time from a pod's or container's cgroup made to each phase; verified: confined, as the kernel says.",
        ("scope", "phase"),
        counters.confinement_seconds,
    )
    refused = sum(counters.refusals.values())
    affinity = counters.refusals.get(Word.TOPOLOGY_AFFINITY, 0)
    given: Series = {("cpu", source): counters.assignments.get(source, 0) for source in ("pod", "node")}
    families: tuple[tuple[str, str, tuple[str, ...], Series], ...] = (
        (
            "started_outside_pool",
            "Containers whose program ran before their pod was confined to its pool.",
            (),
            {(): counters.started_outside_pool},
        ),
        (
            "started_outside_slice",
            "Containers whose program ran before they were confined to their slice, or to their pod's shared pool.",
            (),
            {(): counters.started_outside_slice},
        ),
        ("writes", "Cgroup files written.", (), {(): counters.writes}),
        ("writes_refused", "Writes that the kernel refused.", (), {(): counters.writes_refused}),
        (
            "drift_repaired",
            "Repairs of files that did not hold what the ledger promises, by cause.",
            ("cause",),
            {(cause,): count for cause, count in counters.repaired.items()},
        ),
        (
            "errors",
            "Errors that the loop met and outlived, by kind.",
            ("kind",),
            {(kind,): fault.count for kind, fault in counters.faults.items()},
        ),
        (
            "refusals",
            "Pods that did not get what they asked for, once for each pod and reason.",
            ("reason",),
            {(word.value,): counters.refusals.get(word, 0) for word in Word},
        ),
        ("cpu_manager_pinning_requests", "Pods that asked for CPUs.", (), {(): counters.pods_requested}),
        ("cpu_manager_pinning_errors", "Pods that were refused CPUs, once for each reason.", (), {(): refused}),
        (
            "topology_manager_admission_requests",
            "Pods whose NUMA affinity was sought.",
            (),
            {(): counters.pods_requested},
        ),
        ("topology_manager_admission_errors", "Pods that no NUMA affinity could be found for.", (), {(): affinity}),
        (
            "resource_manager_allocations",
            "Containers given CPUs, by where these came from.",
            ("resource_name", "source"),
            given,
        ),
    )
    for name, documentation, labels, series in families:
        yield counter(name, documentation, labels, series)


def _health(snapshot: Snapshot) -> Iterator[Family]:
    yield gauge(
        "mode",
        "1 for the mode that Pinfold runs in.",
        ("mode",),
        {(mode.value,): mode is snapshot.mode for mode in (Mode.ENFORCING, Mode.OBSERVING)},
    )
    yield gauge(
        "exclusivity",
        "1 for the way in which exclusive CPUs are kept.",
        ("exclusivity",),
        {(way.value,): way is snapshot.exclusivity for way in Exclusivity},
    )
    yield gauge(
        "drift_fought",
        "Cgroups that somebody rewrites as fast as they are repaired: find him and stop him.",
        (),
        {(): len(snapshot.fought)},
    )
    yield gauge(
        "interrupts",
        "Interrupts by what the guard made of them: moved off guarded CPUs, or staying there.",
        ("state",),
        {("moved",): snapshot.interrupts.moved, ("staying",): snapshot.interrupts.staying},
    )
    yield gauge("snapshot_timestamp_seconds", "When the loop last published.", (), {(): snapshot.at})
    yield gauge(
        "warnings", "What the operator should be told about this node: see status.", (), {(): len(snapshot.warnings)}
    )


def _sources(snapshot: Snapshot, now: float) -> Iterator[Family]:
    sources = snapshot.sources
    yield gauge(
        "source_healthy",
        "Whether the source of pods or events works.",
        ("source",),
        {(one.name,): one.healthy for one in sources},
    )
    yield gauge(
        "source_lag_seconds",
        "How far the picture may be behind: since the source was last heard, while it is away; else 0.",
        ("source",),
        {(one.name,): 0.0 if one.healthy else now - (one.last_event_at or snapshot.started_at) for one in sources},
    )
    yield gauge(
        "source_last_event_timestamp_seconds",
        "When the source last told something, a bookmark included.",
        ("source",),
        {(one.name,): one.last_event_at for one in sources if one.last_event_at is not None},
    )
    yield counter(
        "source_reconnects",
        "Times that the source had to be connected again.",
        ("source",),
        {(one.name,): one.reconnects for one in sources},
    )
    for name, what, count in (
        ("events_sent", "Events that the API server took, series included.", snapshot.events.sent),
        ("events_dropped", "Events that grew too old, or found the queue full.", snapshot.events.dropped),
        ("events_refused", "Events that the API server refused.", snapshot.events.refused),
        (
            "evictions",
            "Pods evicted because they could not have what they ask for.",
            snapshot.evictions.evicted,
        ),
        (
            "evictions_held_back",
            "Requests to evict that a disruption budget did not allow.",
            snapshot.evictions.held_back,
        ),
        ("evictions_refused", "Requests to evict that the API server refused.", snapshot.evictions.refused),
    ):
        yield counter(name, what, (), {(): count})
