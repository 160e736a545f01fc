"""The ``pinfold.dev/`` annotations: what a pod's author may say beyond the API.

Pure. All of them hold or none: one bad value makes the whole an InvalidIntent.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from pinfold.pods.model import CPU, HUGEPAGES, MEMORY, Container, ContainerKind, Intent, InvalidIntent, Managed
from pinfold.pods.needs import together
from pinfold.pods.quantity import QuantityError, whole

PREFIX = "pinfold.dev/"

NUMA_POLICIES = ("none", "best-effort", "restricted", "single-numa-node")
SCOPES = ("pod", "container")
CPU_OPTIONS = (
    "full-pcpus-only",
    "distribute-cpus-across-numa",
    "distribute-cpus-across-cores",
    "align-by-socket",
    "strict-cpu-reservation",
    "prefer-align-cpus-by-uncorecache",
    "slice-full-cores",
)
_MANAGED = {
    "none": frozenset[Managed](),
    "cpu": frozenset({Managed.CPU}),
    "memory": frozenset({Managed.MEMORY}),
    "cpu,memory": frozenset({Managed.CPU, Managed.MEMORY}),
}
_COUNT = re.compile(r"[1-9][0-9]{0,9}")
_DEVICE = re.compile(
    r"[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]"
    r"|[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*/[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
)


class _BadValueError(ValueError):
    """What is wrong with one annotation's value."""


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise _BadValueError(f"{_shown(text)} is none of {', '.join(words)}")
        return text

    return read


def _shown(text: str) -> str:
    return ascii(text[:40])


def _count(text: str) -> int:
    if _COUNT.fullmatch(text) is None:
        raise _BadValueError(f"{_shown(text)} is no whole number of CPUs above zero")
    return int(text)


def _millicpu(text: str) -> int:
    return _count(text) * 1000


def _bytes(text: str) -> int:
    try:
        amount = whole(text)
    except QuantityError as error:
        raise _BadValueError(str(error)) from error
    if not amount:
        raise _BadValueError("is zero")
    return amount


def _managed(text: str) -> frozenset[Managed]:
    words = ",".join(sorted(word.strip() for word in text.split(",")))
    if words not in _MANAGED:
        raise _BadValueError(f"{_shown(text)} is none of cpu; memory; cpu,memory; none")
    return _MANAGED[words]


def _cpu_options(text: str) -> frozenset[str]:
    words = [word.strip() for word in text.split(",")] if text.strip() else []
    for word in words:
        if word not in CPU_OPTIONS:
            raise _BadValueError(f"{_shown(word)} is none of {', '.join(CPU_OPTIONS)}")
    return frozenset(words)


def _exclusive_cpus(text: str) -> Mapping[str, int]:
    slices: dict[str, int] = {}
    for item in text.split(","):
        name, _, count = item.strip().partition("=")
        if name in slices:
            raise _BadValueError(f"names {_shown(name)} twice")
        slices[name] = _count(count)
    return slices


def _device(text: str) -> str:
    if _DEVICE.fullmatch(text) is None:
        raise _BadValueError(
            f"{_shown(text)} is neither a PCI address like 0000:3b:00.0 nor a resource name like example.com/nic"
        )
    return text


_AMOUNTS: Mapping[str, tuple[str, Callable[[str], int]]] = {
    "pod-cpu": (CPU, _millicpu),
    "pod-memory": (MEMORY, _bytes),
    "pod-hugepages-2Mi": (HUGEPAGES + "2Mi", _bytes),
    "pod-hugepages-1Gi": (HUGEPAGES + "1Gi", _bytes),
}
_WORDS: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "managed-resources": ("managed", _managed),
    "exclusive-cpus": ("exclusive_cpus", _exclusive_cpus),
    "scope": ("scope", _one_of(*SCOPES)),
    "numa-policy": ("numa_policy", _one_of(*NUMA_POLICIES)),
    "cpu-options": ("cpu_options", _cpu_options),
    "on-unsatisfied": ("on_unsatisfied", _one_of("share", "evict")),
    "isolated": ("isolated", _one_of("true", "insist")),
    "memory-protection": ("memory_protection", _one_of("none", "low", "min")),
    "near-device": ("near_device", _device),
}


def read_intent(annotations: Mapping[str, object], containers: Sequence[Container]) -> Intent | InvalidIntent:
    """Read the annotations of a pod that has *containers*; others than ``pinfold.dev/`` are not looked at."""
    ours = {name.removeprefix(PREFIX): text for name, text in annotations.items() if name.startswith(PREFIX)}
    if not ours:
        return Intent()
    amounts: dict[str, int] = {}
    fields: dict[str, object] = {}
    problems: list[str] = []
    for name, text in sorted(ours.items()):
        try:
            if not isinstance(text, str):
                raise _BadValueError("is no text: put the value in quotes")
            if name in _AMOUNTS:
                resource, read_amount = _AMOUNTS[name]
                amounts[resource] = read_amount(text)
            elif name in _WORDS:
                key, read = _WORDS[name]
                fields[key] = read(text)
            else:
                raise _BadValueError(f"is not known; known are {', '.join(sorted((*_AMOUNTS, *_WORDS)))}")
        except _BadValueError as bad:
            problems.append(f"{PREFIX}{_plain(name)}: {bad}")
    if problems:
        return InvalidIntent(tuple(problems))
    intent = Intent(amounts=amounts, given=frozenset(ours), **fields)  # type: ignore[arg-type]
    contradictions = tuple(_contradictions(intent, containers))
    return InvalidIntent(contradictions) if contradictions else intent


def _plain(name: str) -> str:
    return ascii(name[:63])[1:-1]


def _contradictions(intent: Intent, containers: Sequence[Container]) -> list[str]:
    kinds = {one.name: one.kind for one in containers}
    found = [
        f"{PREFIX}exclusive-cpus: the pod has no container {_shown(name)}"
        for name in intent.exclusive_cpus
        if kinds.get(name) in {None, ContainerKind.EPHEMERAL}
    ]
    wanted = together((one.kind, intent.exclusive_cpus.get(one.name, 0)) for one in containers)
    pod_cpus = intent.amounts.get(CPU, 0) // 1000
    if CPU in intent.amounts and wanted > pod_cpus:
        found.append(f"{PREFIX}exclusive-cpus: takes {wanted} CPUs at a time, {PREFIX}pod-cpu gives {pod_cpus}")
    if intent.managed is None:
        return found
    beside = sorted(PREFIX + name for name in intent.given - {"managed-resources", "on-unsatisfied"})
    if not intent.managed and beside:
        found.append(f"{PREFIX}managed-resources: none contradicts {', '.join(beside)}")
    elif Managed.CPU not in intent.managed and intent.exclusive_cpus:
        found.append(f"{PREFIX}managed-resources: without cpu contradicts {PREFIX}exclusive-cpus")
    return found
