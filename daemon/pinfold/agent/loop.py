"""The loop: one thread that sleeps until something rings, and then makes the node as the plan wants it.

Sources only ring; what to do is decided in the core; here they meet. An error in one turn is told and counted, and
the next turn begins anew from what the kernel holds: pods go on as they are.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import structlog

from pinfold.agent.beside import Beside
from pinfold.agent.books import Books
from pinfold.agent.chronicle import Chronicle
from pinfold.agent.deciding import Deciding
from pinfold.agent.decision import Made
from pinfold.agent.enforcement import Enforced, Kept, NodeCgroups
from pinfold.agent.fights import Fights
from pinfold.agent.handover import Handover
from pinfold.agent.irqs import Irqs
from pinfold.agent.machine import Machine
from pinfold.agent.narrowing import Narrowing
from pinfold.agent.outbox import Outbox
from pinfold.agent.patience import QUIET_S
from pinfold.agent.publishing import Picture
from pinfold.agent.sources import Sources
from pinfold.agent.view import View, active
from pinfold.agent.witness import Witness
from pinfold.cgroups import watch
from pinfold.cgroups.files import CgroupError
from pinfold.cgroups.found import narrowed
from pinfold.cgroups.known import Stirred
from pinfold.cgroups.layout import Enforcement, Kind, Layout, Node
from pinfold.cgroups.newborns import Standing
from pinfold.cgroups.newcomers import Newcomers, promises
from pinfold.cgroups.partitions import held_by_others
from pinfold.cgroups.paths import ROOT, CgroupPath, File
from pinfold.cgroups.tree import NoTree, Tree
from pinfold.cgroups.verify import Drift, verify
from pinfold.cgroups.writes import Write
from pinfold.config import Config
from pinfold.errors import PinfoldError
from pinfold.interrupts.affinities import Moves
from pinfold.interrupts.guard import Guard
from pinfold.planning.ledger import Ledger
from pinfold.planning.planner import Plan, World, plan
from pinfold.pods.model import PodUid
from pinfold.report import systemd
from pinfold.report.alone import Alone
from pinfold.report.snapshot import Mode, Snapshot
from pinfold.sources.kubelet_state import Peace
from pinfold.sources.wakeup import Timer
from pinfold.state import StateDirectory, StateError

RETRY_S = 60.0
"""A partition that the kernel refused is tried again after so long."""
HIDDEN_TASKS = (
    "tasks in the root cgroup may run on pools: their PIDs are not visible here, and no partition keeps them off. "
    "Run Pinfold with hostPID."
)
TURNS = 5
"""How often a turn that found new cgroups to watch is followed by another at once."""

log = structlog.get_logger()


class Agent:
    """One node's loop. Raises PinfoldError when made, where it cannot work at all."""

    def __init__(
        self,
        config: Config,
        state: StateDirectory,
        cgroups: NodeCgroups | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        guard: Guard | None = None,
    ) -> None:
        self._clock, self._now = clock, now
        self._machine = Machine(config)
        self._cgroups = cgroups or NodeCgroups(config)
        self._chronicle = Chronicle(now)
        self._books = Books(state)
        if self._books.fault:
            self._chronicle.failed(self._books.fault)
        self._is_first = not self._books.checkpoint.generation
        """No Pinfold looked after this node before, as far as it is known."""
        self._managed = frozenset(self._books.checkpoint.ledger.entries)
        """By the process before."""
        copy = config.sources.kubelet.import_state
        imported = Path(copy) if copy and self._is_first and not self._books.is_lost else None
        self._handover = Handover(Path(config.sources.kubelet.root_dir), imported)
        self._view: View | None = None
        self._heard: Tree | None = None
        """What rings when it changes."""
        self._layout = Layout()
        self._newcomers = Newcomers()
        self._witness = Witness(self.cgroup_files, clock=clock)
        self._narrowing = Narrowing(self._cgroups.fs, self._cgroups.has_run, Path(config.cgroup_mount), now)
        self._irqs = Irqs(config.irq_guard, guard)
        self._due = False
        """The timer rang: look at what may have changed without a ring."""
        self._left: set[tuple[CgroupPath, File]] = set()
        """What the last turn did not come to write, since a pod came that it had not decided on."""
        self._refused_at: dict[PodUid, float] = {}
        self._look_at_s = float("inf")
        """When the next turn is due though nothing rings."""
        self._peace: Peace | None = None
        self._turned_at = clock()
        self._interrupted = threading.Event()
        self.sources = Sources(config)
        self._cgroups.known.listens = self.sources.listens
        self._beside = Beside(config, self._cgroups, self.sources.wakeup.wake)
        self._outbox = Outbox(self.sources.server, config, clock, now, self._books.checkpoint.ledger.entries)
        self._fights = Fights(self._chronicle, self._outbox)
        self._deciding = Deciding(
            *(self.sources, self._cgroups, self._machine, self._books),
            *(self._handover, self._chronicle, self._outbox, self._beside),
        )
        self._picture = Picture(
            *(self._machine, self.sources, self._chronicle, self._outbox, self._handover, self._beside),
            *(self._deciding, self._fights, self._witness, self._cgroups.capability({}), now),
        )

    # Read from other threads: each gives one immutable value.

    @property
    def config(self) -> Config:
        """With what was taken over from the kubelet."""
        return self._machine.config

    def snapshot(self) -> Snapshot | None:
        """The newest picture; None before the first turn is done."""
        return self._picture.snapshot

    @property
    def decision(self) -> Made | None:
        """The last one that changed something."""
        return self._deciding.last

    def heartbeat_age_s(self) -> float:
        """Since the loop last turned."""
        return self._clock() - self._turned_at

    def cgroup_files(self, cgroup: str, files: tuple[str, ...]) -> Mapping[str, str]:
        """What the kernel has in them now; nothing of what is not there or cannot be read."""
        try:
            return self._cgroups.fs.read_all(CgroupPath(cgroup), files)
        except CgroupError:
            return {}

    def alone(self) -> tuple[Alone, ...]:
        """What ran on exclusive CPUs until now."""
        return self._witness.measured()

    def interrupt(self) -> None:
        """Have `run` return after this turn; from a signal handler too. Pins stay."""
        self._interrupted.set()
        self.sources.wakeup.wake()

    def run(self) -> None:
        """Turn until interrupted."""
        self._narrowing.start()
        period_s = self.config.cpu_manager_reconcile_period
        timer = Timer(period_s, self._clock() + period_s)
        while not self._interrupted.is_set():
            for _ in range(TURNS):
                if not self.reconcile():
                    break
            systemd.notify("READY=1", "WATCHDOG=1")
            self._sleep(timer)
            if timer.due(self._clock()):
                self.sources.refresh()
                self._due = True
                timer = timer.restarted(self._clock())
        self._interrupted.clear()

    def _sleep(self, timer: Timer) -> None:
        """Until something rings, the period is over, or something is to be looked at again."""
        end_s = min(timer.due_at_s, self._look_at_s)
        patience = self._fights.patience
        longest_s = min(QUIET_S if patience.muted else float("inf"), systemd.watchdog_s() / 2)
        stirred = self.sources.first_writes.since(patience.muted)
        while not self._interrupted.is_set() and (left_s := end_s - self._clock()) > 0:
            if self.sources.wait(min(left_s, longest_s)):
                return
            systemd.notify("WATCHDOG=1")
            heard = self.sources.first_writes.since(patience.muted)
            stirred |= heard
            if patience.is_due(self._clock() - self._turned_at, stirred=stirred, quiet=not heard):
                return

    def close(self) -> None:
        self._outbox.close()
        self._beside.close()
        self._narrowing.close()
        self.sources.close()
        self._irqs.close()
        self._cgroups.close()

    def reconcile(self) -> bool:
        """One turn; whether another should follow at once."""
        again = False
        self._look_at_s = float("inf")
        try:
            again = self._turn(self._clock())
            self._due = False
            if self._books.unsaved:
                self._picture.failed(self._books.unsaved)
        except PinfoldError as error:
            log.error("reconcile.failed", reason=str(error))
            self._failed(error)
        except Exception as error:
            log.exception("reconcile.failed", reason=repr(error))
            self._failed(error)
        self._turned_at = self._clock()
        return again

    def _failed(self, error: Exception) -> None:
        self._picture.failed(error)
        self._outbox.evict((), ())  # who is to be evicted is not known any more

    def _turn(self, began: float) -> bool:
        if not self.sources.ready:
            return False
        self._cgroups.known.stir(self.sources.stirred())
        if self._due:
            self._cgroups.glance(self._books.checkpoint.ledger)
        if self.sources.hotplugged() or (self._due and self._machine.is_changed()):
            self._cgroups.known.stir(Stirred(everywhere=True))
            self._machine.reread()
        if (told := self.sources.kubelet_config) is not self._machine.kubelet:
            self._machine.hear(told)
        pods, invalid = self.sources.pods()
        self._chronicle.invalid(invalid)
        tree = self._discovered()
        if isinstance(tree, NoTree):
            world = World(self._machine.topology, self._machine.policy, active(pods))
            decided = plan(world, self._books.checkpoint.ledger)
            self._picture.publish(began, pods, invalid, decided, {}, Mode.OBSERVING, tree.message)
            again = bool(self.sources.watch({ROOT}))
            self._cgroups.known.hear(self.sources.heard, self.sources.listed)
            return again
        names, view = self.sources.naming.names(tree, pods), self._view
        if view is None or (view.pods, view.tree, view.names) != (pods, tree, names):
            view = self._view = View(pods, invalid, tree, names, self.sources.objects)
        known = view.by_uid.keys()
        self.sources.seen(tree.pods.keys(), known)
        self._newcomers = self._newcomers.met(tree, known, self._cgroups.fs.made_at, self._now(), first=self._is_first)
        self._take_narrowed(view)
        found = self.sources.peace()
        peace = self._peace = found if found.certain else self._peace
        unclear = self._books.is_lost or (self._handover.pending and peace is not None and peace.cpusets)
        if peace is None or (unclear and not self.sources.synced):
            return False  # whose the cpusets are, or whose a pin is, is not known yet: all stays as it is
        if peace.cpusets:
            own = decided = self._deciding.decide(view, peace)
        else:
            own = Plan(Ledger(), (), self._machine.topology.online)
            machine = self._machine
            decided = self._handover.observe(active(pods), machine.policy, machine.topology, machine.kubelet)
        self._newcomers = self._newcomers.decided(own.ledger, self._now())
        if own.ledger != self._books.checkpoint.ledger:  # newcomers first: the look at the whole node takes longer
            self._commit(view, own, began)
            self._narrowing.decided(Standing(tree, own.ledger, view.names, self._layout.room & own.node_shared))
        enforced = self._enforce(view, own, began)
        self._books.is_lost = False
        self._handover.taken()
        self._chronicle.reconciled(self._clock() - began, enforced)
        self._outbox.evict(own.decisions, pods)
        mode = Mode.ENFORCING if peace.cpusets else Mode.OBSERVING
        node = enforced.node
        if not peace.cpusets:
            node = self._cgroups.look(tree, decided.ledger, self._machine.topology, self._books.kept.files, view.names)
        kernel = self._picture.showing.view(node, enforced.drift)
        self._picture.capability = self._cgroups.capability(enforced.node.held)
        if self._due or self._picture.snapshot is None:
            self._picture.memory = self._cgroups.memory(tree, decided.ledger)
        self._picture.publish(began, pods, invalid, decided, kernel, mode, peace.reason)
        return self._listen(tree, decided.ledger)

    def _commit(self, view: View, own: Plan, began: float) -> None:
        """Raises StateError; what stood before is then kept to, nothing else is."""
        try:
            self._books.committing(own.ledger)(self._books.kept)
        except StateError:
            if not self._books.is_lost:
                stands = self._books.checkpoint.ledger
                self._enforce(view, Plan(stands, (), self._machine.topology.online - stands.owned), began)
            raise

    def _discovered(self) -> Tree | NoTree:
        """Listened to before anything of it is read: so what is read is kept until it rings."""
        tree = self._cgroups.discover()
        if isinstance(tree, Tree) and tree is not self._heard and self._listen(tree, self._books.checkpoint.ledger):
            tree = self._cgroups.discover()
        return tree

    def _listen(self, tree: Tree, ledger: Ledger) -> bool:
        """Have what changes in the cgroups ring; whether more of some is heard than before, so that they are looked
        at once more."""
        watched = watch.watched(tree, ledger, self._books.kept.files, self._picture.capability.enforcement)
        partitions = {path for path, want in self._layout.wants.items() if want.partition not in {None, Kind.MEMBER}}
        again = self.sources.watch(watched, self._fights.patience.muted, partitions)
        self._cgroups.known.hear(self.sources.heard, self.sources.listed)
        self._heard = tree
        return again

    def _was_too_early(self, path: CgroupPath) -> bool:
        """Whether a container's program runs that was not narrowed before, beside the loop."""
        return self._cgroups.has_run(path) and not self._narrowing.was_in_time(path)

    def _take_narrowed(self, view: View) -> None:
        """What was written beside the loop is ours, and was in time or was not."""
        for one in self._narrowing.taken():
            path, value = one.newborn.path, str(one.newborn.cpus)
            self._books.kept = replace(self._books.kept, files=narrowed(self._books.kept.files, path, value))
            if one.is_confined or one.late:
                self._newcomers, late = self._newcomers.narrowed(one.newborn, one.seen_at, one.written_at, one.late)
                self._chronicle.started([late] if late else [], view.full_names)

    def _enforce(self, view: View, decided: Plan, began: float) -> Enforced:
        self._refused_at = {uid: at for uid, at in self._refused_at.items() if began - at < RETRY_S}
        refused, topology = frozenset(self._refused_at), self._machine.topology
        node = self._cgroups.look(view.tree, decided.ledger, topology, self._books.kept.files, view.names, refused)
        if not self._layout.wants:  # the first turn of this process: the one before may have died amid its work
            node = self._taken_up(node, view)
        layout = self._cgroups.layout(node, decided.ledger, decided.node_shared)
        unmade = verify(layout, node.held, topology.online)
        made = self._layout if unmade else Layout()  # what differs from that, others wrote
        differs = _places(verify(made, node.held, topology.online)) - self._left
        drifted = [one for one in unmade if (one.path, one.file) in differs]
        known = view.full_names
        promised = promises(node, decided.ledger, self._newcomers.waiting)
        standing = Standing(view.tree, decided.ledger, view.names, layout.room)
        passed = (path for path in self.sources.passed() if not self._narrowing.was_in_time(path))
        self._newcomers, late = self._newcomers.passed(passed, node, decided.ledger)
        self._newcomers, ended = self._newcomers.ended(view.pods, standing)
        self._chronicle.started([*late, *ended], known)
        save, looked = self._books.committing(decided.ledger), False

        def commit(kept: Kept) -> None:
            nonlocal looked
            save(kept)
            self._narrowing.decided(standing)
            if not looked:  # in a second round those who were late are confined already
                looked = True
                self._newcomers, late = self._newcomers.late(promised, node.held, self._was_too_early)
                self._chronicle.started(late, known)

        def written() -> None:
            self._newcomers = self._newcomers.written(promised, self._now())
            self.sources.overlook_writes()
            self._cgroups.known.stir(self.sources.stirred())

        def wrote(write: Write) -> None:
            effective = self._cgroups.cpus_effective
            self._newcomers = self._newcomers.wrote(write.path, promised, effective, self._was_too_early)

        enforced = self._cgroups.enforce(
            *(node, decided.ledger, decided.node_shared, layout, self._books.kept, commit, written),
            *(self.sources.has_newcomers, wrote),
        )
        self._left = _places(enforced.drift) if enforced.gave_way else set()
        self._narrowing.settled(standing)
        self._newcomers, confined, amid = self._newcomers.verified(
            promised, unmade, enforced.drift, self._was_too_early, self._now()
        )
        self._chronicle.started(amid, known)
        self._chronicle.confined(confined)
        contested = self._fights.seen(self.sources.written(), drifted, enforced, view, self._clock())
        self._chronicle.enforced(enforced, drifted, known, self._fights.patience.fought)
        # A partition that somebody unmakes while it is made is none that the kernel refuses.
        self._refused_at = {
            uid: self._refused_at.get(uid, began) for uid in enforced.node.refused if uid not in contested
        }
        self._look_at_s = min((at + RETRY_S for at in self._refused_at.values()), default=float("inf"))
        if enforced.is_cut_short and not self._fights.patience.muted:
            self._look_at_s = min(self._look_at_s, self._clock() + QUIET_S)
        self._go_on_beside(decided.ledger, enforced, drifted)
        self._spare(decided.ledger, save)
        self._layout = enforced.layout
        self._deciding.held_by_others = held_by_others(enforced.node)
        self._picture.hidden = (HIDDEN_TASKS,) if enforced.hidden_tasks else ()
        return enforced

    def _taken_up(self, node: Node, view: View) -> Node:
        """*node* with what containers were given beside the loop, and what the process that did it noted no more."""
        all_were = node.enforcement is Enforcement.SHRINK and not self._is_first  # kept off the pools, if not narrowed
        pods = [one for uid, one in view.tree.pods.items() if all_were or uid in self._managed]
        return self._cgroups.taken_up(node, pods)

    def _spare(self, ledger: Ledger, commit: Callable[[Kept], None]) -> None:
        """Keep interrupts off the CPUs that the configuration says."""

        def commit_moves(moves: Moves) -> None:
            commit(replace(self._books.kept, irqs=moves))

        if done := self._irqs.keep(ledger, self._machine.topology, self._books.kept.irqs, commit_moves, due=self._due):
            self._picture.guarded = done
            self._chronicle.guarded(done)

    def _go_on_beside(self, ledger: Ledger, enforced: Enforced, drifted: Iterable[Drift]) -> None:
        """What takes longer than a turn may: on disk first."""
        due = self._beside.due(enforced, self._books.checkpoint.properties)
        self._books.save(replace(self._books.kept, files=due.found), ledger, due.places)
        self._beside.ask(due, drifted)


def _places(drift: Iterable[Drift]) -> set[tuple[CgroupPath, File]]:
    return {(one.path, one.file) for one in drift}
