"""Regimes B and C: one container after the other gets its slice of the node; there is no pool.

Pure. Source: the kubelet's ``staticPolicy.Allocate``, called in spec order; KEP-693 (scopes).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.hinting import Hinted, hint
from pinfold.planning.ledger import Block, ContainerEntry, Isolation, PodEntry
from pinfold.planning.nearest import resized
from pinfold.planning.policy import TopologyScope
from pinfold.planning.reasons import HintWeighed, Refused, Regime
from pinfold.planning.regime import Wanted
from pinfold.planning.reuse import reusable_after
from pinfold.planning.vacancy import Held, NotPlaced, Placed, Vacant, take_near
from pinfold.pods.model import Amounts, Container, ContainerKind, Pod
from pinfold.pods.needs import together


def place_containers(
    pod: Pod, want: Wanted, vacant: Vacant, held: Held, hinted: Hinted | NotPlaced | None = None
) -> Placed | NotPlaced:
    """Place the containers of *pod*, each around what it *held*; *hinted* is the hint for all, where it is known."""
    lasting = [one for one in pod.containers if one.kind is not ContainerKind.EPHEMERAL]
    kept = {
        name: resized(vacant.topology, cpus, min(len(cpus), want.slices[name]), cpus)
        for name, cpus in held.slices.items()
        if name in want.slices
    }
    free = vacant.candidates(want, want.cpus, CpuSet.union(kept.values()))
    one_for_all = want.regime is Regime.CONTAINER and want.policy.scope is TopologyScope.POD
    if hinted is None and one_for_all:
        need = together((one.kind, want.slices.get(one.name, 0)) for one in lasting)
        memory = _together(lasting, want.container_memory)
        hinted = hint(want, vacant, need, free, CpuSet.union(kept.values()), memory, held.mems)
    if isinstance(hinted, NotPlaced):
        return hinted
    row = _Row(want, vacant, free, kept, held.container_mems, hinted)
    for one in lasting:
        if refused := row.add(one):
            return NotPlaced(refused, row.weighed)
    if refused := vacant.too_few_left(row.taken):
        return NotPlaced(refused, row.weighed)
    if row.missing and not any(one.cpus or one.blocks for one in row.entries):
        return NotPlaced(row.missing, row.weighed)
    entry = PodEntry(
        pod.uid,
        pod.namespace,
        pod.name,
        containers=tuple(row.entries),
        asked=want.asked,
        isolated=want.isolated is not None,
    )
    return Placed(entry, row.weighed, row.missing)


def _together(containers: Sequence[Container], memory: Mapping[str, Amounts]) -> Amounts:
    names = sorted({name for amounts in memory.values() for name in amounts})
    return {name: together((one.kind, memory.get(one.name, {}).get(name, 0)) for one in containers) for name in names}


@dataclass(slots=True)
class _Row:
    """The containers of one pod that have had their turn, in spec order."""

    want: Wanted
    vacant: Vacant
    free: CpuSet
    kept: Mapping[str, CpuSet]
    mems: Mapping[str, NodeSet]
    for_all: Hinted | None
    entries: list[ContainerEntry] = field(default_factory=list)
    taken: CpuSet = CpuSet()
    reusable: CpuSet = CpuSet()
    weighed: tuple[HintWeighed, ...] = ()
    missing: Refused | None = None

    def add(self, one: Container) -> Refused | None:
        """Give *one* what it is to get; or say why it cannot have it."""
        count, memory = self.want.slices.get(one.name, 0), self.want.container_memory.get(one.name, {})
        keep, mems = self.kept.get(one.name, CpuSet()), self.mems.get(one.name, NodeSet())
        hinted = self.for_all
        if hinted is None and (count or memory):
            cpus, blocks = keep | self._reusable(one), self._reusable_blocks()
            answer = hint(self.want, self.vacant, count, self.free, cpus, memory, mems, blocks)
            if isinstance(answer, NotPlaced):
                self.weighed = answer.hints
                return answer.refused
            hinted = answer
        if hinted is None:
            self.entries.append(ContainerEntry(one.name, Isolation.HOST, kind=one.kind))
            return None
        self.weighed = hinted.weighed
        got = self._cpus(count, hinted, keep, self._reusable(one))
        if isinstance(got, Refused):
            return got
        booked = self._blocks(memory, hinted, mems)
        if isinstance(booked, Refused):
            if mems or not self.vacant.does_without(memory, self.want.policy):
                return booked
            self.missing, booked = booked, ()
        isolation = Isolation.CONTAINER if got else Isolation.HOST
        self.entries.append(ContainerEntry(one.name, isolation, got, booked, one.kind))
        self.free, self.taken = self.free - got, self.taken | got
        self.reusable = reusable_after(self.reusable, one.kind, got)
        return None

    def _reusable(self, one: Container) -> CpuSet:
        """What *one* may use of earlier init containers' CPUs: not what later containers held and keep."""
        done = {entry.name for entry in self.entries}
        later = (cpus for name, cpus in self.kept.items() if name != one.name and name not in done)
        return self.reusable - CpuSet.union(later)

    def _cpus(self, count: int, hinted: Hinted, keep: CpuSet, reusable: CpuSet) -> CpuSet | Refused:
        if not count:
            return CpuSet()
        others = replace(self.vacant, owned=self.vacant.owned | self.taken)
        refused = others.misaligned(self.want.policy, count) if len(keep) != count else None
        return refused or take_near(others, self.want.policy, self.free, count, hinted.hint.nodes, keep, reusable)

    def _blocks(self, memory: Amounts, hinted: Hinted, mems: NodeSet) -> tuple[Block, ...] | Refused:
        """Book *memory*, out of what earlier standard init containers had first, whose records it is taken off."""
        booking = self.vacant.booked(memory, hinted.hint, mems, self._reusable_blocks())
        if isinstance(booking, Refused):
            return booking
        self.vacant = replace(self.vacant, books=booking.books)
        left = iter(booking.reusable)
        self.entries = [
            replace(entry, blocks=tuple(next(left) for _ in entry.blocks)) if _is_init(entry) else entry
            for entry in self.entries
        ]
        return booking.blocks

    def _reusable_blocks(self) -> tuple[Block, ...]:
        return tuple(block for entry in self.entries if _is_init(entry) for block in entry.blocks)


def _is_init(entry: ContainerEntry) -> bool:
    return entry.kind is ContainerKind.INIT
