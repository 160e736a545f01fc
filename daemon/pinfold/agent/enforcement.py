"""A ledger made true in the kernel: look, order the writes, put on disk what they will replace, write, look again.

What to write is decided in ``cgroups``; here it is done, in an order that survives a crash after any step.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol, Self

from pinfold.cgroups import tasks, watch
from pinfold.cgroups.capability import Capability, capability, may_administer
from pinfold.cgroups.executor import Outcome, Result, execute
from pinfold.cgroups.files import CgroupError, Cgroupfs
from pinfold.cgroups.found import Found, from_text, noted, overlooked, refreshed, to_text
from pinfold.cgroups.held import CpusetState, Held, held
from pinfold.cgroups.known import Known, Stirred
from pinfold.cgroups.layout import Enforcement, Layout, Node
from pinfold.cgroups.lost import Mending, are_lost, mend, searched
from pinfold.cgroups.migration import pending, size_bytes
from pinfold.cgroups.numa_stat import FILE as NUMA_STAT
from pinfold.cgroups.numa_stat import Bytes, used
from pinfold.cgroups.paths import ROOT, CgroupPath, File
from pinfold.cgroups.protocol import ordered
from pinfold.cgroups.starts import has_run
from pinfold.cgroups.tasks import Bounds, RootTasks, bindings, bounds
from pinfold.cgroups.tree import Driver, NoTree, PodCgroup, Tree, discover
from pinfold.cgroups.verify import Drift, verify
from pinfold.cgroups.wanted import wanted
from pinfold.cgroups.writes import Write
from pinfold.config import CgroupDriver, Config, Exclusivity, reserved_cpus
from pinfold.cpuset import CpuSet
from pinfold.interrupts import affinities
from pinfold.interrupts.affinities import Moves
from pinfold.planning.ledger import Ledger
from pinfold.planning.policy import CpuOption
from pinfold.pods.model import PodUid
from pinfold.state import Checkpoint
from pinfold.topology.model import Topology

ROUNDS = 4
"""How often the writes are ordered anew after a refusal, before the rest is left to the next reconcile."""

_ASKED = {
    Exclusivity.AUTO: None,
    Exclusivity.PARTITION: Enforcement.PARTITION,
    Exclusivity.SHRINK: Enforcement.SHRINK,
}


@dataclass(frozen=True, slots=True)
class Kept:
    """What a release gives back: to be on disk before it is taken."""

    files: Found = field(default_factory=dict)
    tasks: Bounds = field(default_factory=dict)
    irqs: Moves = field(default_factory=dict)

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Self:
        """Raises ValueError where it makes no sense."""
        return cls(
            from_text(checkpoint.found), tasks.from_text(checkpoint.tasks), affinities.from_text(checkpoint.irqs)
        )

    def into(self, checkpoint: Checkpoint) -> Checkpoint:
        return replace(
            checkpoint,
            found=to_text(self.files),
            tasks=tasks.to_text(self.tasks),
            irqs=affinities.to_text(self.irqs),
        )


@dataclass(frozen=True, slots=True)
class Enforced:
    """What came of it."""

    node: Node
    """As it was read after the last write."""
    kept: Kept
    """As it is on disk."""
    layout: Layout
    outcomes: tuple[Outcome, ...]
    drift: tuple[Drift, ...]
    """What still differs."""
    overwritten: bool = False
    """Somebody else wrote meanwhile, so that no refusal is believed: the rest was left for the next turn."""
    gave_way: bool = False
    """The rest was left for the next turn, which comes at once."""
    hidden_tasks: bool = False
    """Tasks in the root cgroup that cannot be kept off the pools, since their PIDs are not visible."""

    @property
    def is_cut_short(self) -> bool:
        return self.overwritten or self.gave_way

    def count(self, result: Result) -> int:
        return sum(outcome.result is result for outcome in self.outcomes)


class NodeFs(Mending, Protocol):
    """`files.Cgroupfs`, or what wraps it."""

    def made_at(self, paths: Collection[CgroupPath], /) -> Mapping[CgroupPath, float]: ...

    def close(self) -> None: ...


class NodeCgroups:
    """This node's cgroup tree, as the configuration says where it is and how pools are held."""

    def __init__(
        self, config: Config, fs: NodeFs | None = None, runs: Callable[[CgroupPath], bool] | None = None
    ) -> None:
        """*runs*: whether a container's program does. Raises CgroupError where cgroup2 is not mounted as configured."""
        self.fs: NodeFs = fs or Cgroupfs(Path(config.cgroup_mount))
        self.has_run = runs or partial(has_run, self.fs)
        self._config = config
        self._is_strict = config.cpu_manager_policy_options.get(CpuOption.STRICT_CPU_RESERVATION, False)
        self._root = config.cgroup_root
        self._driver = None if config.cgroup_driver is CgroupDriver.AUTO else Driver(config.cgroup_driver)
        self._asked = _ASKED[config.exclusivity]
        self._may_administer = may_administer()
        self._tasks = RootTasks(self.fs)
        self.known = Known(self.fs)
        self._tree: Tree | NoTree | None = None
        self._laid_out: tuple[tuple[Node, Ledger, CpuSet], Layout] | None = None

    def close(self) -> None:
        self.fs.close()

    def discover(self) -> Tree | NoTree:
        if self._tree is None or self.known.relisted:
            self.known.relisted = False
            self._tree = discover(self.known, self._root, self._driver)
        return self._tree

    def glance(self, ledger: Ledger) -> None:
        """Have the next look find what changed without a word."""
        pods = self._tree.pods if isinstance(self._tree, Tree) else {}
        self.known.glance({pods[uid].path for uid in ledger.entries if uid in pods})

    def capability(self, held: Held) -> Capability:
        return capability(held, may_administer=self._may_administer, asked=self._asked)

    def taken_up(self, node: Node, pods: Collection[PodCgroup]) -> Node:
        """*node* with what the cgroups of *pods* were given and nobody noted: a pod's own only by shrinking."""
        paths = [one.path for pod in pods for one in pod.containers]
        paths += [pod.path for pod in pods if node.enforcement is Enforcement.SHRINK]
        states = {**node.held, **held(self.fs, (path for path in paths if path not in node.held))}
        return replace(node, held=states, found=overlooked(node.found, paths, states))

    def cpus_effective(self, path: CgroupPath) -> CpuSet:
        """Where the kernel lets it run now; none where it is gone."""
        return CpuSet.parse(self.fs.read(path, File.CPUS_EFFECTIVE) or "")

    def memory(self, tree: Tree, ledger: Ledger) -> dict[PodUid, Bytes]:
        """Where the memory of the pods of *ledger* lies: some kilobytes of text a pod, so not at every turn."""
        pods = (tree.pods[uid] for uid in ledger.entries if uid in tree.pods)
        return {pod.uid: used(self.fs.read(pod.path, NUMA_STAT) or "") for pod in pods}

    def _reserved(self, topology: Topology) -> CpuSet:
        return reserved_cpus(self._config, topology) if self._is_strict else CpuSet()

    def look(
        self,
        tree: Tree,
        ledger: Ledger,
        topology: Topology,
        found: Found,
        names: Mapping[str, str],
        refused: frozenset[PodUid] = frozenset(),
    ) -> Node:
        """Read everything that a layout depends on, as far as it may have changed."""
        owners = [path for uid in ledger.entries if uid in tree.pods for path in tree.pods[uid].paths]
        known = self.known.held(watch.outer(tree), watch.inner(tree, ledger, found), owners)
        state = searched(self.fs, known, topology.online)
        return Node(
            tree=tree,
            held=state,
            found=refreshed(found, tree, state, topology),
            topology=topology,
            enforcement=self.capability(state).enforcement,
            names=names,
            reserved=self._reserved(topology),
            refused=refused,
        )

    def layout(self, node: Node, ledger: Ledger, node_shared: CpuSet) -> Layout:
        """What `wanted` says; where it was asked the same before, as at most timers, what it said then."""
        asked = node, ledger, node_shared
        if self._laid_out is None or self._laid_out[0] != asked:
            self._laid_out = asked, wanted(*asked)
        return self._laid_out[1]

    def enforce(
        self,
        node: Node,
        ledger: Ledger,
        node_shared: CpuSet,
        layout: Layout,
        kept: Kept,
        commit: Callable[[Kept], None],
        written: Callable[[], None] = lambda: None,
        gives_way: Callable[[], bool] = lambda: False,
        wrote: Callable[[Write], None] = lambda _: None,
    ) -> Enforced:
        """Make *ledger* true, which is *layout* as things are now; *kept* is what is on disk.

        *commit* puts on disk what is about to be replaced; where it raises, nothing has been written yet. *wrote* is
        called after each write, *written* between the writes and the look at what came of them. Where this *gives way*,
        the rest of the writes is left: after each of them all promises hold.
        """
        outcomes: tuple[Outcome, ...] = ()
        bound, overwritten, gave_way = kept.tasks, False, False
        if are_lost(node.held) and (ledger.entries or node.found):
            commit(replace(kept, files=node.found))
            with suppress(CgroupError):  # what is still lost afterwards is told as drift
                mend(self.fs, node.held[ROOT].lost)
            written()
            self.known.stir(Stirred(everywhere=True))
            node = self.look(node.tree, ledger, node.topology, node.found, node.names, node.refused)
            layout = self.layout(node, ledger, node_shared)
        for _ in range(ROUNDS):
            node = self._weighed(node, layout)
            writes = ordered(node.held, layout)
            node = replace(node, found=noted(node.found, node.held, writes))
            shared = layout.shared if layout.shrunk else None
            held = self._tasks.look() if layout.shrunk or bound else {}
            after = bounds(held, bound, shared)
            masks = bindings(held, bound, after)
            going = {task: bound[task] for task in masks if task in bound}
            kept = replace(kept, files=node.found, tasks={**going, **after})
            commit(kept)
            self._tasks.bind({task: (cpus & held[task]) or cpus for task, cpus in masks.items()})
            done = execute(writes, self.fs, gives_way, wrote)
            gave_way = len(done) < len(writes)
            self.known.wrote(done)
            if not gave_way:
                self._tasks.bind(masks)  # what widens comes last: the CPUs are nobody else's by now
            bound = after
            if not writes:
                break
            outcomes += done
            written()
            before = node.held
            node = self.look(node.tree, ledger, node.topology, node.found, node.names, node.refused)
            if (overwritten := _overwritten(layout, before, done, node.held)) or gave_way:
                break
            node = replace(node, refused=node.refused | _refused(done, node))
            layout = self.layout(node, ledger, node_shared)
        drift = verify(layout, node.held, node.topology.online)
        hidden = layout.shrunk and self._tasks.hidden
        return Enforced(node, kept, layout, outcomes, drift, overwritten, gave_way, hidden)

    def _weighed(self, node: Node, layout: Layout) -> Node:
        """*node* with what those use by now whose memory nodes are to change: memory grows without a word.

        Where that is too much to migrate at once, only what lies elsewhere counts: so nodes that somebody reset are
        written again, however large the pod.
        """
        moving = [
            path
            for path, want in layout.wants.items()
            if want.mems is not None and path in node.held and want.mems != node.held[path].mems
        ]
        if not moving:
            return node
        now = {**node.held, **held(self.fs, moving)}
        sizes = {write.path: size_bytes(self.fs, write) for write in pending(layout, now)}
        weighed = {path: _moving(node.held[path], now[path], sizes.get(path)) for path in moving}
        return replace(node, held={**node.held, **weighed})


def _moving(looked: CpusetState, now: CpusetState, moves_bytes: int | None) -> CpusetState:
    """What a change of memory nodes moves *now*; else as it was *looked* at, which what a release gives back is of."""
    return replace(
        looked,
        populated=now.populated,
        mems_effective=now.mems_effective,
        memory_bytes=now.memory_bytes if moves_bytes is None else moves_bytes,
    )


def _refused(done: Iterable[Outcome], node: Node) -> set[PodUid]:
    """Pods that the kernel makes no partition for. One that stands is not given up because it may not change now."""
    stand = {
        uid
        for uid, pod in node.tree.pods.items()
        for path in (pod.path, *(container.path for container in pod.containers))
        if path in node.held and node.held[path].is_partition
    }
    return {
        one.write.pod
        for one in done
        if one.result is Result.REFUSED
        and one.write.file in {File.EXCLUSIVE, File.PARTITION}
        and one.write.pod
        and one.write.pod not in stand
    }


def _overwritten(layout: Layout, before: Held, done: Iterable[Outcome], after: Held) -> bool:
    """Whether somebody wrote to one of our files while *done* turned *before* into *after*.

    A partition that is none says ``invalid`` where the kernel refused it, and ``member`` where somebody unmade it.
    """
    left = {
        (path, file): text
        for path, want in layout.wants.items()
        for file in want.texts().keys() - {File.PARTITION}
        if path in before and (text := before[path].text(file)) is not None
    }
    for one in done:
        place = one.write.path, one.write.file
        if one.result is Result.DONE:
            left[place] = one.write.value
        elif one.result is Result.REFUSED and not one.errno and _is_unmade(after.get(one.write.path)):
            return True
    return any(path in after and after[path].text(file) != text for (path, file), text in left.items())


def _is_unmade(state: CpusetState | None) -> bool:
    return state is not None and "invalid" not in (state.partition or "")
