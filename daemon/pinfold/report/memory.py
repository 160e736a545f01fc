"""Families of metrics about memory: where it lies, how much is protected, what was moved. Pure."""

from collections.abc import Iterator, Mapping

from pinfold.cpuset import NodeSet
from pinfold.planning.protection import Level
from pinfold.report.families import Family, counter, gauge
from pinfold.report.migration import Result
from pinfold.report.snapshot import Snapshot

_POD = ("namespace", "pod")


def local_share(by_node: Mapping[int, int], nodes: NodeSet) -> float | None:
    """The share of a pod's bytes that lies on *nodes*; None where it has none, or is bound to none."""
    total = sum(by_node.values())
    return sum(size for node, size in by_node.items() if node in nodes) / total if total and nodes else None


def memory(snapshot: Snapshot) -> Iterator[Family]:
    lies: dict[tuple[str, ...], float] = {}
    share: dict[tuple[str, ...], float] = {}
    protected: dict[tuple[str, ...], float] = {}
    for pod in snapshot.pods:
        by_node = snapshot.memory.get(pod.uid, {})
        lies |= {(pod.namespace, pod.name, str(node)): size for node, size in by_node.items()}
        if (local := local_share(by_node, pod.mems)) is not None:
            share[pod.namespace, pod.name] = local
        if pod.protection:
            protected[pod.namespace, pod.name, pod.protection.level.value] = pod.protection.size_bytes
    yield gauge(
        "pod_numa_memory_bytes",
        "Memory of the pod by the NUMA node that it lies on, page cache included, as read at the last timer.",
        (*_POD, "numa_node"),
        lies,
    )
    yield gauge(
        "pod_memory_local_share",
        "The share of the pod's memory that lies on the NUMA nodes that it is bound to, from 0 to 1.",
        _POD,
        share,
    )
    words = ", ".join(f"memory.{level}" for level in Level)
    yield gauge(
        "pod_memory_protected_bytes",
        f"Memory of the pod that the kernel is told to spare from reclaim ({words}).",
        (*_POD, "level"),
        protected,
    )
    yield from _migrations(snapshot)


def _migrations(snapshot: Snapshot) -> Iterator[Family]:
    done, running = snapshot.migrated, snapshot.migrated.running
    yield gauge(
        "memory_migration_left_bytes",
        "What the migration under way has still to move; 0: there is none.",
        (),
        {(): running.left_bytes if running else 0},
    )
    yield counter(
        "memory_migrations",
        "Migrations of running pods' memory, by what came of them.",
        ("result",),
        {(result.value,): done.results.get(result, 0) for result in Result},
    )
    yield counter("memory_migrated_bytes", "Memory that migrations moved.", (), {(): done.moved_bytes})
    yield counter("memory_migration_seconds", "Time that migrations took.", (), {(): done.seconds})
