"""What stood in each file before Pinfold wrote to it: what a release gives back.

Pure. "Found" is what the last *other* writer left, not what was there on the first day: so every value that Pinfold
wrote, or was about to write when it died, is kept beside it. Any other value in the file is somebody else's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pinfold.cgroups.held import Held
from pinfold.cgroups.paths import CgroupPath, File
from pinfold.cgroups.writes import Write


@dataclass(frozen=True, slots=True)
class Record:
    """One control file."""

    found: str
    """What its last writer other than Pinfold left in it."""
    ours: frozenset[str]
    """What Pinfold wrote, or was about to write."""


Found = Mapping[CgroupPath, Mapping[File, Record]]


def noted(found: Found, held: Held, writes: Iterable[Write]) -> Found:
    """*found* with what stands in the files that *writes* go to. To be on disk before the first of them is done."""
    raise NotImplementedError


def remembered(found: Found, paths: Iterable[CgroupPath], held: Held) -> Found:
    """*found* without the cgroups that are gone, and without the files that hold again what was found in them."""
    raise NotImplementedError


def to_text(found: Found) -> dict[str, dict[str, str]]:
    """For the checkpoint: path → file → one value a line, first the found one, then ours."""
    raise NotImplementedError


def from_text(text: Mapping[str, Mapping[str, str]]) -> Found:
    """Raises ValueError where a file is none of ours."""
    raise NotImplementedError
