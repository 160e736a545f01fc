"""The decision of the whole node: the world and the ledger in, the next ledger and the reasons out.

Pure: same input, same output. What stands and still fits is not looked at again; what must change is placed before what
is new, and what is new in order of age.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.books import Books, empty_books
from pinfold.planning.ledger import Block, Ledger, PodEntry
from pinfold.planning.placement import place
from pinfold.planning.policy import CpuOption, Policy
from pinfold.planning.protection import protections
from pinfold.planning.reasons import Decision, HintWeighed, Outcome, Refused
from pinfold.planning.regime import Wanted, heard, wanted
from pinfold.planning.sharing import shared_out
from pinfold.planning.standing import Standing, missing_of, standing, surviving
from pinfold.planning.vacancy import NotPlaced, Placed, Vacant
from pinfold.pods.model import CPU, Pod, PodUid
from pinfold.pods.needs import together
from pinfold.topology.model import Topology


@dataclass(frozen=True, slots=True)
class World:
    """Everything a decision may depend on."""

    topology: Topology
    policy: Policy
    pods: tuple[Pod, ...]
    """The pods of this node that are not terminal, in any order."""
    lingering: frozenset[PodUid] = frozenset()
    """Pods that are gone or terminal, whose cgroup still holds processes: what they own stays theirs."""
    found_running: frozenset[PodUid] = frozenset()
    """Pods whose containers ran before Pinfold placed them: they get CPUs, but their memory nodes stay."""
    devices: Mapping[str, NodeSet] = field(default_factory=dict)
    """PCI address, resource name, or `own_device` → the NUMA nodes that the device is on; empty where nobody tells."""


def own_device(uid: PodUid, resource: str) -> str:
    """The key of the devices named *resource* that one pod was given, which are on nodes of their own."""
    return f"{uid}/{resource}"


@dataclass(frozen=True, slots=True)
class Plan:
    ledger: Ledger
    decisions: tuple[Decision, ...]
    """One for each pod of the world, ordered by namespace and name, then UID."""
    node_shared: CpuSet
    """Online CPUs that no pod owns, the reserved ones included; none that the machine was booted to isolate."""


def plan(world: World, ledger: Ledger) -> Plan:
    """Place the pods of *world*; what *ledger* holds stays where it is while it still fits.

    A full ledger and an unchanged world give the same ledger back.
    """
    node = _Node(world, ledger)
    pods = sorted((heard(pod, world.policy) for pod in world.pods), key=_age)
    node.keep_what_stands(pods)
    node.adjust_what_changes()
    node.place_what_is_new()
    shared = world.topology.online - node.owned
    decisions = sorted(node.decisions.values(), key=lambda one: (one.namespace, one.name, one.uid))
    gone = world.lingering - {pod.uid for pod in pods}
    after = Ledger(node.entries, protections(pods, ledger.protections, gone))
    return Plan(after, tuple(decisions), shared - world.topology.isolated)


def _apart(world: World) -> CpuSet:
    """CPUs in no shared pool of pods."""
    strict = CpuOption.STRICT_CPU_RESERVATION in world.policy.cpu_options
    return world.topology.isolated | (world.policy.reserved if strict else CpuSet())


def _age(pod: Pod) -> tuple[bool, str, PodUid]:
    """Who has not started yet comes last."""
    return not pod.started_at, pod.started_at, pod.uid


def _requested(pod: Pod) -> int:
    """The millicpu that the scheduler counted for *pod*."""
    if pod.resources and not pod.resources_from_annotations:
        return pod.resources.requests.get(CPU, 0)
    return together((one.kind, one.requests.get(CPU, 0)) for one in pod.containers)


@dataclass(frozen=True, slots=True)
class _Turn:
    """A pod, and what it is to get."""

    pod: Pod
    want: Wanted
    claim: CpuSet = CpuSet()
    """What it owned and may keep."""


class _Change(NamedTuple):
    turn: _Turn
    held: PodEntry


_T = TypeVar("_T")


def _refused_in_the_end(
    waiting: Sequence[_T], attempt: Callable[[Sequence[_T]], list[tuple[_T, NotPlaced]]]
) -> list[tuple[_T, NotPlaced]]:
    """Attempt all, and those that were refused again, until nothing more succeeds: one may make room for another.

    Else the next plan, with nothing changed, would differ from this one.
    """
    while waiting:
        refused = attempt(waiting)
        if len(refused) == len(waiting):
            return refused
        waiting = [one for one, _ in refused]
    return []


class _Node:
    """One planning of the node, while it is under way."""

    def __init__(self, world: World, ledger: Ledger) -> None:
        self._world = world
        self._usable = world.topology.online - world.policy.reserved
        self._before = ledger.entries
        self._books = empty_books(world.topology, world.policy.reserved_memory)
        self._to_book: list[Block] = []
        self._changing: list[_Change] = []
        self._new: list[_Turn] = []
        self._owed: dict[PodUid, int] = {}
        """Millicpu requested by pods that run in the node shared pool, or by those containers of theirs that do."""
        self.owned = CpuSet()
        self.entries: dict[PodUid, PodEntry] = {}
        self.decisions: dict[PodUid, Decision] = {}

    def keep_what_stands(self, pods: Iterable[Pod]) -> None:
        """Who is gone gives back what it owned; who fits keeps it; the others have their turn later."""
        known = {pod.uid for pod in pods}
        for uid in self._world.lingering - known:
            if uid in self._before:
                self._own(self._before[uid])
        for pod in pods:
            want = shared_out(pod, wanted(pod, self._world.policy))
            held = self._before.get(pod.uid)
            if held is None:
                found = want.anything and pod.uid in self._world.found_running
                self._sort_in_new(_Turn(pod, want.without_memory({}) if found else want))
                continue
            may_own = self._usable - self.owned
            fit = standing(pod, want, held, may_own)
            if fit is Standing.FITS:
                self._stays(_Turn(pod, want), held, want.refused)
            elif fit is Standing.CHANGES:
                turn = _Turn(pod, want, held.owned & may_own)
                self._claim(turn, held)
                self._changing.append(_Change(turn, held))
            else:
                self._sort_in_new(_Turn(pod, want))

    def adjust_what_changes(self) -> None:
        """Resize; and where CPUs were lost, put others in their place, or take the pod's all anew."""
        where_it_is = _refused_in_the_end(self._changing, self._adjusted)
        anywhere = _refused_in_the_end([change for change, _ in where_it_is], self._moved)
        for (turn, held), not_placed in anywhere:
            self._unclaim(turn, held)
            self._stays_as_it_can(turn, held, not_placed)

    def _adjusted(self, changing: Sequence[_Change]) -> list[tuple[_Change, NotPlaced]]:
        return [(change, refused) for change in changing if (refused := self._attempt(change, change.held))]

    def _moved(self, changing: Sequence[_Change]) -> list[tuple[_Change, NotPlaced]]:
        """A change that was asked for moves nobody; only who lost CPUs is taken anew, its memory where it is."""
        refused = []
        for change in changing:
            not_placed = self._attempt(change, change.held)
            if not_placed and change.turn.claim != change.held.owned:
                gone = tuple(replace(one, cpus=CpuSet()) for one in change.held.containers)
                not_placed = self._attempt(change, replace(change.held, cpus=CpuSet(), containers=gone))
            if not_placed:
                refused.append((change, not_placed))
        return refused

    def _attempt(self, change: _Change, around: PodEntry) -> NotPlaced | None:
        self._unclaim(change.turn, change.held)
        answer = self._place(change.turn, around)
        if isinstance(answer, Placed):
            self._settle(change.turn, answer)
            return None
        self._claim(change.turn, change.held)
        return answer

    def place_what_is_new(self) -> None:
        for turn, not_placed in _refused_in_the_end(self._new, self._placed):
            self._shares(turn, Outcome.SHARED, not_placed.refused, not_placed.hints)

    def _placed(self, new: Sequence[_Turn]) -> list[tuple[_Turn, NotPlaced]]:
        """Nothing is owed to a pod that may yet be placed; to one that was refused, by those that come after it."""
        for turn in new:
            self._owed.pop(turn.pod.uid, None)
        refused = []
        for turn in new:
            answer = self._place(turn)
            if isinstance(answer, Placed):
                self._settle(turn, answer)
            else:
                self._owe(turn.pod, None)
                refused.append((turn, answer))
        return refused

    def _sort_in_new(self, turn: _Turn) -> None:
        """Only what could be placed is a candidate: the requests of the others count from the start."""
        if turn.want.refused:
            self._shares(turn, Outcome.SHARED, turn.want.refused)
        elif turn.pod.deleting:
            late = replace(turn.want, because="it is being deleted, and nothing is taken for it any more")
            self._shares(replace(turn, want=late), Outcome.UNMANAGED)
        elif not turn.want.anything:
            self._shares(turn, Outcome.UNMANAGED)
        else:
            self._new.append(turn)

    def _place(self, turn: _Turn, held: PodEntry | None = None) -> Placed | NotPlaced:
        vacant = Vacant(
            self._world.topology,
            self._usable,
            self.owned,
            self._all_booked(),
            _apart(self._world),
            self._owed_cpus(),
            self._devices(turn),
        )
        return place(turn.pod, turn.want, vacant, held)

    def _devices(self, turn: _Turn) -> Mapping[str, NodeSet]:
        devices, name = self._world.devices, turn.want.near_device
        own = devices.get(own_device(turn.pod.uid, name)) if name else None
        return devices if own is None or name is None else {**devices, name: own}

    def _owed_cpus(self) -> int:
        policy = self._world.policy
        if not policy.rules.shared_pool_kept:
            return 0
        return max(policy.min_shared_cpus, -(-sum(self._owed.values()) // 1000))

    def _own(self, entry: PodEntry) -> None:
        self.entries[entry.uid] = entry
        self.owned |= entry.owned
        self._to_book += entry.booked

    def _claim(self, turn: _Turn, held: PodEntry) -> None:
        """What a pod had is nobody else's until it has had its turn."""
        self.owned |= turn.claim
        self._to_book += held.booked

    def _unclaim(self, turn: _Turn, held: PodEntry) -> None:
        self.owned -= turn.claim
        self._books = self._all_booked().released(held.booked)

    def _all_booked(self) -> Books:
        """The books of now: what stands is booked in one go."""
        if self._to_book:
            self._books, self._to_book = self._books.booked(self._to_book), []
        return self._books

    def _owe(self, pod: Pod, entry: PodEntry | None) -> None:
        """Nothing to a pod that asks for more than pods may have here at all: the kubelet never lets it run."""
        owned = 1000 * len(entry.owned) if entry else 0
        requested = _requested(pod)
        self._owed[pod.uid] = max(0, requested - owned) if requested <= 1000 * len(self._usable) else 0

    def _settle(self, turn: _Turn, placed: Placed) -> None:
        self._own(placed.entry)
        self._owe(turn.pod, placed.entry)
        outcome = Outcome.DEGRADED if placed.missing else Outcome.PINNED
        self._decide(turn, outcome, placed.entry, placed.missing, placed.hints)

    def _stays(self, turn: _Turn, held: PodEntry, refused: Refused | None, hints: tuple[HintWeighed, ...] = ()) -> None:
        """The pod has what it *held*; *refused* is the change that it asked for."""
        self._settle(turn, Placed(held, hints, refused or missing_of(turn.want, self._world.topology, held)))

    def _stays_as_it_can(self, turn: _Turn, held: PodEntry, not_placed: NotPlaced) -> None:
        """A change that cannot be had changes nothing; who lost CPUs and finds no others keeps what is left."""
        if turn.claim == held.owned:
            self._stays(turn, held, not_placed.refused, not_placed.hints)
        elif left := surviving(turn.pod, held, turn.claim):
            self._settle(turn, Placed(left, not_placed.hints, not_placed.refused))
        else:
            self._shares(turn, Outcome.SHARED, not_placed.refused, not_placed.hints)

    def _shares(
        self, turn: _Turn, outcome: Outcome, refused: Refused | None = None, hints: tuple[HintWeighed, ...] = ()
    ) -> None:
        self._owe(turn.pod, None)
        self._decide(turn, outcome, None, refused, hints)

    def _decide(
        self,
        turn: _Turn,
        outcome: Outcome,
        entry: PodEntry | None,
        refused: Refused | None,
        hints: tuple[HintWeighed, ...],
    ) -> None:
        self.decisions[turn.pod.uid] = Decision(
            turn.pod.uid,
            turn.pod.namespace,
            turn.pod.name,
            outcome,
            turn.want.regime,
            turn.want.because,
            turn.want.cpus,
            entry.cpus if entry else CpuSet(),
            entry.mems if entry else NodeSet(),
            hints,
            refused,
            (*turn.pod.notes, *turn.want.traps, *_pending(turn.pod)),
        )


def _pending(pod: Pod) -> tuple[str, ...]:
    if not pod.resize_pending:
        return ()
    word = pod.resize_pending.lower()
    return (f"a resize is asked for and {word}: what the pod owns follows once the kubelet has allocated it",)
