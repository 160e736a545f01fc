"""What the pods of the node are to get: the world as the planner sees it, and its plan, made anew where it differs."""

from collections.abc import Mapping
from dataclasses import replace

import structlog

from pinfold.agent.beside import Beside
from pinfold.agent.books import Books
from pinfold.agent.chronicle import Chronicle
from pinfold.agent.decision import Made
from pinfold.agent.enforcement import Kept, NodeCgroups
from pinfold.agent.handover import Handover
from pinfold.agent.machine import Machine
from pinfold.agent.outbox import Outbox
from pinfold.agent.rebuild import rebuilt
from pinfold.agent.sources import Sources
from pinfold.agent.view import View, active, near_device
from pinfold.cgroups.found import adopted, left_by_kubelet
from pinfold.cgroups.partitions import held_by_others
from pinfold.cgroups.paths import CgroupPath
from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import Ledger
from pinfold.planning.planner import Plan, World, plan
from pinfold.planning.policy import MemoryPolicy
from pinfold.pods.model import Pod, PodUid
from pinfold.sources.kubelet_state import Peace

log = structlog.get_logger()


class Deciding:
    def __init__(
        self,
        sources: Sources,
        cgroups: NodeCgroups,
        machine: Machine,
        books: Books,
        handover: Handover,
        chronicle: Chronicle,
        outbox: Outbox,
        beside: Beside,
    ) -> None:
        self._sources, self._cgroups, self._machine, self._books = sources, cgroups, machine, books
        self._handover, self._chronicle, self._outbox, self._beside = handover, chronicle, outbox, beside
        self.planned: tuple[World, Ledger, Plan] | None = None
        """The last plan, and what it was made of: the same makes the same."""
        self._known: tuple[tuple[object, ...], Plan] | None = None
        """The same by what that was made of, where all of it rings when it changes."""
        self.held_by_others: Mapping[CgroupPath, CpuSet] | None = None
        """CPUs that others have made partitions of; None: nobody has looked yet."""
        self.last: Made | None = None
        """The last decision that changed something; read from other threads too."""

    def decide(self, view: View, peace: Peace) -> Plan:
        """The plan for what the sources say now, told where it differs from the one before."""
        seen = (
            *(view.pods, view.invalid, view.tree, view.names, peace, self._sources.synced, self.held_by_others),
            *(self._machine.topology, self._machine.policy, self._books.checkpoint.ledger),
        )
        if self._known and self._known[0] == seen and not self._handover.pending:
            return self._known[1]
        ledger = self._standing(view)
        pods = active(view.pods)
        away = (ledger.entries.keys() | ledger.protections.keys()) - {pod.uid for pod in pods}
        world = self._world(view, peace, ledger, self._lingering(view, away))
        if self.planned and _is_answered(world, ledger, *self.planned):
            self._known = None if away or any(map(near_device, pods)) else (seen, self.planned[2])
            return self.planned[2]
        decided = self._chronicle.recalled(plan(world, ledger))
        self.planned = world, ledger, decided
        fresh = self._chronicle.decided(decided, ledger, self._books.checkpoint.ledger)
        if self.last is None or fresh or decided.ledger != ledger:
            self.last = Made.of(view.objects, world, ledger, decided)
        self._outbox.decided(fresh, self._chronicle.trapped(decided, world.pods), world.pods)
        return decided

    def _standing(self, view: View) -> Ledger:
        """Who owns what already: by the checkpoint, or as a kubelet leaves it, or as the kernel's pins tell."""
        ledger = self._handover.found(active(view.pods), self._machine.policy)
        if ledger is None:
            return self._books.checkpoint.ledger if not self._books.is_lost else self._rebuilt(view)
        node = self._cgroups.look(view.tree, ledger, self._machine.topology, {}, view.names)
        owners = (pod for uid, pod in view.tree.pods.items() if uid in ledger.entries)
        files = {**left_by_kubelet(owners, node.held), **self._books.kept.files}
        self._books.kept = replace(self._books.kept, files=files)
        return ledger

    def _lingering(self, view: View, away: set[PodUid]) -> frozenset[PodUid]:
        """Those of the pods that are *away*, and own something, to whom it stays."""
        tree, invalid = view.tree, {one.uid for one in view.invalid}
        told = {one.uid for one in view.pods}
        return frozenset(
            uid
            for uid in away
            if uid in invalid
            or (uid not in told and not self._sources.synced)
            or (uid in tree.pods and (state := self._cgroups.known.state(tree.pods[uid].path)) and state.populated)
        )

    def _world(self, view: View, peace: Peace, ledger: Ledger, lingering: frozenset[PodUid]) -> World:
        machine, pods = self._machine, active(view.pods)
        running = {pod.uid for pod in pods if pod.uid not in ledger.entries and view.runs(pod.uid)}
        stay = frozenset[PodUid]() if self._beside.moves_memory else frozenset(running)
        policy = machine.policy if peace.mems else replace(machine.policy, memory_policy=MemoryPolicy.NONE)
        devices = self._sources.devices(pods)
        pods = tuple(pod for pod in pods if pod.uid in ledger.entries or not view.awaits_device(pod, devices))
        if self.held_by_others is None:
            now = self._cgroups.look(view.tree, Ledger(), machine.topology, self._books.kept.files, view.names)
            self.held_by_others = held_by_others(now)
        others = CpuSet.union(self.held_by_others.values())
        whole = machine.topology.online <= others
        topology = machine.topology if whole else machine.topology.without(others)
        return World(topology, policy, pods, lingering, stay, devices)

    def _rebuilt(self, view: View) -> Ledger:
        """The ledger as the kernel's pins tell it."""
        tree, machine = view.tree, self._machine
        node = self._cgroups.look(tree, Ledger(), machine.topology, {}, view.names)
        self._books.kept = Kept(adopted(tree, node.held))
        pods: tuple[Pod, ...] = active(view.pods)
        world = World(machine.topology, machine.policy, pods, devices=self._sources.devices(pods))
        afresh = plan(world, Ledger())
        ledger = rebuilt(afresh.ledger, node, machine.topology.online - machine.policy.reserved)
        self._chronicle.moment("ledger.rebuilt", "", f"{len(ledger.entries)} pods kept what they had")
        log.warning("ledger.rebuilt", pods=len(ledger.entries))
        return ledger


def _is_answered(world: World, ledger: Ledger, asked: World, held: Ledger, answer: Plan) -> bool:
    """Whether *answer*, to *asked* where *held* stood, is the plan of *world* where *ledger* stands, too.

    A plan of what it left itself changes nothing. Whoever was found running, and is in the ledger since, stands.
    """
    if (world, ledger) == (asked, held):
        return True
    found = asked.found_running - answer.ledger.entries.keys()
    return ledger == answer.ledger and world == replace(asked, found_running=found)
