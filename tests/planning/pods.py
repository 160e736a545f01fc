"""Pods for tests of the core, in a few words."""

from collections.abc import Mapping

from pinfold.pods.model import (
    CPU,
    MEMORY,
    Amounts,
    Container,
    ContainerKind,
    Intent,
    InvalidIntent,
    Pod,
    PodResources,
    PodUid,
    QosClass,
)

GIB = 1 << 30


def uid(number: int) -> PodUid:
    return PodUid(f"{number:08x}-0000-4000-8000-000000000000")


NOTHING_SAID = Intent()


def amounts(
    cpu: float | None = None, gib: float | None = None, hugepages: Mapping[str, float] | None = None
) -> Amounts:
    """*hugepages*: ``1Gi`` → GiB."""
    found = {} if cpu is None else {CPU: round(cpu * 1000)}
    found |= {} if gib is None else {MEMORY: round(gib * GIB)}
    return found | {f"hugepages-{size}": round(amount * GIB) for size, amount in (hugepages or {}).items()}


def _container(
    kind: ContainerKind, name: str, cpu: float | None, gib: float | None, hugepages: Mapping[str, float] | None
) -> Container:
    """Guaranteed-equivalent where both amounts are given."""
    own = amounts(cpu, gib, hugepages)
    return Container(name, kind, own, own)


def app(
    name: str, cpu: float | None = None, gib: float | None = None, hugepages: Mapping[str, float] | None = None
) -> Container:
    return _container(ContainerKind.APP, name, cpu, gib, hugepages)


def init(
    name: str, cpu: float | None = None, gib: float | None = None, hugepages: Mapping[str, float] | None = None
) -> Container:
    return _container(ContainerKind.INIT, name, cpu, gib, hugepages)


def sidecar(
    name: str, cpu: float | None = None, gib: float | None = None, hugepages: Mapping[str, float] | None = None
) -> Container:
    return _container(ContainerKind.SIDECAR, name, cpu, gib, hugepages)


def pod(
    *containers: Container,
    cpu: float | None = None,
    gib: float | None = None,
    number: int = 1,
    qos: QosClass = QosClass.GUARANTEED,
    intent: Intent | InvalidIntent = NOTHING_SAID,
    started_at: str = "",
    name: str = "",
    namespace: str = "default",
    hugepages: Mapping[str, float] | None = None,
) -> Pod:
    """Pod-level resources where *cpu* or *gib* is given."""
    own = amounts(cpu, gib, hugepages)
    return Pod(
        uid(number),
        namespace,
        name or f"pod-{number}",
        qos,
        containers,
        PodResources(own, own) if own else None,
        intent=intent,
        started_at=started_at,
    )


def annotated(
    *containers: Container,
    intent: Intent,
    number: int = 1,
    qos: QosClass = QosClass.BURSTABLE,
    namespace: str = "default",
) -> Pod:
    """A pod whose amounts come from its annotations, as the reader makes it."""
    resources = PodResources(intent.amounts, intent.amounts) if intent.amounts else None
    return Pod(
        uid(number),
        namespace,
        f"pod-{number}",
        qos,
        containers,
        resources,
        resources_from_annotations=resources is not None,
        intent=intent,
    )
