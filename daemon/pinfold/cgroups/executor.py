"""Writes carried out one by one, and what came of each.

The kernel is handed in, so that whoever wants to see each write, or to die after one, wraps it.
"""

from collections.abc import Callable, Iterable
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


def execute(
    writes: Iterable[Write],
    kernel: Kernel,
    gives_way: Callable[[], bool] = lambda: False,
    wrote: Callable[[Write], None] = lambda _: None,
) -> tuple[Outcome, ...]:
    """Carry out *writes* in their order. A refusal is an outcome; afterwards read what is held and order anew.

    Of each that is done is told at once who *wrote* it.
    Before each but the first it is asked whether it *gives way*: then the rest is left, and has no outcome.
    After a refusal the rest goes on without the same pod's writes, without those to the same file, which build on the
    refused one, and without those of the same CPUs: whoever was to leave them is still there.
    """
    outcomes: list[Outcome] = []
    stopped: set[PodUid | tuple[CgroupPath, File]] = set()
    stuck = CpuSet()
    for write in writes:
        if outcomes and gives_way():
            break
        if write.pod in stopped or (write.path, write.file) in stopped or not stuck.isdisjoint(write.touched):
            outcome = Outcome(write, Result.SKIPPED, "an earlier write was refused")
        else:
            outcome = _carried_out(write, kernel)
        if outcome.result in {Result.REFUSED, Result.SKIPPED}:
            stuck |= write.touched
            stopped |= {(write.path, write.file), *([write.pod] if write.pod else [])}
        if outcome.result is Result.DONE:
            wrote(write)
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
