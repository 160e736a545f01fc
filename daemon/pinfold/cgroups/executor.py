"""Writes carried out one by one, and what came of each.

The kernel is handed in, so that whoever wants to see each write, or to die after one, wraps it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from pinfold.cgroups.files import CgroupGoneError, WriteRefusedError
from pinfold.cgroups.paths import CgroupPath, File
from pinfold.cgroups.writes import Write
from pinfold.cpuset import CpuSet
from pinfold.pods.model import PodUid


class Kernel(Protocol):
    """`files.Cgroupfs`, or what wraps it."""

    def read(self, path: CgroupPath, file: str, /) -> str | None: ...

    def write(self, path: CgroupPath, file: str, value: str, /) -> None: ...


class Result(StrEnum):
    DONE = "done"
    GONE = "gone"
    """The cgroup is not there any more: nothing to do."""
    REFUSED = "refused"
    """The kernel said no, or took the word and made no partition of it."""
    SKIPPED = "skipped"
    """Not tried, because of an earlier refusal: the same pod's, or of the same CPUs."""


@dataclass(frozen=True, slots=True)
class Outcome:
    write: Write
    result: Result
    message: str = ""
    """The kernel's reason."""
    errno: int = 0


def execute(writes: Iterable[Write], kernel: Kernel) -> tuple[Outcome, ...]:
    """Carry out *writes* in their order. A refusal is an outcome; afterwards read what is held and order anew.

    After a refusal the rest goes on without the same pod's writes and without those of the same CPUs: whoever was to
    leave them is still there.
    """
    outcomes: list[Outcome] = []
    pods: set[PodUid] = set()
    stuck = CpuSet()
    for write in writes:
        if write.pod in pods or not stuck.isdisjoint(write.touched):
            outcomes.append(Outcome(write, Result.SKIPPED, "an earlier write was refused"))
            continue
        outcome = _carried_out(write, kernel)
        if outcome.result is Result.REFUSED:
            stuck |= write.touched
            if write.pod:
                pods.add(write.pod)
        outcomes.append(outcome)
    return tuple(outcomes)


def _carried_out(write: Write, kernel: Kernel) -> Outcome:
    try:
        kernel.write(write.path, write.file, write.value)
        if write.file is not File.PARTITION:
            return Outcome(write, Result.DONE)
        state = kernel.read(write.path, write.file)  # a valid word never fails: only reading tells
    except CgroupGoneError as error:
        return Outcome(write, Result.GONE, str(error))
    except WriteRefusedError as error:
        return Outcome(write, Result.REFUSED, str(error), error.errno)
    if state is None:
        return Outcome(write, Result.GONE, f"{write.path} is gone")
    if state != write.value:
        return Outcome(write, Result.REFUSED, f"{write.path}/{write.file} reads {state!r} after {write.value!r}")
    return Outcome(write, Result.DONE)
