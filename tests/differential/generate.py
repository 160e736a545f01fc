"""Random sequences of steps, the same for the same seed.

Some are dice: any file, any text, any cgroup. Most belong to things that nodes really do to each other (`scenarios`):
each time a few of them are rehearsed in the model, and the one with the scarcest rows of docs/kernel.md is played. A
step that would enter a faulty state is thrown again.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from random import Random

from pinfold.cpuset import CpuSet
from tests.cpuset_model import Errno, Fault, FaultyState, World

from . import scenarios
from .moment import Moment
from .plan import TASKS, Bench, Sequence, Teller, torn_down
from .rows import met
from .steps import Op, Step, take

REHEARSED = 8
LENGTH = 200  # and the scenario that is under way then, and the tearing down
PATHS = (*scenarios.TREE, "x", "x/y", "K/podA/c1/d", "K/B/podB/c3")
HOSTILE = (
    *("x", "3-1", "0,,1", "0-7:1/2", "all", "0-N", "N", "0-8", "2,8", "-1", "1-", "4294967296", "0-7:0/0", "0-7:3/2"),
    *("1 2", ",", "0x3", "1:1/1", "ALL", "0-3,x", "1.5", "+1", "7-7", "0-0", "01", "N-0", "99999999999999999999999"),
)
FILES = (
    *("cpuset.cpus", "cpuset.cpus.exclusive", "cpuset.cpus.partition", "cpuset.mems", "cgroup.subtree_control"),
    *("cpuset.cpus.effective", "cpuset.cpus.nonsense"),
)
WORDS = ("root", "member", "isolated", "bogus", "ROOT", "", "root member", "root invalid")
CONTROL = ("+cpuset", "-cpuset", "cpuset", "+bogus", "+cpuset -cpuset", "", "-cpuset +cpuset", "+ cpuset")


@dataclass(slots=True)
class _Rehearsed:
    """*worth*: the more, the fewer times the rows in it were met."""

    steps: list[Step] = field(default_factory=list)
    worth: float = 0.0


@dataclass(slots=True)
class Generator:
    """Makes sequences for one bench and counts what it kept out."""

    bench: Bench
    random: Random
    met: Counter[str] = field(default_factory=Counter)  # rows, in the model's answers
    kept_out: Counter[Fault] = field(default_factory=Counter)
    _teller: Teller = field(init=False)
    _deck: list[scenarios.Scenario] = field(default_factory=list)  # so that each is rehearsed as often as the others

    def sequences(self, steps: int) -> Iterator[Sequence]:
        """Sequences that together have at least *steps* steps."""
        while steps > 0:
            sequence = self._sequence()
            steps -= len(sequence.steps)
            yield sequence
            self.bench = replace(self.bench, isolated=sequence.isolated())

    def _sequence(self) -> Sequence:
        self._teller = teller = Teller(self.bench)
        steps = teller.sequence.steps
        if self.random.random() < 0.95:
            self._play(scenarios.tree)
        while len(steps) < LENGTH:
            if self.random.random() < 0.45:
                self._act()
            else:
                self._take(self._dice(teller.world))
        return torn_down(self.bench, steps)

    def _act(self) -> None:
        """A scenario, mostly on calm ground."""
        if self.random.random() < 0.85:
            self._play(scenarios.calm)
        rehearsed = [self._rehearsed(self._next()) for _ in range(REHEARSED)]
        self._take_all(max(rehearsed, key=lambda one: one.worth / len(one.steps)).steps)

    def _next(self) -> scenarios.Scenario:
        if not self._deck:
            self._deck = list(scenarios.of(self.bench.kernel, isolated=bool(self.bench.isolcpus)))
            self.random.shuffle(self._deck)
        return self._deck.pop()

    def _play(self, scenario: scenarios.Scenario) -> None:
        self._take_all(self._rehearsed(scenario).steps)

    def _rehearsed(self, scenario: scenarios.Scenario) -> "_Rehearsed":
        """What *scenario* does in the world as it is."""
        stage, rehearsed = scenarios.Stage(self._teller.world, self.random), _Rehearsed()
        for step in scenario(stage):
            rehearsed.steps.append(step)
            after = stage.world.copy()
            with suppress(FaultyState):
                moment = Moment(stage.world, step, take(after, step), after)
                rehearsed.worth += sum((1 + self.met[row.text]) ** -2 for row in met(moment, self.bench.kernel))
                stage.world = after
        return rehearsed

    def _take_all(self, steps: Iterable[Step]) -> None:
        for step in steps:
            self._take(step)

    def _take(self, step: Step) -> None:
        before = self._teller.world
        try:
            outcome = self._teller.take(step)
        except FaultyState as state:
            self.kept_out[state.fault] += 1
        else:
            moment = Moment(before, step, outcome, self._teller.world)
            self.met.update(row.text for row in met(moment, self.bench.kernel))

    def _dice(self, world: World) -> Step:
        random = self.random
        path = random.choice(world.paths()) if random.random() < 0.9 else random.choice(PATHS)
        op = random.choices(
            (Op.WRITE, Op.MOVE, Op.AFFINITY, Op.MKDIR, Op.RMDIR, Op.OFFLINE, Op.ONLINE, Op.WRITE_UNPRIVILEGED),
            (62, 11, 6, 6, 4, 2, 4, 2),
        )[0]
        match op:
            case Op.WRITE | Op.WRITE_UNPRIVILEGED:
                return self._write(world, op, path)
            case Op.MKDIR:
                return Step(op, random.choice(PATHS))
            case Op.RMDIR:
                return self._stale(path) if random.random() < 0.3 else Step(op, path or "x")
            case Op.MOVE:
                return Step(op, path, task=random.choice(TASKS))
            case Op.AFFINITY:
                return Step(op, task=random.choice(TASKS), text=str(self._cpus(world) or world.possible))
            case _:
                off = world.possible - world.active
                cpu = random.choice(list(off)) if off and op == Op.ONLINE else random.randrange(1, self.bench.cpus)
                return Step(op, text=str(cpu))

    def _write(self, world: World, op: Op, path: str) -> Step:
        files = (
            "cpuset.cpus",
            "cpuset.cpus.exclusive",
            "cpuset.cpus.partition",
            "cpuset.mems",
            "cgroup.subtree_control",
        )
        weights = (24, 24 if self.bench.kernel.exclusive else 1, 20, 7, 7)
        file = self.random.choices((*files, "cpuset.cpus.effective", "cpuset.cpus.nonsense"), (*weights, 1, 1))[0]
        match file:
            case "cpuset.cpus.partition":
                text = self.random.choices(WORDS, (40, 30, 15, 1, 1, 1, 1, 1))[0]
            case "cgroup.subtree_control":
                text = self.random.choices(CONTROL, (60, 20, 1, 1, 1, 1, 1, 1))[0]
            case "cpuset.mems":
                text = self.random.choice(("0", "1", "0-1", "", "", "2", "0,5", "x", "0-1023", "1024", "N"))
            case _:
                text = self._cpu_text(world)
        if op == Op.WRITE and self.random.random() < 0.04:
            return Step(Op.WRITE_TWICE, path, file, text, before=self._cpu_text(world))
        return Step(op, path, file, text)

    def _cpu_text(self, world: World) -> str:
        return self.random.choice(HOSTILE) if self.random.random() < 0.1 else str(self._cpus(world))

    def _cpus(self, world: World) -> CpuSet:
        """CPUs that are likely to matter: near some set that stands somewhere already."""
        random = self.random
        if random.random() < 0.12:
            return CpuSet()
        first = random.randrange(self.bench.cpus)
        some = CpuSet.of(range(first, min(self.bench.cpus, first + random.choice((1, 1, 2, 2, 3, 6, 8)))))
        path = random.choice(world.paths())
        there = [world.read(path, f"cpuset.cpus{end}") for end in ("", ".exclusive", ".effective")]
        known = [CpuSet.parse(text) for text in there if not isinstance(text, Errno) and text]
        if not known or random.random() < 0.4:
            return some
        one = random.choice(known)
        return random.choice((one, one | some, one - some, one & some, world.possible - one))

    def _stale(self, path: str) -> Step:
        file = self.random.choice(("cpuset.cpus", "cpuset.mems", "cgroup.subtree_control"))
        return Step(Op.WRITE_STALE, path or "x", file, "0")
