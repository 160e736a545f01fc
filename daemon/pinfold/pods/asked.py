"""What a pod asks for: amounts of its containers and of itself, after API defaulting, and its QoS class.

Pure. Zero quantities are kept until defaulting is done (an explicit zero is not defaulted) and count as absent after.
Source: ``pkg/apis/core/v1/defaults.go``, ``validation.ValidatePodResourceConsistency``, ``qos.ComputePodQOS``.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pinfold.pods.fields import Field, FieldError
from pinfold.pods.model import CPU, HUGEPAGES, MEMORY, Amounts, Container, ContainerKind, PodResources, QosClass
from pinfold.pods.needs import together
from pinfold.pods.quantity import QuantityError, amount_text, millicpu, whole

_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_HUGEPAGES = re.compile(r"hugepages-[1-9][0-9]{0,5}[KMGT]i")
_LISTS = (
    ("initContainers", "initContainerStatuses", ContainerKind.INIT),
    ("containers", "containerStatuses", ContainerKind.APP),
    ("ephemeralContainers", "ephemeralContainerStatuses", ContainerKind.EPHEMERAL),
)
_ABSENT = Field(None)


@dataclass(frozen=True, slots=True)
class Asked:
    """The amounts of a pod."""

    containers: tuple[Container, ...]
    """In spec order: init containers and sidecars, then app containers, then ephemeral ones."""
    resources: PodResources | None
    """What ``spec.resources`` says; None where it names no resource that a pod can have."""
    resize_pending: str
    """See ``Pod.resize_pending``."""

    @property
    def qos(self) -> QosClass:
        """Only cpu and memory count, ephemeral containers never; with pod-level resources containers do not count."""
        asking: Sequence[PodResources | Container] = (
            [one for one in self.containers if one.kind is not ContainerKind.EPHEMERAL]
            if self.resources is None
            else [self.resources]
        )
        counted = [(one.requests.get(name, 0), one.limits.get(name, 0)) for one in asking for name in (CPU, MEMORY)]
        if not any(request or limit for request, limit in counted):
            return QosClass.BEST_EFFORT
        guaranteed = all(request == limit > 0 for request, limit in counted)
        return QosClass.GUARANTEED if guaranteed else QosClass.BURSTABLE


@dataclass(frozen=True, slots=True)
class _Amounts:
    """One ``resources`` object, a limit without request being the request; zeros included."""

    requests: dict[str, int]
    limits: dict[str, int]

    @classmethod
    def read(cls, resources: Field) -> "_Amounts":
        limits = dict(read_quantities(resources["limits"]))
        return cls({**limits, **dict(read_quantities(resources["requests"]))}, limits)


def read_quantities(field: Field) -> Iterator[tuple[str, int]]:
    """The amounts of a ``requests`` or ``limits`` object, zeros included. Raises FieldError."""
    for name, one in field.children():
        if name.startswith(HUGEPAGES) and _HUGEPAGES.fullmatch(name) is None:
            raise FieldError(field.path, f"{name[:40]!a} is no huge page size", "InvalidQuantity")
        if name in {CPU, MEMORY} or name.startswith(HUGEPAGES):  # no pod pools anything else
            try:
                yield name, millicpu(one.value) if name == CPU else whole(one.value)
            except QuantityError as error:
                raise FieldError(one.path, str(error), "InvalidQuantity") from error


@dataclass(frozen=True, slots=True)
class _Written:
    """A container as its spec has it, and its entry in the status."""

    name: str
    kind: ContainerKind
    resources: Field
    amounts: _Amounts
    status: Field


def read_asked(spec: Field, status: Field) -> Asked:
    """Read and default what the pod asks for. Raises FieldError where the API server would refuse it.

    What the kubelet has not allocated yet counts as it was before the resize, as far as the status tells.
    """
    written = tuple(_written(spec, status))
    pod = _pod_level(spec["resources"], written)
    _check(spec["resources"], pod, written)
    settled = [(one, *_settled(one.amounts, one.status)) for one in written]
    pod_now, pod_proposed = _settled(pod, status) if pod else (None, False)
    proposed = pod_proposed or any(differs for _, _, differs in settled)
    return Asked(
        tuple(_container(one, amounts) for one, amounts, _ in settled),
        PodResources(_above_zero(pod_now.requests), _above_zero(pod_now.limits)) if pod_now else None,
        _pending_reason(status) or ("Proposed" if proposed else ""),
    )


def _written(spec: Field, status: Field) -> Iterator[_Written]:
    seen: set[str] = set()
    for key, status_key, kind in _LISTS:
        statuses = {one["name"].value: one for one in status[status_key].items()}
        for field in spec[key].items():
            name = field["name"].text()
            if _LABEL.fullmatch(name) is None:
                problem = f"{name[:40]!a} is no container name (lower-case letters, digits, '-')"
                raise FieldError(field["name"].path, problem if name else "is missing: name the container")
            if name in seen:
                raise FieldError(field["name"].path, f"{name} is the name of an earlier container too")
            seen.add(name)
            always = kind is ContainerKind.INIT and field["restartPolicy"].text() == "Always"
            resources = field["resources"]
            yield _Written(
                name,
                ContainerKind.SIDECAR if always else kind,
                resources,
                _Amounts.read(resources),
                statuses.get(name, _ABSENT),
            )


def _container(one: _Written, amounts: _Amounts) -> Container:
    return Container(one.name, one.kind, _above_zero(amounts.requests), _above_zero(amounts.limits))


def _above_zero(amounts: Mapping[str, int]) -> Amounts:
    return {name: amount for name, amount in sorted(amounts.items()) if amount}


def _pod_level(resources: Field, written: Sequence[_Written]) -> _Amounts | None:
    """``spec.resources`` after defaulting; None where it names no cpu, memory or hugepages.

    A request left out is the containers' sum if any of them requests it, else the pod's limit; a limit left out is the
    containers' sum if all of them have one (1.36 and later).
    """
    asked = dict(read_quantities(resources["requests"]))
    limits = dict(read_quantities(resources["limits"]))
    if not asked and not limits:
        return None
    lasting = [one for one in written if one.kind is not ContainerKind.EPHEMERAL]
    requested = {name for one in lasting for name in one.amounts.requests}
    limited = set.intersection(*(set(one.amounts.limits) for one in lasting)) if lasting else set()
    for name in limited - set(limits):
        limits[name] = together((one.kind, one.amounts.limits[name]) for one in lasting)
    for name in requested - set(asked):
        asked[name] = together((one.kind, one.amounts.requests.get(name, 0)) for one in lasting)
    return _Amounts({**limits, **asked}, limits)


def _check(resources: Field, pod: _Amounts | None, written: Sequence[_Written]) -> None:
    """What the API server refuses, and a manifest may still hold."""
    for one in written:
        _check_limits(one.resources, one.amounts)
    if pod is None:
        return
    _check_limits(resources, pod)
    for name, request in pod.requests.items():
        needed = together((one.kind, one.amounts.requests.get(name, 0)) for one in written)
        if needed > request:
            figures = f"{amount_text(name, request)} is less than the {amount_text(name, needed)}"
            raise FieldError(f"{resources.path}.requests.{name}", f"{figures} that the containers request together")
    for one in written:
        for name, limit in one.amounts.limits.items():
            if limit > pod.limits.get(name, limit):
                most = amount_text(name, pod.limits[name])
                problem = f"{amount_text(name, limit)} is more than the pod's limit {most}"
                raise FieldError(f"{one.resources.path}.limits.{name}", problem)


def _check_limits(resources: Field, amounts: _Amounts) -> None:
    for name, limit in amounts.limits.items():
        request = amounts.requests[name]
        if request > limit:
            problem = f"{amount_text(name, request)} is more than the limit {amount_text(name, limit)}"
            raise FieldError(f"{resources.path}.requests.{name}", problem)


def _settled(amounts: _Amounts, status: Field) -> tuple[_Amounts, bool]:
    """What holds now, and whether the spec asks for something that the kubelet has not allocated.

    Source: KEP-1287 and KEP-5419, ``allocatedResources`` (requests only) and ``resources`` (what is in force).
    """
    allocated = dict(read_quantities(status["allocatedResources"]))
    if all(amounts.requests.get(name, 0) == allocated[name] for name in (CPU, MEMORY) if name in allocated):
        return amounts, False
    return (_Amounts.read(status["resources"]) if status["resources"] else amounts), True


def _pending_reason(status: Field) -> str:
    for condition in status["conditions"].items():
        if condition["type"].text() == "PodResizePending" and condition["status"].text() == "True":
            return "Infeasible" if condition["reason"].text() == "Infeasible" else "Deferred"
    return ""
