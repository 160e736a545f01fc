"""Every prefix of every write list in lives of a node, on the model kernels: Pinfold dies there, another goes on.

    python -m tests.cgroups.prefixes --transitions 2000

After each write of a transition nobody may meet an owner on a CPU that they share neither before nor afterwards, no
partition may be broken, nobody may be without a CPU, and the model's kernel may be in no faulty state (`Fault`); and
whoever starts there with what is on disk brings the node to what the ledger wants, under the same rules. A table of the
transitions by kind, and ``N passed, N failed``: a case is a prefix. A failure names its seed and the story so far.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from pinfold.cgroups.found import from_text, to_text
from pinfold.cgroups.layout import Enforcement
from pinfold.cgroups.writes import Write
from pinfold.planning.ledger import Ledger
from tests.cpuset_model import V6_1, V6_12, V7_3, Kernel

from .lives import Life
from .model import ModelGround
from .node import PlayedNode

CPUS, EVENTS = 12, 15
GROUNDS: Mapping[str, tuple[Kernel, Enforcement]] = {
    "6.1-shrinking": (V6_1, Enforcement.SHRINK),
    "6.12-partitions": (V6_12, Enforcement.PARTITION),
    "7.3-partitions": (V7_3, Enforcement.PARTITION),
    "6.12-shrinking": (V6_12, Enforcement.SHRINK),
}


@dataclass(slots=True)
class Prefixes:
    """What came of the prefixes of all write lists of some lives."""

    kernel: Kernel
    enforcement: Enforcement
    transitions: Counter[str] = field(default_factory=Counter)
    writes: int = 0
    passed: int = 0
    failures: list[str] = field(default_factory=list)

    def live(self, seed: int, events: int = EVENTS) -> None:
        ground = ModelGround.boot(self.kernel, CPUS)
        life = Life(PlayedNode.boot(ground, self.enforcement), seed)
        life.at_prefix = lambda ledger, writes: self._walk(life, ground, seed, ledger, writes)
        try:
            life.live(events)
        except Exception as error:  # noqa: BLE001  a life ends with it, the run does not
            self.failures.append(f"seed {seed}, {' → '.join(life.story)}: {error!r}")

    def _walk(self, life: Life, ground: ModelGround, seed: int, ledger: Ledger, writes: tuple[Write, ...]) -> None:
        if not writes:
            return
        self.transitions[life.story[-1]] += 1
        self.writes += len(writes)
        walker, walked = _twin(life, ground, ledger)
        before = walker.meetings()
        seen = []
        for end in range(len(writes) + 1):
            try:
                seen += walker.carried_out(writes[end - 1 : end] if end else ())
                heir, _ = _twin(walker, walked, ledger)
                later = list(seen)
                for _ in range(4):
                    later += heir.carried_out(heir.node.plan(ledger))
                heir.node.settle(ledger)
                heir.nobody_met(before, later)
                self.passed += 1
            except Exception as error:  # noqa: BLE001  whatever it was, it is told with its story
                story = " → ".join(life.story)
                self.failures.append(f"seed {seed}, {story}: after {end} of {len(writes)} writes: {error!r}")
                return


def _twin(life: Life, ground: ModelGround, ledger: Ledger) -> tuple[Life, ModelGround]:
    """Whoever starts anew in a copy of the kernel, with what is on disk."""
    copy = ground.copy()
    twin = Life(life.node.twin(copy), 0)
    twin.node.found = from_text(to_text(twin.node.found))
    twin.pods, twin.ledger, twin.was_owned = life.pods, ledger, life.was_owned
    return twin, copy


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transitions", type=int, default=2000, help="of each kernel, at least")
    parser.add_argument("--first", type=int, default=1000, help="the seed of the first life")
    parser.add_argument("--ground", choices=GROUNDS, help="one kernel alone")
    args = parser.parse_args()
    passed = failed = 0
    for name, (kernel, enforcement) in GROUNDS.items():
        if args.ground in {None, name}:
            run, seed = Prefixes(kernel, enforcement), args.first
            while run.transitions.total() < args.transitions:
                run.live(seed)
                seed += 1
            print(
                f"{name}: {run.transitions.total()} transitions, {run.writes} writes, seeds {args.first} to {seed - 1}"
            )
            for kind, count in run.transitions.most_common():
                print(f"  {count:5} {kind.replace('_', ' ')}")
            for failure in run.failures:
                print(f"FAILED: {failure}")
            passed, failed = passed + run.passed, failed + len(run.failures)
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
