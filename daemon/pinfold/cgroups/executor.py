"""Writes carried out one by one, and what came of each.

The kernel is handed in, so that whoever wants to see each write, or to die after one, wraps it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from pinfold.cgroups.paths import CgroupPath
from pinfold.cgroups.writes import Write


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
    """Carry out *writes* in their order. A refusal is an outcome; afterwards read what is held and order anew."""
    raise NotImplementedError
