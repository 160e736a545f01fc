"""What the steps that kernel and model agree on were: kinds of writes by outcome, and rows of docs/kernel.md."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.cpuset_model import Kernel

from .moment import Moment, has, state
from .plan import Sequence
from .rows import ROWS
from .steps import Op, Step, take


@dataclass(slots=True)
class Tally:
    """Counts for one kernel."""

    kernel: Kernel
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    otherwise: Counter[str] = field(default_factory=Counter)

    def add(self, sequence: Sequence, passed: int) -> None:
        """Count the first *passed* steps."""
        world = sequence.bench.boot()
        for step in sequence.steps[:passed]:
            before = world.copy()
            self._count(Moment(before, step, take(world, step), world))

    def _count(self, moment: Moment) -> None:
        self.kinds[_kind(moment.step), _outcome(moment)] += 1
        for row in ROWS:
            if (answer := row.answers.get(self.kernel.name)) and row.case(moment):
                self.met[row.text] += 1
                if not answer(moment):
                    self.otherwise[row.text] += 1

    def lines(self) -> Iterator[str]:
        yield f"| kind, {self.kernel} | outcome | steps |"
        yield "|---|---|---|"
        for (kind, outcome), count in sorted(self.kinds.items()):
            yield f"| {kind} | {outcome} | {count} |"
        yield ""
        yield f"| row of docs/kernel.md, {self.kernel} | steps | otherwise |"
        yield "|---|---|---|"
        for row in ROWS:
            if self.kernel.name in row.answers:
                yield f"| {row.text} | {self.met[row.text]} | {self.otherwise[row.text] or ''} |"

    def rare(self, least: int) -> list[str]:
        """Rows met less often than *least* times."""
        return [row.text for row in ROWS if self.kernel.name in row.answers and self.met[row.text] < least]


def _kind(step: Step) -> str:
    if not step.file:
        return step.op
    kind = {Op.WRITE: "", Op.WRITE_UNPRIVILEGED: " without CAP_SYS_ADMIN", Op.WRITE_TWICE: " twice, one open file"}
    text = f"={step.text or repr('')}" if step.file in ("cpuset.cpus.partition", "cgroup.subtree_control") else ""
    return f"{step.file}{text}{kind.get(step.op, ', file of a cgroup that is gone')}"


def _outcome(moment: Moment) -> str:
    if moment.outcome:
        return moment.outcome.name
    path = moment.path
    if moment.step.file.startswith("cpuset.cpus") and path and has(moment.after, path):
        return state(moment.after, path)
    return "ok"
