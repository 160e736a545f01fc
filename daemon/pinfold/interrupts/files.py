"""The only place that touches /proc/irq, /proc/interrupts and /sys/devices/virtual/workqueue.

Source: proc(5), show_interrupts() in kernel/irq/proc.c, kernel document core-api/workqueue.rst. What a write answers
was seen on 6.1, 6.12 and 7.3.
"""

import errno
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pinfold.cpuset import CpuSet
from pinfold.errors import PinfoldError
from pinfold.interrupts import masks
from pinfold.interrupts.affinities import DEFAULT, WORKQUEUES, Irq, IrqId

_MAX_LIST_BYTES = 1 << 14
_NO_PLACE = {errno.EACCES, errno.EROFS}
"""What opening says where /proc/irq is mounted read-only, or belongs to another user namespace."""
_PINNED = {errno.EPERM, errno.EIO}
"""What writing says of an IRQ that no user may move: EIO on 6.1, EPERM on 6.12 and 7.3."""
_GONE = {errno.ENOENT, errno.ENODEV}


class IrqError(PinfoldError):
    """The interrupts of this machine cannot be seen, or none of them can be moved."""


class Result(StrEnum):
    DONE = "done"
    GONE = "gone"
    """The IRQ is not there any more: nothing to do."""
    IMMOVABLE = "immovable"
    """Its driver manages it (the queues of NVMe and virtio), or the machine itself (the timer)."""
    REFUSED = "refused"
    """Not now: no CPU of the set is online, or has a vector left, or a move is still under way."""


@dataclass(frozen=True, slots=True)
class Outcome:
    irq: IrqId
    cpus: CpuSet
    result: Result
    message: str = ""
    """The kernel's reason."""


class IrqFiles:
    """The interrupts and the unbound workqueues of the machine whose proc and sys are in *root*."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._proc, self._workqueue = root / "proc", root / "sys/devices/virtual/workqueue"
        self._nodes: dict[IrqId, int] = {}

    def look(self) -> dict[IrqId, Irq]:
        """Each IRQ that has an affinity, DEFAULT, and WORKQUEUES where the kernel can steer them.

        Raises IrqError where there are no interrupts to see.
        """
        try:
            numbers = sorted((one.name for one in (self._proc / "irq").iterdir() if one.name.isdecimal()), key=int)
            default = masks.parsed(self._read("default_smp_affinity"))
        except (OSError, ValueError) as error:
            raise IrqError(f"{self._proc / 'irq'} cannot be read: {error}") from error
        held = {DEFAULT: Irq(default)}
        with suppress(OSError, ValueError):
            held[WORKQUEUES] = Irq(self._asked_of_workqueues())
        for irq in map(IrqId, numbers):
            with suppress(OSError):  # gone meanwhile, or without an affinity
                held[irq] = Irq(CpuSet.parse(self._read(f"{irq}/smp_affinity_list")), self._node(irq))
        self._nodes = {irq: node for irq, node in self._nodes.items() if irq in held}
        return held

    def effective(self, irq: IrqId) -> CpuSet:
        """Where *irq* really goes; empty where it goes nowhere. Without the kernel's word: where it may go."""
        if irq == WORKQUEUES:
            with suppress(OSError):
                return masks.parsed((self._workqueue / "cpumask").read_text())
        for name in ("effective_affinity_list", "smp_affinity_list"):
            with suppress(OSError):
                return CpuSet.parse(self._read(f"{irq}/{name}"))
        return CpuSet()

    def names(self) -> dict[IrqId, str]:
        """IRQ → what its drivers call it. Some MiB on a large machine: to be asked only for what is told."""
        try:
            header, *lines = (self._proc / "interrupts").read_text(errors="replace").splitlines()
        except (OSError, ValueError):
            return {}
        columns = len(header.split())
        names: dict[IrqId, str] = {}
        for line in lines:
            number, *_, rest = [*line.split(None, columns + 1), ""][: columns + 2]
            if number.removesuffix(":").isdecimal():
                # Chip, hardware number and names are told apart by two blanks; a name may hold one.
                names[IrqId(number.removesuffix(":"))] = re.split(r"\s{2,}", rest.strip())[-1]
        return names

    def write(self, irq: IrqId, cpus: CpuSet) -> Outcome:
        """Set an affinity. Raises IrqError where this process may set none at all."""
        masks_at = {DEFAULT: self._proc / "irq/default_smp_affinity", WORKQUEUES: self._workqueue / "cpumask"}
        path = masks_at.get(irq, self._proc / f"irq/{irq}/smp_affinity_list")
        text = masks.mask(cpus) if irq in masks_at else str(cpus)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in _NO_PLACE and irq != WORKQUEUES:
                raise IrqError(f"{path} cannot be written: {error.strerror}") from error
            return _refused(irq, cpus, error)
        try:
            os.write(fd, f"{text}\n".encode())
        except OSError as error:
            return _refused(irq, cpus, error)
        finally:
            os.close(fd)
        return Outcome(irq, cpus, Result.DONE)

    def _asked_of_workqueues(self) -> CpuSet:
        """``cpumask`` itself lacks what isolated partitions take from it (6.7 and later)."""
        with suppress(FileNotFoundError):
            return masks.parsed((self._workqueue / "cpumask_requested").read_text())
        return masks.parsed((self._workqueue / "cpumask").read_text())

    def _node(self, irq: IrqId) -> int:
        if irq not in self._nodes:
            try:
                self._nodes[irq] = int(self._read(f"{irq}/node"))
            except (OSError, ValueError):
                self._nodes[irq] = -1
        return self._nodes[irq]

    def _read(self, place: str) -> str:
        fd = os.open(self._proc / "irq" / place, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(fd, _MAX_LIST_BYTES).decode()
        finally:
            os.close(fd)


def _refused(irq: IrqId, cpus: CpuSet, error: OSError) -> Outcome:
    if error.errno in _GONE:
        return Outcome(irq, cpus, Result.GONE)
    name = errno.errorcode.get(error.errno or 0, str(error.errno))
    result = Result.IMMOVABLE if error.errno in _PINNED else Result.REFUSED
    return Outcome(irq, cpus, result, f"{name}, {error.strerror}")
