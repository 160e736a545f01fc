"""The kubelet's rules for a pod's place and weight: QoS class, cgroup, cgroup settings. Plain Kubernetes JSON in.

Source: kubelet's pkg/kubelet/cm/helpers_linux.go and qos; KEP-2837 for pod-level resources.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
PERIOD_US = 100_000
_UNITS = {"": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
_QUANTITY = re.compile(r"([0-9.]+)(m|[kMG]|[KMG]i|)")


@dataclass(frozen=True, slots=True)
class Limits:
    """What the kubelet and the runtime write into a cgroup; None: not set."""

    cpu_shares: int | None = None  # as cgroup v1 counts them, and CRI still
    quota_us: int | None = None  # each PERIOD_US
    memory_bytes: int | None = None
    cpus: str | None = None

    @property
    def cpu_weight(self) -> int | None:
        """cgroup v2's weight. Source: KEP-2254."""
        return None if self.cpu_shares is None else 1 + (self.cpu_shares - 2) * 9999 // 262142


def amount(quantity: str) -> float:
    """A Kubernetes quantity as a number of its unit: CPUs or bytes."""
    found = _QUANTITY.fullmatch(str(quantity))
    if found is None:
        raise ValueError(f"{quantity!r} is no quantity")
    return float(found[1]) * _UNITS[found[2]]


def uid(pod: Json) -> str:
    """What names the pod's cgroup: a static pod's hash, else the UID."""
    meta = pod["metadata"]
    return str(meta.get("annotations", {}).get("kubernetes.io/config.hash") or meta["uid"])


def is_sidecar(container: Json) -> bool:
    return container.get("restartPolicy") == "Always"


def _amounts(holder: Json) -> tuple[Json, Json]:
    """Requests and limits after the API server's defaulting: a limit without a request is the request."""
    resources = holder.get("resources") or {}
    limits = {name: amount(text) for name, text in (resources.get("limits") or {}).items()}
    return limits | {name: amount(text) for name, text in (resources.get("requests") or {}).items()}, limits


def qos_class(pod: Json) -> str:
    """``Guaranteed``, ``Burstable`` or ``BestEffort``; pod-level resources, where there are any, count alone."""
    spec = pod["spec"]
    pod_level = _amounts(spec)
    asked = (
        [pod_level] if any(pod_level) else [_amounts(c) for c in [*spec.get("initContainers", ()), *spec["containers"]]]
    )
    names = ("cpu", "memory")
    if not any(requests.get(name) or limits.get(name) for requests, limits in asked for name in names):
        return "BestEffort"
    if all(limits.get(name) and requests.get(name) == limits[name] for requests, limits in asked for name in names):
        return "Guaranteed"
    return "Burstable"


def place(pod: Json) -> tuple[str, ...]:
    """The pod's cgroup as the kubelet names it, below its root: ``kubepods``, the class unless Guaranteed, the pod."""
    qos = qos_class(pod)
    return ("kubepods", *([] if qos == "Guaranteed" else [qos.lower()]), f"pod{uid(pod)}")


def cpu_request(pod: Json) -> float:
    """CPUs that the pod's weight stands for: pod-level, else the sum of what runs for good."""
    requests, _ = _amounts(pod["spec"])
    return float(requests["cpu"]) if "cpu" in requests else sum(_amounts(c)[0].get("cpu", 0.0) for c in _lasting(pod))


def pod_limits(pod: Json) -> Limits:
    _, pod_level = _amounts(pod["spec"])
    each = [_amounts(container)[1] for container in _lasting(pod)]

    def limit(name: str) -> float | None:
        if name in pod_level:
            return float(pod_level[name])
        return sum(limits[name] for limits in each) if all(name in limits for limits in each) else None

    return _limits(cpu_request(pod), limit("cpu"), limit("memory"))


def container_limits(container: Json) -> Limits:
    requests, limits = _amounts(container)
    return _limits(requests.get("cpu", 0.0), limits.get("cpu"), limits.get("memory"))


def shares(cpus: float) -> int:
    """cgroup v1's shares for so many requested CPUs."""
    return max(2, int(cpus * 1024))


def _lasting(pod: Json) -> Iterable[Json]:
    return [*filter(is_sidecar, pod["spec"].get("initContainers", ())), *pod["spec"]["containers"]]


def _limits(cpu_request: float, cpu_limit: float | None, memory_limit: float | None) -> Limits:
    return Limits(
        shares(cpu_request),
        None if cpu_limit is None else round(cpu_limit * PERIOD_US),
        None if memory_limit is None else int(memory_limit),
    )
