"""A pod and its containers, as far as CPUs and memory are concerned.

Pure values. What stands here was validated at the door: a UID may become a path, a name may be shown.
Source of the words: Kubernetes API v1 Pod; KEP-2837 (pod-level resources), KEP-753 (sidecars).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

PodUid = NewType("PodUid", str)
"""The UID that stands in the pod's cgroup name: ``config.hash`` of a static pod, else ``metadata.uid``."""

CPU = "cpu"
MEMORY = "memory"
HUGEPAGES = "hugepages-"
"""Prefix of the resource names of huge pages."""

Amounts = Mapping[str, int]
"""Resource name → amount, above zero: ``cpu`` in millicpu, ``memory`` and ``hugepages-*`` in bytes. Absent: not set."""


class QosClass(StrEnum):
    GUARANTEED = "Guaranteed"
    BURSTABLE = "Burstable"
    BEST_EFFORT = "BestEffort"


class ContainerKind(StrEnum):
    INIT = "init"
    """Standard init container: runs to its end before the next starts."""
    SIDECAR = "sidecar"
    """Init container with ``restartPolicy: Always``: lives as long as the pod."""
    APP = "app"
    EPHEMERAL = "ephemeral"


@dataclass(frozen=True, slots=True)
class Container:
    name: str
    kind: ContainerKind
    requests: Amounts = field(default_factory=dict)
    """After API defaulting: a limit without request is the request."""
    limits: Amounts = field(default_factory=dict)

    @property
    def guaranteed_equivalent(self) -> bool:
        """CPU and memory both requested, each equal to its limit: the KEP's "Guaranteed container"."""
        return all(
            self.requests.get(name, 0) and self.requests[name] == self.limits.get(name) for name in (CPU, MEMORY)
        )


@dataclass(frozen=True, slots=True)
class PodResources:
    """``spec.resources``, or the annotations that stand for it, after API defaulting."""

    requests: Amounts
    limits: Amounts


class Managed(StrEnum):
    """A resource that Pinfold pools for a pod."""

    CPU = "cpu"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class Intent:
    """The ``pinfold.dev/`` annotations of a pod, validated word by word; None: the node's setting holds.

    The text of ``numa_policy``, ``scope``, ``cpu_options`` and ``on_unsatisfied`` is one of the policy's words.
    """

    amounts: Amounts = field(default_factory=dict)
    """``pod-cpu``, ``pod-memory``, ``pod-hugepages-*``: request and limit of the pod."""
    managed: frozenset[Managed] | None = None
    exclusive_cpus: Mapping[str, int] = field(default_factory=dict)
    """Container name → whole CPUs of its exclusive slice."""
    numa_policy: str | None = None
    scope: str | None = None
    cpu_options: frozenset[str] | None = None
    on_unsatisfied: str | None = None
    isolated: str | None = None
    """``true`` or ``insist``."""
    memory_protection: str | None = None
    near_device: str | None = None
    given: frozenset[str] = frozenset()
    """The annotation names that were there, without the prefix."""


@dataclass(frozen=True, slots=True)
class InvalidIntent:
    """Annotations that cannot be followed: the pod gets no pool, and never half of one."""

    problems: tuple[str, ...]
    """One sentence each, the annotation named; at least one."""


@dataclass(frozen=True, slots=True)
class Pod:
    uid: PodUid
    namespace: str
    name: str
    qos: QosClass
    containers: tuple[Container, ...]
    """In spec order: init containers and sidecars, then app containers, then ephemeral ones."""
    resources: PodResources | None = None
    """Pod-level amounts; None where ``spec.resources`` names no cpu, memory or hugepages and no annotation does."""
    resources_from_annotations: bool = False
    intent: Intent | InvalidIntent = Intent()
    notes: tuple[str, ...] = ()
    """What a person should be told about this pod's spec, one sentence each."""
    api_uid: str = ""
    """``metadata.uid``: what Events refer to; differs from ``uid`` for static pods."""
    terminal: bool = False
    """Phase Succeeded or Failed: no container of it runs or will run again."""
    deleting: bool = False
    static: bool = False
    started_at: str = ""
    """RFC 3339, ``status.startTime`` or ``creationTimestamp``: older pods are placed first."""
    container_ids: Mapping[str, str] = field(default_factory=dict)
    """Runtime's 64 hex id → container name, as far as the status tells."""
    ended: Mapping[str, str] = field(default_factory=dict)
    """The same, of containers whose program has ended: each container's last."""
    owner: str = ""
    """Kind and name of the controller, ``ReplicaSet/web-5f``; empty where there is none."""
    resize_pending: str = ""
    """``Infeasible``, ``Deferred``, ``Proposed``: the kubelet has not allocated what the spec asks for now. Amounts
    are then the last allocated ones, as far as the status tells them; a pool that stands is left as it is."""

    @property
    def full_name(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class InvalidPod:
    """An object that cannot be taken as a pod, and why: it is told, and left alone."""

    reason: str
    """One word: ``InvalidPod``, ``InvalidUid``, ``InvalidQuantity``, ``InvalidAnnotation``, ``DuplicateUid``."""
    message: str
    """What was wrong, where in the object (``spec.containers[1].resources.requests.cpu``), what to do."""
    where: str
    """Where it came from: a file name, or namespace/name, already fit to be shown."""
    uid: PodUid | None = None
    """Where the UID itself was sound: its cgroup stays as it is."""
