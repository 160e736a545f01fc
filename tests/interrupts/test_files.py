"""/proc/irq and /proc/interrupts of real machines, and a guard where nothing may be written."""

import os
import tarfile
from pathlib import Path

import pytest

from pinfold.cpuset import CpuSet
from pinfold.interrupts.affinities import DEFAULT, WORKQUEUES, Ground, Irq, IrqId, wanted
from pinfold.interrupts.files import IrqError, IrqFiles, Result
from pinfold.interrupts.guard import Guard
from pinfold.interrupts.irqbalance import Irqbalance
from tests.archives import TOPOLOGIES

MACHINES = {
    "nto-r740xd-32cpu-smt-off": CpuSet.parse("0-31"),
    "nto-r740xd-80cpu-realtime": CpuSet.parse("0-79"),
    "nto-r750-112cpu": CpuSet.parse("0-111"),
}


@pytest.fixture(scope="module", params=MACHINES)
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Name and root of a real machine's files."""
    archive = TOPOLOGIES / f"{request.param}.tgz"
    if not archive.is_file():
        pytest.skip(f"{TOPOLOGIES}: no archive {request.param}")
    root = tmp_path_factory.mktemp("machine")
    with tarfile.open(archive) as tar:
        tar.extractall(
            root,
            [one for one in tar if one.name.removeprefix("./").startswith(("proc/irq/", "proc/interrupts"))],
            filter="data",
        )
    return request.param, root / "proc"


def test_every_interrupt_of_a_real_machine_is_read(machine: tuple[str, Path]) -> None:
    name, proc = machine
    held = IrqFiles(proc.parent).look()
    assert held.keys() - {DEFAULT} == {one.name for one in (proc / "irq").iterdir() if one.name.isdecimal()}
    assert len(held) > 200
    assert all(one.cpus and one.cpus <= MACHINES[name] for one in held.values())
    assert {one.node for one in held.values()} == {-1, 0, 1}


def test_every_interrupt_with_a_driver_has_its_name(machine: tuple[str, Path]) -> None:
    _, proc = machine
    names = IrqFiles(proc.parent).names()
    assert names[IrqId("0")] == "timer"
    assert names[IrqId("8")] == "rtc0"
    numbers = [line.split(":")[0].strip() for line in (proc / "interrupts").read_text().splitlines()[1:]]
    assert list(names) == [one for one in numbers if one.isdecimal()]
    assert all(name and not name.startswith("IR-") for name in names.values())


def test_a_name_may_hold_blanks_and_be_two_names(machine: tuple[str, Path]) -> None:
    name, proc = machine
    shared = "PCIe PME, pciehp" if name == "nto-r740xd-32cpu-smt-off" else "PCIe PME"
    assert shared in IrqFiles(proc.parent).names().values()


def test_no_interrupt_of_a_real_machine_is_left_on_half_of_its_cpus(machine: tuple[str, Path]) -> None:
    name, proc = machine
    online = MACHINES[name]
    half = CpuSet.of(cpu for cpu in online if cpu >= len(online) // 2)
    held = IrqFiles(proc.parent).look()
    moves = wanted(held, {}, Ground(half, online))
    assert moves.keys() == {irq for irq, one in held.items() if not one.cpus.isdisjoint(half)}
    assert all(one.ours and one.ours.isdisjoint(half) for one in moves.values())


def test_where_it_really_goes_is_the_kernels_word(tmp_path: Path) -> None:
    (tmp_path / "proc/irq/24").mkdir(parents=True)
    (tmp_path / "proc/irq/24/smp_affinity_list").write_text("0-7\n")
    assert IrqFiles(tmp_path).effective(IrqId("24")) == CpuSet.parse("0-7"), "a kernel that does not tell"
    (tmp_path / "proc/irq/24/effective_affinity_list").write_text("3\n")
    assert IrqFiles(tmp_path).effective(IrqId("24")) == CpuSet.parse("3")


def test_unbound_workqueues_are_steered_by_what_was_asked_of_them(tmp_path: Path) -> None:
    """What isolated partitions take from their mask is none of its writer's."""
    (tmp_path / "proc/irq").mkdir(parents=True)
    (tmp_path / "proc/irq/default_smp_affinity").write_text("ff\n")
    files = IrqFiles(tmp_path)
    assert WORKQUEUES not in files.look(), "a kernel that cannot"
    workqueue = tmp_path / "sys/devices/virtual/workqueue"
    workqueue.mkdir(parents=True)
    (workqueue / "cpumask").write_text("3f\n")
    assert files.look()[WORKQUEUES] == Irq(CpuSet.parse("0-5"))
    (workqueue / "cpumask_requested").write_text("ff\n")
    assert files.look()[WORKQUEUES] == Irq(CpuSet.parse("0-7"))
    assert files.effective(WORKQUEUES) == CpuSet.parse("0-5")
    assert files.write(WORKQUEUES, CpuSet.parse("0-1,4-5")).result is Result.DONE
    assert (workqueue / "cpumask").read_text() == "33\n"


def test_an_interrupt_that_has_gone_is_no_error(tmp_path: Path) -> None:
    outcome = IrqFiles(tmp_path).write(IrqId("24"), CpuSet.parse("1"))
    assert outcome.result is Result.GONE


def test_a_machine_without_interrupts_to_see_is_an_error_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(IrqError, match="irq cannot be read"):
        IrqFiles(tmp_path).look()


@pytest.mark.skipif(not Path("/proc/irq/default_smp_affinity").exists(), reason="no /proc/irq here")
def test_where_nothing_may_be_written_that_is_told_and_nothing_counts_as_moved() -> None:
    """As an unprivileged container: a real /proc/irq, and a process that may only read it."""
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            online = CpuSet.of(range(os.cpu_count() or 1))
            done = Guard(irqbalance=Irqbalance(())).keep(Ground(online - CpuSet.of([0]), online), {}, lambda _: None)
            os.write(writing, f"{dict(done.moves)} {done.warnings}".encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(writing)
    told = os.read(reading, 1 << 16).decode()
    os.close(reading)
    assert told.startswith("{} ('interrupts are not kept off guarded CPUs: /proc/irq/")
    assert "irqGuard: off" in told
