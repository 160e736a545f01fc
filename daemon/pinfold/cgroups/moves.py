"""How CPUs go from one cgroup to another without a moment in which two owners have them.

Pure: a simulation of what each write leaves behind, from which the next one follows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pinfold.cgroups.held import MEMBER, Held
from pinfold.cgroups.layout import Kind, Want
from pinfold.cgroups.paths import ROOT, CgroupPath, File, above, depth, holds, parent
from pinfold.cgroups.writes import Write
from pinfold.cpuset import CpuSet


@dataclass(slots=True, eq=False)
class _Slot:
    """One ``cpuset.cpus`` or ``cpuset.cpus.exclusive`` on its way."""

    path: CgroupPath
    file: File
    text: CpuSet
    """What the file holds."""
    final: CpuSet
    """What it should hold."""
    aim: CpuSet
    """The CPUs that this means: all of them where it should be empty, and so inherit."""
    reach: CpuSet
    """All CPUs."""
    online: CpuSet
    """Those that anybody has: a set of others alone is as good as none."""
    want: Want
    outer: "_Slot | None" = None
    """The slot above, beyond whose CPUs this one cannot reach."""
    inner: list["_Slot"] = field(default_factory=list)

    @property
    def settled(self) -> bool:
        return self.text == self.final

    @property
    def inherits(self) -> bool:
        """Whether it is given back empty: all or nothing, since a part may overlap a partition beside it (6.12)."""
        return self.file is File.CPUS and not self.final

    @property
    def owns(self) -> bool:
        """Whether its CPUs will be nobody else's; a partition owns by ``cpuset.cpus.exclusive`` alone."""
        by_set = self.want.partition in {None, Kind.MEMBER} and self.want.owns is not None
        return self.file is File.EXCLUSIVE or (by_set and self.want.owns == self.want.cpus)

    @property
    def kind(self) -> Kind:
        """What the cgroup is to be; only ``cpuset.cpus.exclusive`` makes a partition."""
        return (self.want.partition or Kind.MEMBER) if self.file is File.EXCLUSIVE else Kind.MEMBER

    @property
    def pool(self) -> CgroupPath | None:
        """The pod's cgroup, for a container that moves within its pod's own CPUs; None: it moves among all others."""
        if self.file is File.CPUS and self.outer and self.outer.owns:
            return self.outer.path
        return None

    @property
    def now(self) -> CpuSet:
        """The CPUs that it has: a cpuset that is empty, or shares nothing with the one above, has all of that."""
        if self.file is File.EXCLUSIVE:
            return self.text
        reach = self.outer.now if self.outer else self.reach
        own = self.text & reach
        return reach if own.isdisjoint(self.online) else own

    @property
    def end(self) -> CpuSet:
        """The CPUs that it has when all is done."""
        if self.file is File.EXCLUSIVE or self.outer is None:
            return self.aim
        return (self.aim & self.outer.end) or self.outer.end

    @property
    def kept(self) -> CpuSet:
        """Those of its CPUs that are its own in the end, or that somebody inside still needs."""
        return self.now & (self.aim | CpuSet.union(inner.needs(self.aim) for inner in self.inner))

    def pods_inside(self) -> "Iterator[_Slot]":
        """The pods whose exclusive sets lie in this union."""
        for inner in self.inner if self.file is File.EXCLUSIVE and not self.want.pod else ():
            if inner.want.pod:
                yield inner
            else:
                yield from inner.pods_inside()

    def needs(self, left: CpuSet) -> CpuSet:
        """The CPUs that must stay above it until it has gone over, when only *left* are to stay.

        An exclusive set must lie within the one above. Any other that keeps none of its CPUs would have all of *left*,
        while some of those are to be its own.
        """
        if self.file is File.EXCLUSIVE:
            return self.now - self.aim
        own = self.now if self.now.isdisjoint(left) and not self.aim.isdisjoint(left) else CpuSet()
        return CpuSet.union((own, *(inner.needs(left) for inner in self.inner)))


class Moves:
    """The moves of the cgroups of *wants*, all of which have cpuset files. Used once."""

    def __init__(self, held: Held, wants: Mapping[CgroupPath, Want]) -> None:
        self._words = {path: held[path].partition or MEMBER for path in wants}
        # Outer ones first; at one depth cpuset.cpus first: a set in the way goes before its CPUs are taken.
        self._slots = sorted(_slots(held, wants), key=lambda slot: (depth(slot.path), slot.file is File.EXCLUSIVE))
        files = self._files = {(slot.path, slot.file): slot for slot in self._slots}
        self._below: dict[CgroupPath, list[_Slot]] = {}
        for slot in self._slots:
            slot.outer = _outer(slot, files)
            if slot.outer:
                slot.outer.inner.append(slot)
            self._below.setdefault(parent(slot.path), []).append(slot)
        self._writes: list[Write] = []
        free = held[ROOT].cpus_effective or CpuSet()
        for slot in self._slots:
            self._let_go(slot, slot.text & free)

    def writes(self) -> tuple[Write, ...]:
        """In their order."""
        while True:
            done = len(self._writes)
            self._round()
            if len(self._writes) == done and not self._give_way():
                return tuple(self._writes)

    def _let_go(self, slot: _Slot, unheld: CpuSet) -> None:
        """Take out of a partition's set what the root cgroup still has, so that the kernel looks at it anew.

        Where the set above was too small when it grew, 6.12 gives it nothing later on; and the same text does nothing.
        """
        stands = slot.file is File.EXCLUSIVE and self._words[slot.path] in {Kind.ROOT, Kind.ISOLATED}
        if stands and unheld:
            self._set(slot, slot.text - unheld)

    def _round(self) -> None:
        """Containers go over within what their pool has; then the pools leave what nobody in them is on any more."""
        in_pools = [slot for slot in self._slots if slot.pool]
        others = [slot for slot in self._slots if not slot.pool]
        for slot in in_pools:
            self._narrow(slot)
        for slot in in_pools:
            self._widen(slot)
        for slot in sorted(others, key=lambda slot: (slot.file is File.EXCLUSIVE, -depth(slot.path))):
            self._stand_down(slot)
            self._narrow(slot)
        for slot in others:
            self._widen(slot)
            self._stand_up(slot)

    def _narrow(self, slot: _Slot) -> None:
        """Leave what is not its own. Where that is all it has, its new CPUs come first."""
        if slot.settled or slot.inherits:
            return
        kept = self._kept(slot)
        if self._is_in_union(slot, kept):
            self._step_aside(slot)
        elif kept or (slot.file is File.EXCLUSIVE and not slot.aim):
            self._set(slot, kept)

    def _widen(self, slot: _Slot) -> None:
        """Come into its CPUs, as far as those who are to leave them have left and they have come to the one above."""
        if slot.settled:
            return
        free = slot.aim - self._taken(slot)
        if slot.outer:
            free -= slot.outer.end - slot.outer.now
        coming = self._kept(slot) | free
        if coming == slot.aim or (coming and self._is_up(slot) and not slot.inherits):
            for pod in slot.pods_inside():  # each for itself: the kernel may refuse one pod's CPUs
                self._set(slot, slot.kept | (pod.aim & coming), pod.want)
            self._set(slot, coming)

    def _give_way(self) -> bool:
        """Where nothing goes on, because neighbours wait for one another's CPUs: whether one of them gave way.

        One that has several keeps the lowest alone. Where each has a single one, two containers of one pod meet.
        """
        for slot in self._slots:
            is_done = slot.settled and self._is_up(slot)
            in_the_way = () if is_done else self._in_the_way(slot, slot.text | slot.aim)
            if any(self._step_aside(one) for one in in_the_way):
                return True
        unsettled = [slot for slot in self._slots if not slot.settled]
        waiting = [slot for slot in unsettled if slot.aim.isdisjoint(slot.now) and not slot.inner]
        for slot in sorted(waiting, key=lambda slot: len(slot.now) == 1):
            rivals = [one for one in unsettled if _are_rivals(slot, one) and not one.aim.isdisjoint(slot.now)]
            may = bool(rivals) and (len(slot.now) > 1 or slot.pool is not None)
            if may and self._set(slot, slot.now.first(1) if len(slot.now) > 1 else slot.aim):
                return True
        return False

    def _stand_down(self, slot: _Slot) -> None:
        """Give up a partition that is not wanted, or that is invalid.

        On 6.12 an overlapping sibling leaves ``root invalid`` without a reason, and the CPUs nobody's: only ``member``
        returns them, once the sibling is out of the way.
        """
        word = self._words[slot.path]
        if slot.file is File.EXCLUSIVE and word != MEMBER and (slot.kind is Kind.MEMBER or "invalid" in word):
            self._become(slot, Kind.MEMBER)

    def _kept(self, slot: _Slot) -> CpuSet:
        """As the slot has it; but nobody inside runs on the set of a partition that is none, nor on one beside it.

        A set that comes to meet that one ends it (6.12).
        """
        kept = slot.kept if self._is_up(slot) else slot.now & slot.aim
        beside = (one for one in self._sets_beside(slot, File.EXCLUSIVE) if one.kind is not Kind.MEMBER)
        return kept - CpuSet.union(one.text for one in beside)

    def _stand_up(self, slot: _Slot) -> None:
        is_up = slot.kind is Kind.MEMBER or self._words[slot.path] == slot.kind
        is_free = slot.aim.isdisjoint(self._taken(slot)) and not self._is_refused(slot, slot.text)
        if not is_up and slot.settled and is_free:
            self._become(slot, slot.kind)

    def _is_up(self, slot: _Slot) -> bool:
        """Whether it is a valid partition, or is to be none."""
        return slot.kind is Kind.MEMBER or self._words[slot.path] in {Kind.ROOT, Kind.ISOLATED}

    def _taken(self, slot: _Slot) -> CpuSet:
        """CPUs that others are to leave and have not left; and for who will own none, those of partitions to come."""
        leaving = (one.now - one.aim for one in self._slots if not one.settled and _are_rivals(slot, one))
        coming = (
            one.aim
            for one in (() if slot.owns else self._slots)
            if not self._is_up(one) and not holds(one.path, slot.path)
        )
        return CpuSet.union((*leaving, *coming))

    def _set(self, slot: _Slot, cpus: CpuSet, why: Want | None = None) -> bool:
        """Whether it is written."""
        why = why or slot.want
        text = slot.final if cpus == slot.aim else cpus
        if slot.text == text or self._waits(slot) or self._is_refused(slot, text):
            return False
        touched = (slot.now - cpus) | (cpus - slot.now)
        self._writes.append(Write(slot.path, slot.file, str(text), why.why, why.pod, touched))
        slot.text = text
        return True

    def _waits(self, slot: _Slot) -> bool:
        """Containers wait until their pool stands, and so does what its own ``cpuset.cpus`` says: 7.3 takes that from
        no cgroup whose exclusive set is offline (EBUSY)."""
        if slot.pool and slot.outer and not self._is_up(slot.outer):
            return True
        own = self._files.get((slot.path, File.EXCLUSIVE)) if slot.file is File.CPUS else None
        return own is not None and bool(own.text) and not self._is_up(own)

    def _is_refused(self, slot: _Slot, text: CpuSet) -> bool:
        """Whether the kernel refuses it for a set beside it."""
        return any(self._in_the_way(slot, text))

    def _in_the_way(self, slot: _Slot, text: CpuSet) -> "Iterator[_Slot]":
        """The sets beside an exclusive one that keep it from *text*: those that lie in it all (EINVAL), and beside a
        partition those that meet what it has not yet (6.12)."""
        is_pool = slot.kind is not Kind.MEMBER
        new = text - slot.text if self._is_up(slot) else text
        for one in self._sets_beside(slot, File.CPUS) if slot.file is File.EXCLUSIVE else ():
            if one.text <= text or (is_pool and not one.text.isdisjoint(new)):
                yield one

    def _is_in_union(self, slot: _Slot, text: CpuSet) -> bool:
        """Whether a set would lie in an exclusive one beside it, which then could not grow any more."""
        beside = self._sets_beside(slot, File.EXCLUSIVE) if slot.file is File.CPUS and text else ()
        return any(text <= one.text for one in beside)

    def _sets_beside(self, slot: _Slot, file: File) -> "Iterator[_Slot]":
        for one in self._below[parent(slot.path)]:
            if one.file is file and one.text and one.path != slot.path:
                yield one

    def _step_aside(self, slot: _Slot) -> bool:
        """Have a set that is in the way only what is nobody's own, now or then; whether it did."""
        owned = (one.now | one.aim for one in self._slots if one.owns and _are_rivals(slot, one))
        aside = slot.reach - CpuSet.union(owned)
        return not slot.owns and bool(aside) and self._set(slot, aside)

    def _become(self, slot: _Slot, kind: Kind) -> None:
        self._words[slot.path] = kind
        self._writes.append(Write(slot.path, File.PARTITION, kind.value, slot.want.why, slot.want.pod, slot.text))


def _slots(held: Held, wants: Mapping[CgroupPath, Want]) -> Iterator[_Slot]:
    everything = CpuSet.union(
        cpus or CpuSet()
        for path, want in wants.items()
        for cpus in (want.cpus, want.exclusive, held[path].cpus, held[path].exclusive, held[path].cpus_effective)
    )
    online = CpuSet.union(held[path].cpus_effective or CpuSet() for path in (ROOT, *wants))
    for path, want in wants.items():
        state = held[path]
        if want.cpus is not None:
            text, aim = state.cpus or CpuSet(), want.cpus or everything
            yield _Slot(path, File.CPUS, text, want.cpus, aim, everything, online, want)
        if want.exclusive is not None:
            text = state.exclusive or CpuSet()
            yield _Slot(path, File.EXCLUSIVE, text, want.exclusive, want.exclusive, everything, online, want)


def _outer(slot: _Slot, files: Mapping[tuple[CgroupPath, File], _Slot]) -> _Slot | None:
    """Containers reach as far as their pod's partition; else each file as far as the same one above."""
    for path in above(slot.path):
        partition = files.get((path, File.EXCLUSIVE))
        if slot.file is File.CPUS and partition and partition.kind is not Kind.MEMBER:
            return partition
        if outer := files.get((path, slot.file)):
            return outer
    return None


def _are_rivals(slot: _Slot, other: _Slot) -> bool:
    """Whether *slot* may not come into a CPU that *other* is to leave. Where neither will own any, it may as well.

    Who moves among the pods meets no container before its pod.
    """
    is_related = holds(slot.path, other.path) or holds(other.path, slot.path)
    return other.pool in {None, slot.pool} and (slot.owns or other.owns) and not is_related
