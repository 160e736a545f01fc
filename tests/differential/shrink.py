"""Shorten a sequence that shows a difference, on the machine that showed it."""

from tests.cpuset_model import KERNELS

from . import replay
from .plan import Bench, foretold
from .steps import Step

TRIALS = 250


def shortest(
    node: replay.Node, steps: list[list[str]], lines: list[str], kernel: str, isolcpus: str
) -> tuple[list[list[str]], list[str]]:
    """The shortest sequence found that still shows some difference, and the difference (delta debugging).

    A trial may leave the machine with CPUs that belong to nobody: whatever starts there says nothing, and it ends.
    """
    model = next(one for one in KERNELS if one.name == kernel)
    trials = TRIALS

    def differs(candidate: list[list[str]]) -> list[str] | None:
        nonlocal trials
        trials -= 1
        node.clean()
        bench = Bench(model, isolcpus=isolcpus, isolated=node.read("|cpuset.cpus.isolated") if model.exclusive else "")
        sequence = foretold(bench, map(Step.unpacked, candidate))
        rows = zip((step.packed() for step in sequence.steps), sequence.outcomes, sequence.changes, strict=True)
        try:
            replay.replay(node, sequence.start, list(rows))
        except replay.Difference as found:
            if found.at < 0:
                trials = 0
                return None
            return found.lines
        return None

    node.settle_s, patient_s = 1.0, node.settle_s  # what differs now is known to stay so
    size = max(1, len(steps) // 2)
    while trials > 0:
        for start in range(0, len(steps) - 1, size):  # the last step is the one that shows it
            candidate = steps[:start] + steps[min(start + size, len(steps) - 1) :]
            if found := differs(candidate):
                steps, lines = candidate, found
                break
            if trials <= 0:
                break
        else:
            if size == 1:
                break
            size = max(1, size // 2)
    node.settle_s = patient_s
    return steps, lines
