"""Pods as their authors, the API server, the kubelet and the runtime have them."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pinfold.cgroups.paths import CgroupPath
from pinfold.pods.model import PodUid, QosClass
from tests.agent.bench import pod
from tests.cgroups.node import container_id, container_path, pod_path, uid


class Kind(StrEnum):
    POOL = "pool"
    """Pod-level resources; with an engine that owns a slice, or without."""
    ISOLATED = "isolated"
    PLAIN = "plain"
    """Burstable: runs with everybody."""
    TOO_LARGE = "too large"
    INVALID = "invalid"


@dataclass(slots=True)
class Played:
    """One pod, and how far its life has come."""

    number: int
    kind: Kind
    cpus: int
    engine: int
    by_api: bool
    """Told by the API server, and not by a manifest."""
    has_cgroup: bool = False
    containers: list[str] = field(default_factory=list)
    """Those that were started, after the sandbox."""
    ended: bool = False
    """Its processes are."""

    @property
    def name(self) -> str:
        return f"p{self.number}"

    @property
    def path(self) -> CgroupPath:
        return pod_path(self.number, QosClass.BURSTABLE if self.kind is Kind.PLAIN else QosClass.GUARANTEED)

    @property
    def sandbox(self) -> CgroupPath:
        return container_path(self.path, self.number, 0)

    def container(self, name: str) -> CgroupPath:
        return container_path(self.path, self.number, self.names.index(name) + 1)

    @property
    def names(self) -> list[str]:
        return [*(["engine"] if self.engine else []), "proxy"]

    def json(self) -> dict[str, Any]:
        raw = pod(self.number, self.cpus, self.engine)
        metadata, spec = raw["metadata"], raw["spec"]
        spec["nodeName"] = "node-1"
        match self.kind:
            case Kind.PLAIN:
                spec["resources"] = {"requests": {"cpu": "100m"}}
            case Kind.TOO_LARGE:
                spec["resources"] = {part: {"cpu": "99", "memory": "64Mi"} for part in ("requests", "limits")}
            case Kind.INVALID:
                spec["containers"][0]["resources"] = {"requests": {"cpu": "2x"}}
            case Kind.ISOLATED:
                metadata["annotations"] = {"pinfold.dev/isolated": "true"}
            case Kind.POOL:
                pass
        ids = [(name, container_id(self.number, place)) for place, name in enumerate(self.names, 1)]
        told = [{"name": name, "containerID": f"containerd://{it}"} for name, it in ids if name in self.containers]
        return {"apiVersion": "v1", "kind": "Pod", **raw, "status": {"phase": "Running", "containerStatuses": told}}

    @property
    def uid(self) -> PodUid:
        return uid(self.number)
