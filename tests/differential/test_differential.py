"""The differential test itself, without a machine: what it generates, and that it finds what differs."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinfold.cpuset import CpuSet
from tests.cpuset_model import KERNELS, V6_1, V6_12, V7_3, Errno, Kernel, lists
from tests.differential.generate import Generator
from tests.differential.plan import TASKS, Bench, Sequence, foretold
from tests.differential.replay import Difference, replay
from tests.differential.rows import rows_of
from tests.differential.run import MOST_KEPT_OUT, Run
from tests.differential.shrink import shortest
from tests.differential.steps import Step, observed, take
from tests.differential.tally import Tally


class OtherKernel:
    """A node that behaves as the model of some kernel does."""

    settle_s = 0.0

    def __init__(self, kernel: Kernel) -> None:
        self.bench = Bench(kernel)
        self.clean()

    def take(self, packed: list[str]) -> str:
        outcome = take(self.world, Step.unpacked(packed))
        self.seen = observed(self.world, TASKS)
        return outcome.name if outcome else ""

    def read(self, key: str) -> str:
        return self.seen.get(key, "ENOENT")

    def forget(self, key: str) -> None:
        assert key not in self.seen

    def clean(self) -> None:
        self.world = self.bench.boot()
        self.seen = observed(self.world, TASKS)

    def warnings(self) -> list[str]:
        return []


def generated(kernel: Kernel, steps: int, seed: int = 1) -> tuple[list[Sequence], Generator]:
    generator = Generator(Bench(kernel), Random(seed))
    return list(generator.sequences(steps)), generator


def rows(sequence: Sequence) -> list[tuple[list[str], str, dict[str, str | None]]]:
    return list(zip([one.packed() for one in sequence.steps], sequence.outcomes, sequence.changes, strict=True))


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_the_same_seed_gives_the_same_steps_and_few_are_kept_out(kernel: Kernel) -> None:
    first, generator = generated(kernel, 400)
    again, _ = generated(kernel, 400)
    other, _ = generated(kernel, 400, seed=2)
    assert [one.line() for one in first] == [one.line() for one in again]
    assert [one.line() for one in first] != [one.line() for one in other]
    taken = sum(len(one.steps) for one in first)
    assert taken >= 400
    assert generator.kept_out.total() <= MOST_KEPT_OUT * taken


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_each_sequence_ends_where_it_began(kernel: Kernel) -> None:
    for sequence in generated(kernel, 500)[0]:
        state: dict[str, str | None] = dict(sequence.start)
        for change in sequence.changes:
            state |= change
        assert {key: text for key, text in state.items() if text is not None} == sequence.start


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_a_kernel_that_is_as_modelled_passes(kernel: Kernel) -> None:
    node = OtherKernel(kernel)
    for sequence in generated(kernel, 400)[0]:
        replay(node, sequence.start, rows(sequence))


def test_a_difference_is_found_and_shown_by_the_shortest_sequence() -> None:
    """7.3 takes the place of 6.12: a pod with processes may have its set emptied."""
    node = OtherKernel(V7_3)
    noise = ("S", "K/B", "K/podC")
    steps = [
        Step.unpacked(["write", "", "cgroup.subtree_control", "+cpuset", "", ""]),
        *(Step.unpacked(["mkdir", path, "", "", "", ""]) for path in ("K", *noise)),
        *(Step.unpacked(["write", path, "cpuset.cpus", "1-3", "", ""]) for path in ("K", "S")),
        Step.unpacked(["move a task", "S", "", "", "t1", ""]),
        Step.unpacked(["CPU offline", "", "", "5", "", ""]),
        Step.unpacked(["write", "S", "cpuset.cpus", "", "", ""]),
    ]
    plan = foretold(Bench(V6_12), steps)
    with pytest.raises(Difference, match="the kernel answers ok, the model ENOSPC") as found:
        replay(node, plan.start, rows(plan))
    assert found.value.at == len(steps) - 1

    packed, lines = shortest(node, [one.packed() for one in steps], found.value.lines, "6.12", "")
    assert [str(Step.unpacked(one)) for one in packed] == [
        "echo '+cpuset' >//cgroup.subtree_control",
        "mkdir S",
        "echo '1-3' >S/cpuset.cpus",
        "echo $t1 >S/cgroup.procs",
        "echo '' >S/cpuset.cpus",
    ]
    assert lines == ["the kernel answers ok, the model ENOSPC"]


def test_a_machine_that_a_trial_has_spoilt_shortens_nothing() -> None:
    class Spoilt(OtherKernel):
        def clean(self) -> None:
            super().clean()
            self.seen["|cpuset.cpus.effective"] = "0-5"

    steps = [["write", "", "cgroup.subtree_control", "+cpuset", "", ""], ["mkdir", "K", "", "", "", ""]]
    assert shortest(Spoilt(V6_12), steps, ["as it was seen"], "6.12", "") == (steps, ["as it was seen"])


def test_a_file_that_reads_otherwise_is_a_difference() -> None:
    node = OtherKernel(V6_1)
    sequence = foretold(Bench(V6_1), [Step.unpacked(["write", "", "cgroup.subtree_control", "+cpuset", "", ""])])
    sequence.changes[0]["|cgroup.subtree_control"] = "cpuset memory"
    with pytest.raises(Difference, match="kernel 'cpuset', model 'cpuset memory'"):
        replay(node, sequence.start, rows(sequence))


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_the_rows_of_the_documentation_say_what_the_model_does(kernel: Kernel) -> None:
    tally = Tally()
    for sequence in generated(kernel, 1000)[0]:
        tally.add(sequence, len(sequence.steps))
    assert not tally.otherwise
    assert sum(count > 0 for count in tally.met.values()) > 25


def test_a_row_that_was_met_least_comes_more_often_than_by_chance() -> None:
    kernel = V6_12
    scarce = "root, all CPUs of the parent, which has tasks"
    often = Counter({row.text: 100 for row in rows_of(kernel) if row.text != scarce})
    sought, by_chance = (Generator(Bench(kernel), Random(3), Counter(met)) for met in (often, Counter({scarce: 100})))
    for generator in (sought, by_chance):
        list(generator.sequences(500))
    assert sought.met[scarce] > 2 * (by_chance.met[scarce] - 100)


def run(kernel: Kernel, seed: int, steps: int = 200) -> Run:
    generator = Generator(Bench(kernel), Random(seed))
    one = Run(kernel, [seed])
    for sequence in generator.sequences(steps):
        one.tally.add(sequence, len(sequence.steps))
        one.passed += len(sequence.steps)
    one.kept_out = generator.kept_out
    return one


def test_runs_are_kept_and_summed() -> None:
    first, second = run(V6_12, 1), run(V6_12, 2)
    both = Run.from_text(first.to_text())
    both.add(Run.from_text(second.to_text()))
    assert both.seeds == [1, 2]
    assert both.passed == first.passed + second.passed
    assert both.kept_out == first.kept_out + second.kept_out
    assert both.tally.kinds == first.tally.kinds + second.tally.kinds
    assert both.tally.met == first.tally.met + second.tally.met
    assert list(both.lines())[-1] == f"{both.passed} passed, 0 failed"


def test_the_same_steps_are_not_counted_twice_nor_those_on_another_kernel() -> None:
    one = Run(V6_1, [1])
    with pytest.raises(ValueError, match="seed 1 is there twice"):
        one.add(Run(V6_1, [1]))
    with pytest.raises(ValueError, match=r"runs on 6\.1 and 6\.12 do not add up"):
        one.add(Run(V6_12, [2]))


def test_each_row_that_was_met_too_seldom_has_a_line_of_its_own() -> None:
    one = Run(V6_1, [1])
    for row in rows_of(V6_1):
        one.tally.met[row.text] = 50
    assert not [line for line in one.lines() if "less than 50" in line]
    one.tally.met["root, nothing set"] = 49
    assert "less than 50 times: root, nothing set: 49" in list(one.lines())


@given(st.integers(0, (1 << 16) - 1))
def test_the_kernels_parser_reads_the_lists_that_we_write(bits: int) -> None:
    assert lists.bits(str(CpuSet(bits)), 16) == bits


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        pytest.param("N", 1 << 7, id="N-is-the-last-id"),
        pytest.param("All", 0xFF, id="all-in-any-case"),
        pytest.param(" 1,, 3 ", 0b1010, id="blanks-separate-too"),
        pytest.param("0-7:3/4", 0b01110111, id="three-of-each-four"),
        pytest.param("0-7:5/4", Errno.EINVAL, id="more-than-the-group-has"),
        pytest.param("0-7:0/0", Errno.EINVAL, id="a-group-of-none"),
        pytest.param("1:1/1", Errno.EINVAL, id="a-pattern-needs-a-range"),
        pytest.param("5-3", Errno.EINVAL, id="backwards"),
        pytest.param("8", Errno.ERANGE, id="too-large"),
        pytest.param("4294967296", Errno.EOVERFLOW, id="beyond-32-bits"),
        pytest.param("-1", Errno.EINVAL, id="no-number"),
    ],
)
def test_the_kernels_parser_takes_more_and_refuses_by_errno(text: str, answer: int | Errno) -> None:
    assert lists.bits(text, 8) == answer
