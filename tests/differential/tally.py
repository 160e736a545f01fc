"""What the steps that kernel and model agree on were: kinds of writes by outcome, and rows of docs/kernel.md."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.cpuset_model import Kernel

from .moment import Moment, has, state
from .plan import Sequence
from .rows import met, rows_of
from .steps import Op, Step, take


@dataclass(slots=True)
class Tally:
    """Counts on one kernel."""

    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    otherwise: Counter[str] = field(default_factory=Counter)

    def add(self, sequence: Sequence, passed: int) -> None:
        """Count the first *passed* steps."""
        world = sequence.bench.boot()
        for step in sequence.steps[:passed]:
            before = world.copy()
            self._count(Moment(before, step, take(world, step), world), sequence.bench.kernel)

    def update(self, other: "Tally") -> None:
        self.kinds += other.kinds
        self.met += other.met
        self.otherwise += other.otherwise

    def _count(self, moment: Moment, kernel: Kernel) -> None:
        self.kinds[_kind(moment.step), _outcome(moment)] += 1
        for row in met(moment, kernel):
            self.met[row.text] += 1
            if not row.answers[kernel.name](moment):
                self.otherwise[row.text] += 1

    def lines(self, kernel: Kernel, often: int) -> Iterator[str]:
        yield f"| kind, {kernel} | outcome | steps |"
        yield "|---|---|---|"
        for (kind, outcome), count in sorted(self.kinds.items()):
            yield f"| {kind} | {outcome} | {count} |"
        yield ""
        yield f"| row of docs/kernel.md, {kernel} | steps | otherwise | |"
        yield "|---|---|---|---|"
        for row in rows_of(kernel):
            count = self.met[row.text]
            few = f"less than {often}" if count < often else ""
            yield f"| {row.text} | {count} | {self.otherwise[row.text] or ''} | {few} |"

    def verdict(self, kernel: Kernel, often: int) -> Iterator[str]:
        """A line for each row met less than *often* times, and how many were met as often."""
        rows = rows_of(kernel)
        rare = [row.text for row in rows if self.met[row.text] < often]
        for text in rare:
            yield f"less than {often} times: {text}: {self.met[text]}"
        least = min(self.met[row.text] for row in rows)
        yield f"{len(rows) - len(rare)} of {len(rows)} rows met {often} times or more, the scarcest {least} times"


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
