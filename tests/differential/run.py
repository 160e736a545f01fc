"""What came of steps on one kernel: shown as tables with a verdict, kept as JSON, summed with other runs."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

from tests.cpuset_model import KERNELS, Fault, Kernel

from .tally import Tally

MOST_KEPT_OUT = 0.05
OFTEN = 50  # what runs of 20,000 steps should meet each row


@dataclass(slots=True)
class Run:
    """*steps* that were planned fell into *passed*, *failed* and *not_taken*; *kept_out* are beside them."""

    kernel: Kernel
    seeds: list[int]
    tally: Tally = field(default_factory=Tally)
    passed: int = 0
    failed: int = 0
    not_taken: int = 0
    kept_out: Counter[Fault] = field(default_factory=Counter)

    def add(self, other: "Run") -> None:
        if other.kernel is not self.kernel:
            raise ValueError(f"runs on {self.kernel} and {other.kernel} do not add up")
        if twice := set(self.seeds) & set(other.seeds):
            raise ValueError(f"the same steps count once: seed {min(twice)} is there twice")
        self.seeds += other.seeds
        self.tally.update(other.tally)
        self.passed += other.passed
        self.failed += other.failed
        self.not_taken += other.not_taken
        self.kept_out += other.kept_out

    def to_text(self) -> str:
        return json.dumps(
            {
                "kernel": self.kernel.name,
                "seeds": self.seeds,
                "passed": self.passed,
                "failed": self.failed,
                "not_taken": self.not_taken,
                "kept_out": {fault.value: count for fault, count in self.kept_out.items()},
                "kinds": [[*kind, count] for kind, count in self.tally.kinds.items()],
                "met": self.tally.met,
                "otherwise": self.tally.otherwise,
            },
            indent=1,
        )

    @classmethod
    def from_text(cls, text: str) -> Self:
        said = json.loads(text)
        return cls(
            next(kernel for kernel in KERNELS if kernel.name == said["kernel"]),
            said["seeds"],
            Tally(
                Counter({(kind, outcome): count for kind, outcome, count in said["kinds"]}),
                Counter(said["met"]),
                Counter(said["otherwise"]),
            ),
            said["passed"],
            said["failed"],
            said["not_taken"],
            Counter({Fault(fault): count for fault, count in said["kept_out"].items()}),
        )

    def good(self) -> bool:
        return not self.failed and not self._too_many_kept_out()

    def _too_many_kept_out(self) -> bool:
        return self.kept_out.total() > MOST_KEPT_OUT * self._thrown()

    def _thrown(self) -> int:
        return self.passed + self.failed + self.kept_out.total()

    def lines(self) -> Iterator[str]:
        yield from self.tally.lines(self.kernel, OFTEN)
        seeds = f"seed{'s' if len(self.seeds) > 1 else ''} {', '.join(map(str, self.seeds))}"
        kept_out = self.kept_out.total()
        yield ""
        yield f"{seeds}, kernel {self.kernel}: {kept_out} of {self._thrown()} steps kept out by rule"
        for fault, count in self.kept_out.most_common():
            yield f"  {count} {fault.value}"
        if self._too_many_kept_out():
            yield f"more than {MOST_KEPT_OUT:.0%} kept out"
        if self.not_taken:
            yield f"{self.not_taken} steps not taken: after a difference the rest of its sequence says nothing"
        yield from self.tally.verdict(self.kernel, OFTEN)
        yield f"{self.passed} passed, {self.failed} failed"
