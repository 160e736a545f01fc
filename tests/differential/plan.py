"""What the model says will happen, as lines that a machine without our packages can read.

A sequence starts from a booted world with nothing but its tasks, in the root cgroup. Each of its steps carries the
errno's name (or nothing) and what changed since the step before.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from pinfold.cpuset import CpuSet, NodeSet
from tests.cpuset_model import Errno, FaultyState, Kernel, World

from .steps import Op, Step, observed, take

TASKS = ("t1", "t2", "t3", "t4")


@dataclass(frozen=True, slots=True)
class Bench:
    """The machine that a sequence starts on.

    *isolated* is what the root's cpuset.cpus.isolated reads then: 6.12 forgets a CPU of *isolcpus* when the partition
    that had it ends.
    """

    kernel: Kernel
    cpus: int = 8
    nodes: int = 2
    isolcpus: str = ""
    isolated: str = ""
    may_lose: bool = False
    """Whether steps may have a CPU belong to nobody."""

    def boot(self) -> World:
        world = World.boot(
            self.kernel,
            CpuSet.of(range(self.cpus)),
            NodeSet.of(range(self.nodes)),
            CpuSet.parse(self.isolcpus),
            CpuSet.parse(self.isolated),
            self.may_lose,
        )
        for task in TASKS:
            world.spawn(task)
        return world


@dataclass(slots=True)
class Sequence:
    """Steps with what the model expects of each."""

    bench: Bench
    start: dict[str, str]
    steps: list[Step] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    changes: list[dict[str, str | None]] = field(default_factory=list)

    def isolated(self) -> str:
        """What the root's cpuset.cpus.isolated reads at the end."""
        key = "|cpuset.cpus.isolated"
        return next(
            (text for change in reversed(self.changes) if (text := change.get(key)) is not None),
            self.start.get(key, ""),
        )

    def line(self) -> str:
        rows = zip((step.packed() for step in self.steps), self.outcomes, self.changes, strict=True)
        return json.dumps([self.start, list(rows)], separators=(",", ":"))


@dataclass(slots=True)
class Teller:
    """Takes steps in the model and keeps what came of them."""

    bench: Bench
    world: World = field(init=False)
    seen: dict[str, str] = field(init=False)
    sequence: Sequence = field(init=False)

    def __post_init__(self) -> None:
        self.world = self.bench.boot()
        self.seen = observed(self.world, TASKS)
        self.sequence = Sequence(self.bench, self.seen)

    def take(self, step: Step) -> Errno | None:
        """What the model answers. Raises FaultyState and takes nothing where *step* would enter one."""
        trial = self.world.copy()
        outcome = take(trial, step)
        now = observed(trial, TASKS)
        self.sequence.steps.append(step)
        self.sequence.outcomes.append(outcome.name if outcome else "")
        self.sequence.changes.append(_changes(self.seen, now))
        self.world, self.seen = trial, now
        return outcome

    def tear_down(self) -> None:
        """Back to a tree with nothing in it. Raises FaultyState."""
        for task in TASKS:
            if self.world.home(task):
                self.take(Step(Op.MOVE, task=task))
        for path in reversed(self.world.paths()):
            if path:
                self.take(Step(Op.RMDIR, path))
        for cpu in self.world.possible - self.world.active:
            self.take(Step(Op.ONLINE, text=str(cpu)))
        self.take(Step(Op.WRITE, file="cgroup.subtree_control", text="-cpuset"))
        for task in TASKS:
            self.take(Step(Op.AFFINITY, task=task, text=str(self.world.possible)))


def foretold(bench: Bench, steps: Iterable[Step]) -> Sequence:
    """What the model expects of *steps*. Those that would enter a faulty state are left out."""
    teller = Teller(bench)
    for step in steps:
        with suppress(FaultyState):
            teller.take(step)
    with suppress(FaultyState):
        teller.tear_down()
    return teller.sequence


def torn_down(bench: Bench, steps: list[Step]) -> Sequence:
    """As many of *steps*, none faulty, as can be torn down without a faulty state, and the tearing down."""
    for end in range(len(steps), 0, -1):
        teller = Teller(bench)
        for step in steps[:end]:
            teller.take(step)
        with suppress(FaultyState):
            teller.tear_down()
            return teller.sequence
    raise AssertionError("an empty tree cannot be torn down")


def _changes(before: dict[str, str], after: dict[str, str]) -> dict[str, str | None]:
    """What differs; None where something is gone."""
    gone: dict[str, str | None] = dict.fromkeys(before.keys() - after.keys())
    return gone | {key: text for key, text in after.items() if before.get(key) != text}
