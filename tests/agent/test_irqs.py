"""The loop and the interrupts of its machine: the guard of the real package, on affinity files written here."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pinfold.cpuset import CpuSet
from pinfold.interrupts import masks
from pinfold.interrupts.affinities import IrqGuard
from pinfold.interrupts.files import IrqFiles
from pinfold.interrupts.guard import Guard
from pinfold.interrupts.irqbalance import Irqbalance
from pinfold.report.exposition import exposition, registry
from tests.agent.bench import Bench, pod
from tests.cpuset_model import V6_12

ALL = CpuSet.parse("0-15")


class Proc:
    """A directory with the files of /proc/irq and the workqueues' mask: what is written stands in them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, (root := folder / "proc")
        self.workqueues = folder / "sys/devices/virtual/workqueue/cpumask"
        self.workqueues.parent.mkdir(parents=True)
        self.workqueues.write_text(f"{masks.mask(ALL)}\n")
        (root / "irq").mkdir(parents=True)
        (root / "irq/default_smp_affinity").write_text(f"{masks.mask(ALL)}\n")
        (root / "interrupts").write_text("")

    def put(self, irq: int, cpus: CpuSet) -> None:
        (self.root / f"irq/{irq}").mkdir(exist_ok=True)
        (self.root / f"irq/{irq}/smp_affinity_list").write_text(f"{cpus}\n")

    def cpus(self, irq: int) -> CpuSet:
        return CpuSet.parse((self.root / f"irq/{irq}/smp_affinity_list").read_text())

    @property
    def default(self) -> CpuSet:
        return masks.parsed((self.root / "irq/default_smp_affinity").read_text())

    @property
    def unbound(self) -> CpuSet:
        return masks.parsed(self.workqueues.read_text())

    def guard(self) -> Guard:
        return Guard(IrqFiles(self.folder), Irqbalance((), self.root))


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    made = Proc(tmp_path / "machine")
    made.put(25, ALL)
    return made


@pytest.fixture
def bench(tmp_path: Path, proc: Proc) -> Iterator[Bench]:
    made = Bench.boot(V6_12, tmp_path, apiServer={"enabled": False})
    made.config = replace(made.config, irq_guard=IrqGuard.SLICES)
    made.guard = proc.guard()
    made.put(pod(1, 4, engine=3))
    made.appear(1)
    made.start()
    made.turn()
    yield made
    made.stop()


def slices(bench: Bench) -> CpuSet:
    (status,) = bench.turn().pods
    assert status.entry
    return CpuSet.union(status.entry.slices.values())


def at_the_timer(bench: Bench) -> None:
    assert bench.agent
    bench.agent._due = True
    bench.turn()


def test_interrupts_leave_the_slices_at_admission_and_come_back_with_the_pod(bench: Bench, proc: Proc) -> None:
    assert len(slices(bench)) == 3
    assert proc.cpus(25) == proc.default == proc.unbound == ALL - slices(bench)
    bench.take(1)
    bench.fs.world.exit("pause-1")
    bench.turn()
    assert proc.cpus(25) == proc.default == proc.unbound == ALL


def test_a_new_interrupt_is_moved_at_the_timer_and_nothing_is_read_before(bench: Bench, proc: Proc) -> None:
    proc.put(26, ALL)
    bench.turn()
    assert proc.cpus(26) == ALL
    at_the_timer(bench)
    assert proc.cpus(26) == ALL - slices(bench)


def test_an_interrupt_that_somebody_puts_back_is_moved_again_counted_and_told(bench: Bench, proc: Proc) -> None:
    proc.put(25, ALL)
    at_the_timer(bench)
    assert proc.cpus(25) == ALL - slices(bench)
    snapshot = bench.turn()
    assert snapshot.counters.repaired == {"interrupt": 1}
    assert snapshot.recent[-1].event == "irqs.drifted"


def test_after_a_restart_it_is_still_known_what_was_found(bench: Bench, proc: Proc) -> None:
    bench.guard = proc.guard()
    bench.start()
    bench.turn()
    assert proc.cpus(25) == ALL - slices(bench)
    bench.config = replace(bench.config, irq_guard=IrqGuard.OFF)
    bench.guard = proc.guard()
    bench.start()
    bench.turn()
    assert proc.cpus(25) == proc.default == proc.unbound == ALL


def test_where_nothing_can_be_moved_the_status_says_so_and_the_pod_is_pinned(bench: Bench, proc: Proc) -> None:
    (proc.root / "irq").rename(proc.root / "away")
    bench.put(pod(2, 4, engine=3))
    bench.appear(2)
    status = bench.status(2)
    assert status.kernel.pod
    assert status.kernel.pod.cpus == status.pool
    assert [one for one in bench.turn().warnings if "interrupts are not kept off" in one]


def test_metrics_count_what_was_moved(bench: Bench) -> None:
    agent = bench.agent
    assert agent
    text = exposition(registry(agent.snapshot), "")[0].decode()
    assert 'pinfold_interrupts{state="moved"} 3.0' in text, "the interrupt, the default and the workqueues"
    assert 'pinfold_interrupts{state="staying"} 0.0' in text
