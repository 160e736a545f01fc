"""A decision in plain sentences, for ``explain``, ``plan`` and Events.

Pure. The words of a refusal are the kubelet's; names and annotations were validated at the door, so that nothing here
has to be escaped again for a terminal.
"""

from collections.abc import Iterable, Iterator

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.ledger import ContainerEntry, Isolation, PodEntry
from pinfold.planning.reasons import Decision, HintWeighed, Outcome, Refused
from pinfold.pods.model import ContainerKind

NOTE_BYTES = 1024
"""The API server refuses a longer ``note``."""

PINNED = "PoolPinned"
NOT_MANAGED = "PoolNotManaged"
TRAP = "PodSpecTrap"


def event(decision: Decision) -> tuple[str, str]:
    """The reason and the note of the Event that tells *decision*: the kubelet's word where it was refused anything."""
    if decision.refusal is not None:
        reason = decision.refusal.word.value
    else:
        reason = NOT_MANAGED if decision.outcome is Outcome.UNMANAGED else PINNED
    return reason, _note([_headline(decision, None), *_refusal(decision.refusal)])


def trap_event(decision: Decision) -> tuple[str, str]:
    """The reason and the note of the Event that tells the traps which the pod's spec fell into."""
    return TRAP, _note(decision.notes)


def _note(sentences: Iterable[str]) -> str:
    note = " ".join(map(_sentence, sentences))
    return note if len(note.encode()) <= NOTE_BYTES else note.encode()[: NOTE_BYTES - 3].decode(errors="ignore") + "..."


def in_words(decision: Decision, entry: PodEntry | None = None) -> tuple[str, ...]:
    """*decision* in sentences, the most important first; *entry* is what the ledger holds of the pod."""
    sentences = [
        _headline(decision, entry),
        *_refusal(decision.refusal),
        f"{_who(decision)} is placed by rule {decision.regime.value}: {decision.because}",
        *(_containers(entry) if entry else ()),
        *_memory(decision, entry),
        *map(_hint, decision.hints),
        *decision.notes,
    ]
    return tuple(map(_sentence, sentences))


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _who(decision: Decision) -> str:
    return decision.full_name


def _cpus(cpus: CpuSet) -> str:
    return f"{'CPU' if len(cpus) == 1 else 'CPUs'} {cpus}"


def _headline(decision: Decision, entry: PodEntry | None) -> str:
    who = _who(decision)
    match decision.outcome:
        case Outcome.UNMANAGED:
            return f"{who} is left in the node shared pool: {decision.because}"
        case Outcome.SHARED:
            return f"{who} runs in the node shared pool, because it was refused what it asked for"
    what = _owns(decision, entry)
    if decision.outcome is Outcome.DEGRADED:
        return f"{who} {what}, which is less than it asked for"
    return f"{who} {what}"


def _owns(decision: Decision, entry: PodEntry | None) -> str:
    if decision.pool:
        return f"owns {_cpus(decision.pool)} as its pod pool"
    if entry is None:
        return "owns CPUs or memory of its own, container by container"
    slices = ", ".join(f"{name} {cpus}" for name, cpus in entry.slices.items())
    return f"owns slices of the node: {slices}" if slices else "owns no CPUs, only memory"


def _refusal(refused: Refused | None) -> Iterator[str]:
    if refused is None:
        return
    yield f"{refused.word.value}: {refused.message}"
    if refused.remedy:
        yield f"What it would take: {refused.remedy}"
    yield (
        "It is tried again when CPUs or memory come free"
        if refused.can_pass
        else "It is not tried again before the pod, the node's settings or its machine change"
    )


def _containers(entry: PodEntry) -> Iterator[str]:
    """One sentence for each slice, and one for all that share the same CPUs."""
    sharing: dict[CpuSet, list[str]] = {}
    for one in entry.containers:
        if one.isolation is Isolation.CONTAINER:
            yield f"{_kind(one)} {one.name} owns {_cpus(one.cpus)} alone{_passing(one)}"
        else:
            sharing.setdefault(one.cpus, []).append(one.name)
    for cpus, names in sharing.items():
        verb = "runs" if len(names) == 1 else "run"
        where = f"on {_cpus(cpus)} of the pod" if cpus else "in the node shared pool"
        yield f"{', '.join(names)} {verb} {where}"
    if entry.cpus:
        shared = entry.shared or entry.cpus
        yield f"The pause container and ephemeral containers run on {_cpus(shared)}"


def _kind(one: ContainerEntry) -> str:
    kinds = {ContainerKind.INIT: "Init container", ContainerKind.SIDECAR: "Sidecar"}
    return kinds.get(one.kind, "Container")


def _passing(one: ContainerEntry) -> str:
    return " while it runs" if one.kind is ContainerKind.INIT else ""


def _memory(decision: Decision, entry: PodEntry | None) -> Iterator[str]:
    if decision.mems:
        yield f"Its memory is bound to {_nodes(decision.mems)}"
    elif entry:
        yield from (f"The memory of {one.name} is bound to {_nodes(one.mems)}" for one in entry.containers if one.mems)


def _nodes(nodes: NodeSet) -> str:
    return f"NUMA {'node' if len(nodes) == 1 else 'nodes'} {nodes}"


def _hint(hint: HintWeighed) -> str:
    return f"{_nodes(hint.nodes)}: {'preferred' if hint.preferred else 'not preferred'}, {hint.why}"
