"""The snapshot as the Status document: what ``/status`` answers, and what the command line and the page draw from.

An allow-list by construction: a field that is not named here does not leave the process. The form is published in
``docs/status.schema.json``. Pure; text is escaped by whoever shows it, each in its own way.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pinfold.planning.policy import Policy
from pinfold.planning.protection import Level
from pinfold.planning.reasons import Decision
from pinfold.planning.words import in_words
from pinfold.pods.model import MEMORY
from pinfold.pods.quantity import amount_text
from pinfold.report.alone import Alone
from pinfold.report.counters import Counters
from pinfold.report.memory import local_share
from pinfold.report.snapshot import ContainerStatus, KernelView, PodStatus, Snapshot
from pinfold.topology.model import Topology

API_VERSION = "pinfold.dev/v1alpha1"
KIND = "Status"
ENDING = "ending"
"""The outcome of a pod that is gone and whose processes are not."""

GONE = "The pod has ended; what it owns stays its own until its last process is gone."

Json = dict[str, Any]


def to_json(snapshot: Snapshot) -> Json:
    """CPU and NUMA node sets are in the kernel's list format, times in RFC 3339, keys as the Kubernetes API's."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "node": snapshot.node,
        "version": snapshot.version,
        "generation": snapshot.generation,
        "time": _time(snapshot.at),
        "startedAt": _time(snapshot.started_at),
        "mode": {"name": snapshot.mode.value, "reason": snapshot.mode_reason},
        "exclusivity": {"name": snapshot.exclusivity.value, "reason": snapshot.exclusivity_reason},
        "warnings": list(snapshot.warnings),
        "topology": topology_json(snapshot.topology),
        "policy": _policy(snapshot.policy),
        "reservedCPUs": str(snapshot.policy.reserved),
        "nodeSharedPool": str(snapshot.node_shared),
        "alone": [_alone(one) for one in snapshot.alone],
        "pods": [_pod(pod, snapshot.memory.get(pod.uid, {})) for pod in snapshot.pods],
        "invalidPods": [
            {"reason": one.reason, "message": one.message, "where": one.where, "uid": one.uid}
            for one in snapshot.invalid
        ],
        "sources": [
            {
                "name": source.name,
                "healthy": source.healthy,
                "message": source.message,
                "lastEventAt": None if source.last_event_at is None else _time(source.last_event_at),
                "reconnects": source.reconnects,
            }
            for source in snapshot.sources
        ],
        "counters": _counters(snapshot.counters),
        "recent": [
            {"time": _time(one.at), "event": one.event, "pod": one.pod, "message": one.message}
            for one in snapshot.recent
        ],
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def topology_json(topology: Topology) -> Json:
    return {
        "cpus": [
            {
                "id": cpu.id,
                "core": cpu.core,
                "socket": cpu.socket,
                "die": cpu.die,
                "numaNode": cpu.node,
                "uncoreCache": cpu.uncore,
            }
            for cpu in topology.cpus
        ],
        "numaNodes": [
            {
                "id": node.id,
                "cpus": str(node.cpus),
                "memoryBytes": node.memory_bytes,
                "hugepagesBytes": dict(node.hugepages_bytes),
                "distances": {str(other): distance for other, distance in node.distances.items()},
            }
            for node in topology.nodes
        ],
        "online": str(topology.online),
        "offline": str(topology.offline),
        "isolated": str(topology.isolated),
    }


def _policy(policy: Policy) -> Json:
    return {
        "topologyManagerPolicy": policy.topology_policy.value,
        "topologyManagerScope": policy.scope.value,
        "cpuManagerPolicyOptions": sorted(option.value for option in policy.cpu_options),
        "preferClosestNumaNodes": policy.prefer_closest_numa_nodes,
        "memoryManagerPolicy": policy.memory_policy.value,
        "manage": policy.manage.value,
        "onUnsatisfied": policy.on_unsatisfied.value,
        "minSharedCPUs": policy.min_shared_cpus,
    }


def _pod(pod: PodStatus, memory: Mapping[int, int]) -> Json:
    guarded = pod.protection
    return {
        "namespace": pod.namespace,
        "name": pod.name,
        "uid": pod.uid,
        "qosClass": pod.qos.value if pod.qos else None,
        "static": pod.static,
        "deleting": pod.deleting,
        "owner": pod.owner,
        "startedAt": pod.started_at,
        **_decision(pod.decision),
        "explanation": [*_explanation(pod), *_protected(pod)],
        "pool": str(pod.pool),
        "mems": str(pod.mems),
        "exclusive": str(pod.exclusive),
        "shared": str(pod.shared),
        "memoryBytes": {str(node): size for node, size in sorted(memory.items())},
        "memoryLocalShare": local_share(memory, pod.mems),
        "memoryProtection": guarded and {"level": guarded.level.value, "bytes": guarded.size_bytes},
        "containers": [_container(one) for one in pod.containers],
        "kernel": _view(pod.kernel.pod),
        "otherCgroups": [_view(view) for view in pod.kernel.others],
        "drift": [
            {"cgroup": one.cgroup, "file": one.file, "want": one.want, "have": one.have, "cause": one.cause}
            for one in pod.kernel.drift
        ],
    }


def _alone(one: Alone) -> Json:
    return {
        "podUID": one.claim.uid,
        "pod": f"{one.claim.namespace}/{one.claim.pod}",
        "container": one.claim.container,
        "cpus": str(one.claim.cpus),
        "foreignSeconds": one.foreign_s,
        "errorSeconds": one.error_s,
        "measuredSeconds": one.measured_s,
        "interruptedSeconds": one.interrupted_s,
        "share": one.share,
    }


def _explanation(pod: PodStatus) -> Iterable[str]:
    return in_words(pod.decision, pod.entry) if pod.decision else (GONE,)


def _protected(pod: PodStatus) -> Iterable[str]:
    if (guarded := pod.protection) is not None:
        amount = amount_text(MEMORY, guarded.size_bytes)
        yield f"The kernel takes {amount} of its memory {_TAKEN[guarded.level]} (memory.{guarded.level})."


_TAKEN = {Level.LOW: "only when nobody else has any left to take", Level.MIN: "never"}


def _decision(decision: Decision | None) -> Json:
    if decision is None:
        return {
            "outcome": ENDING,
            "regime": None,
            "because": GONE,
            "wantedCPUs": 0,
            "refusal": None,
            "hints": [],
            "notes": [],
        }
    no = decision.refusal
    return {
        "outcome": decision.outcome.value,
        "regime": decision.regime.value,
        "because": decision.because,
        "wantedCPUs": decision.wanted_cpus,
        "refusal": no and {"reason": no.word.value, "message": no.message, "canPass": no.can_pass, "remedy": no.remedy},
        "hints": [
            {"numaNodes": str(hint.nodes), "preferred": hint.preferred, "chosen": hint.chosen, "why": hint.why}
            for hint in decision.hints
        ],
        "notes": list(decision.notes),
    }


def _container(one: ContainerStatus) -> Json:
    return {
        "name": one.name,
        "kind": one.kind.value,
        "isolation": one.isolation.value,
        "memoryIsolation": one.memory_isolation.value,
        "cpus": str(one.cpus),
        "kernel": _view(one.kernel),
    }


def _view(view: KernelView | None) -> Json | None:
    if view is None:
        return None
    return {"cgroup": view.cgroup, "cpus": str(view.cpus), "mems": str(view.mems), "partition": view.partition}


def _counters(counters: Counters) -> Json:
    return {
        "reconciles": counters.reconcile_seconds.cumulative[-1],
        "writes": counters.writes,
        "writesRefused": counters.writes_refused,
        "driftRepaired": dict(counters.repaired),
        "podsRequested": counters.pods_requested,
        "refusals": {word.value: count for word, count in counters.refusals.items()},
        "faults": {
            kind: {"count": fault.count, "lastAt": _time(fault.at), "lastMessage": fault.message}
            for kind, fault in counters.faults.items()
        },
    }
