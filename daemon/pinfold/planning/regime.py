"""Which rule places a pod, and what it is to get by that rule: a pool, slices, memory. Nothing is taken here.

Pure. Source: KEP-5526, "Design Details"; the kubelet's static policies; Pinfold's annotations.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from pinfold.planning.policy import CpuOption, Manage, MemoryPolicy, Policy, TopologyPolicy, TopologyScope
from pinfold.planning.protection import Level
from pinfold.planning.reasons import Refused, Regime, Word
from pinfold.pods.model import (
    CPU,
    Amounts,
    Container,
    ContainerKind,
    Intent,
    InvalidIntent,
    Managed,
    Pod,
    PodResources,
    QosClass,
)
from pinfold.pods.needs import requests, together
from pinfold.pods.quantity import cpu_text

NO_INTENT = Intent()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one pod is to get."""

    regime: Regime
    because: str
    """The rule that led here, one sentence."""
    policy: Policy
    """The node's, with what the pod's annotations override."""
    asked_for: bool = True
    """Whether anybody asked Pinfold to place the pod."""
    pool_cpus: int = 0
    """Size of the pod pool; 0: none."""
    slices: Mapping[str, int] = field(default_factory=dict)
    """Container → size of its exclusive slice, in spec order."""
    memory: Amounts = field(default_factory=dict)
    """Memory and huge pages to book for the pod as a unit (regime D)."""
    container_memory: Mapping[str, Amounts] = field(default_factory=dict)
    """Container → memory and huge pages to book for it: on its own (B, C), or out of the pod's (D)."""
    asked: Amounts = field(default_factory=dict)
    """The pod's amounts of what is managed: a later difference is a resize."""
    isolated: str | None = None
    """``true`` or ``insist``: see ``Intent``."""
    near_device: str | None = None
    refused: Refused | None = None
    """What the pod asks for cannot be had on any node, or not in this form."""
    starved: Refused | None = None
    """Why *slices* are not all that it asked for: something must be left to share. See ``sharing.py``."""
    starved_memory: Refused | None = None
    """The same of its memory, of which nothing is taken away."""
    traps: tuple[str, ...] = ()
    """What is surprising about what it asks for, one sentence each."""

    @property
    def anything(self) -> bool:
        """Whether there is anything to take."""
        return bool(self.pool_cpus or self.slices or self.memory or self.container_memory)

    @property
    def cpus(self) -> int:
        return self.pool_cpus or sum(self.slices.values())

    def without_memory(self, known: Amounts) -> "Wanted":
        """With its memory left where it is, because the pod runs already; *known* are amounts it was placed with."""
        asked = {name: amount for name, amount in self.asked.items() if name == CPU or name in known}
        return replace(self, memory={}, container_memory={}, asked=asked, starved_memory=None)


def whole_cpus(amounts: Amounts) -> int:
    """The CPU request, if it is a whole number of CPUs; else 0."""
    cpus, rest = divmod(amounts.get(CPU, 0), 1000)
    return 0 if rest else cpus


def heard(pod: Pod, policy: Policy) -> Pod:
    """The pod without its annotations, where its namespace is none of those whose annotations are heard."""
    if policy.annotation_namespaces is None or pod.namespace in policy.annotation_namespaces:
        return _protectable(pod, policy)
    if pod.intent == NO_INTENT:
        return pod
    return replace(
        pod,
        intent=Intent(),
        resources=None if pod.resources_from_annotations else pod.resources,
        resources_from_annotations=False,
        notes=(*pod.notes, f"the pinfold.dev/ annotations of namespace {pod.namespace} are not heard on this node"),
    )


def _protectable(pod: Pod, policy: Policy) -> Pod:
    """With ``low`` for ``min`` where its namespace may not have memory that is never reclaimed."""
    intent = pod.intent
    if not isinstance(intent, Intent) or intent.memory_protection != Level.MIN:
        return pod
    if pod.namespace in policy.memory_min_namespaces:
        return pod
    note = f"its memory is protected by low: this node has namespace {pod.namespace} not among memoryMinNamespaces"
    return replace(pod, intent=replace(intent, memory_protection=Level.LOW.value), notes=(*pod.notes, note))


def wanted(pod: Pod, policy: Policy) -> Wanted:
    """What *pod* is to get under the node's *policy*. The pod's annotations are heard: see ``heard``."""
    intent = pod.intent
    if isinstance(intent, InvalidIntent):
        told = Refused(Word.INVALID_ANNOTATION, "; ".join(intent.problems), can_pass=False, remedy="correct it")
        return Wanted(Regime.NODE_SHARED, "its annotations cannot be followed", policy, refused=told)
    own = _overridden(policy, intent)
    if intent.managed == frozenset():
        return Wanted(Regime.NODE_SHARED, "its annotation says that nothing of it is managed", own, asked_for=False)
    if not (pod.resources or intent.given or (policy.manage is Manage.GUARANTEED and pod.qos is QosClass.GUARANTEED)):
        return Wanted(Regime.NODE_SHARED, "it asks for no pool and no slice", own, asked_for=False)
    if not _guaranteed(pod, intent):
        return _not_guaranteed(pod, intent, own)
    if pod.resources is None:
        return _by_container(pod, intent, own)
    return _pod_level(pod, pod.resources, intent, own)


def _overridden(policy: Policy, intent: Intent) -> Policy:
    if intent == NO_INTENT:
        return policy
    return replace(
        policy,
        topology_policy=TopologyPolicy(intent.numa_policy) if intent.numa_policy else policy.topology_policy,
        scope=TopologyScope(intent.scope) if intent.scope else policy.scope,
        cpu_options=policy.cpu_options if intent.cpu_options is None else frozenset(map(CpuOption, intent.cpu_options)),
    )


def _managed(pod: Pod, intent: Intent) -> frozenset[Managed]:
    """Without a word about it: what amounts are known for."""
    if intent.managed is not None:
        return intent.managed
    if pod.resources_from_annotations and pod.resources and pod.qos is not QosClass.GUARANTEED:
        return frozenset(one for one in Managed if one in pod.resources.requests)
    return frozenset(Managed)


def _guaranteed(pod: Pod, intent: Intent) -> bool:
    """Guaranteed for pinning: by QoS class, or because annotations give the amount of all that is managed."""
    if pod.qos is QosClass.GUARANTEED:
        return True
    if not pod.resources_from_annotations or pod.resources is None:
        return False
    managed = _managed(pod, intent)
    return bool(managed) and managed <= set(pod.resources.requests)


def _not_guaranteed(pod: Pod, intent: Intent, own: Policy) -> Wanted:
    """Regime A; and where an annotation names slices, those alone, container by container."""
    if not intent.exclusive_cpus:
        because = f"it is {pod.qos}, and only Guaranteed pods get CPUs of their own"
        return Wanted(Regime.NODE_SHARED, because, own)
    return _checked(
        pod,
        intent,
        Wanted(
            Regime.POD_LEVEL_BY_CONTAINER,
            f"it is {pod.qos}, and an annotation gives slices to its containers",
            own,
            slices={
                one.name: cpus
                for one in pod.containers
                if (cpus := intent.exclusive_cpus.get(one.name)) and one.kind is not ContainerKind.EPHEMERAL
            },
        ),
    )


def _by_container(pod: Pod, intent: Intent, own: Policy) -> Wanted:
    """Regime B."""
    hints = "no hints" if own.topology_policy is TopologyPolicy.NONE else f"one hint for each {own.scope}"
    managed = _managed(pod, intent)
    return _checked(
        pod,
        intent,
        Wanted(
            Regime.CONTAINER,
            f"it is Guaranteed without pod-level resources: container by container, {hints}",
            own,
            slices=_slices(pod, intent, managed),
            container_memory=_container_memory(pod.containers, managed, own),
        ),
    )


def _pod_level(pod: Pod, resources: PodResources, intent: Intent, own: Policy) -> Wanted:
    """Regime D, or C where no pod pool exists."""
    managed = _managed(pod, intent)
    with_hint = own.topology_policy is not TopologyPolicy.NONE
    settings = f"topology policy {own.topology_policy}, scope {own.scope}"
    containers_memory = _container_memory([one for one in pod.containers if one.guaranteed_equivalent], managed, own)
    if own.scope is TopologyScope.CONTAINER or not (with_hint or own.rules.pools_without_hint):
        return _checked(
            pod,
            intent,
            Wanted(
                Regime.POD_LEVEL_BY_CONTAINER,
                f"it is Guaranteed with pod-level resources, {settings}: container by container, no pod pool",
                own,
                slices=_slices(pod, intent, managed),
                container_memory=containers_memory,
            ),
        )
    because = f"it is Guaranteed with pod-level resources, {settings}: one pool for the pod"
    pool_cpus = whole_cpus(resources.requests) if Managed.CPU in managed else 0
    if Managed.CPU in managed and not pool_cpus:
        because += f"; its CPU request {cpu_text(resources.requests.get(CPU, 0))} is no whole number, so none of CPUs"
    books = Managed.MEMORY in managed and own.memory_policy is MemoryPolicy.STATIC
    return _checked(
        pod,
        intent,
        Wanted(
            Regime.POD_POOL,
            because,
            own,
            pool_cpus=pool_cpus,
            slices=_slices(pod, intent, managed) if pool_cpus else {},
            memory=_no_cpu(resources.requests) if books else {},
            container_memory=containers_memory,
        ),
    )


def _slices(pod: Pod, intent: Intent, managed: frozenset[Managed]) -> dict[str, int]:
    """An annotation speaks for the containers that it names; the others by their amounts."""
    if Managed.CPU not in managed:
        return {}
    sizes = {
        one.name: intent.exclusive_cpus.get(one.name) or (whole_cpus(one.requests) if one.guaranteed_equivalent else 0)
        for one in pod.containers
        if one.kind is not ContainerKind.EPHEMERAL
    }
    return {name: size for name, size in sizes.items() if size}


def _container_memory(containers: Iterable[Container], managed: frozenset[Managed], own: Policy) -> dict[str, Amounts]:
    if Managed.MEMORY not in managed or own.memory_policy is not MemoryPolicy.STATIC:
        return {}
    amounts = {one.name: _no_cpu(one.requests) for one in containers if one.kind is not ContainerKind.EPHEMERAL}
    return {name: amount for name, amount in amounts.items() if amount}


def _no_cpu(amounts: Amounts) -> Amounts:
    return {name: amount for name, amount in amounts.items() if name != CPU}


def _checked(pod: Pod, intent: Intent, want: Wanted) -> Wanted:
    """Refuse what the annotations of *pod* take beyond what the scheduler counted for it, or beyond the pod itself."""
    counted = requests(pod.containers)
    if pod.resources and not pod.resources_from_annotations:
        counted = pod.resources.requests
    amounts = pod.resources.requests if pod.resources else counted
    managed = _managed(pod, intent)
    asked = {
        name: amount for name, amount in amounts.items() if (Managed.CPU if name == CPU else Managed.MEMORY) in managed
    }
    want = replace(want, asked=asked, isolated=intent.isolated, near_device=intent.near_device)
    at_a_time = together((one.kind, want.slices.get(one.name, 0)) for one in pod.containers)
    if want.pool_cpus and at_a_time > want.pool_cpus:
        return replace(
            want,
            refused=Refused(
                Word.INVALID_ANNOTATION,
                f"its slices take {at_a_time} CPUs at a time, its pool has {want.pool_cpus}",
                can_pass=False,
                remedy="a larger pool or smaller slices",
            ),
        )
    taken, scheduled = want.pool_cpus or at_a_time, counted.get(CPU, 0)
    if taken * 1000 > scheduled and not want.policy.allow_unscheduled_pools:
        return replace(
            want,
            refused=Refused(
                Word.POOL_NOT_SCHEDULED,
                f"its annotations take {taken} CPUs, and the scheduler counted {cpu_text(scheduled)} for it",
                can_pass=False,
                remedy=f"{taken} CPUs in its containers' requests, or a node that allows unscheduled pools",
            ),
        )
    return want
