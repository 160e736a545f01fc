"""The node as a NodeResourceTopology, which a NUMA-aware scheduler reads: by NUMA node what there is and what is free.

Pure. The object may be another manager's (NFD's topology updater, RTE, an NRI plugin): only what bears our label is
ours. Source: topology.node.k8s.io/v1alpha2, noderesourcetopology-api.
"""

from collections.abc import Mapping
from typing import Any, Final

from pinfold.cpuset import CpuSet
from pinfold.planning.books import empty_books
from pinfold.planning.policy import Policy
from pinfold.pods.model import CPU
from pinfold.report.snapshot import Snapshot

COLLECTION: Final = "/apis/topology.node.k8s.io/v1alpha2/noderesourcetopologies"
OWNER: Final = ("app.kubernetes.io/managed-by", "pinfold")

Json = dict[str, Any]


def described(snapshot: Snapshot) -> Json:
    """What the object says of this node, without its metadata."""
    topology, policy = snapshot.topology, snapshot.policy
    owned = CpuSet.union(pod.owned for pod in snapshot.pods)
    blocks = [block for pod in snapshot.pods if pod.entry for block in pod.entry.booked]
    books = empty_books(topology, policy.reserved_memory).booked(blocks)
    return {
        "attributes": _attributes(policy),
        "zones": [
            {
                "name": f"node-{node.id}",
                "type": "Node",
                "costs": [
                    {"name": f"node-{other}", "value": distance} for other, distance in sorted(node.distances.items())
                ],
                "resources": [
                    _resource(
                        CPU,
                        len(node.cpus),
                        len(node.cpus - policy.reserved),
                        len(node.cpus - policy.reserved - owned),
                    ),
                    *(
                        _resource(name, table.total_bytes, table.allocatable_bytes, table.free_bytes)
                        for name, table in sorted(books.nodes[node.id].tables.items())
                    ),
                ],
            }
            for node in topology.nodes
        ],
    }


def _attributes(policy: Policy) -> list[Json]:
    words = {
        "topologyManagerPolicy": policy.topology_policy.value,
        "topologyManagerScope": policy.scope.value,
    }
    return [{"name": name, "value": word} for name, word in words.items()]


def _resource(name: str, capacity: int, allocatable: int, available: int) -> Json:
    return {"name": name, "capacity": str(capacity), "allocatable": str(allocatable), "available": str(available)}


def made(node: str, content: Mapping[str, Any], held: Mapping[str, Any] | None = None) -> Json:
    """The object with *content*; *held*: as the API server has it."""
    metadata = dict(held["metadata"]) if held else {"name": node, "labels": {OWNER[0]: OWNER[1]}}
    return {
        "apiVersion": "topology.node.k8s.io/v1alpha2",
        "kind": "NodeResourceTopology",
        "metadata": metadata,
        **content,
    }


def is_ours(held: Mapping[str, Any]) -> bool:
    labels = held.get("metadata", {}).get("labels") or {}
    return bool(labels.get(OWNER[0]) == OWNER[1])


def says(held: Mapping[str, Any], content: Mapping[str, Any]) -> bool:
    return all(held.get(key) == value for key, value in content.items())
