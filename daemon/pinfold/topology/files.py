"""Reads small kernel files below one root: ``/``, or a copy of a machine's sysfs.

A file that is not there is None; one that cannot be read or makes no sense is an error that names it.
"""

import errno
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pinfold.cpuset import CpuSet
from pinfold.errors import PinfoldError

_T = TypeVar("_T")


class TopologyError(PinfoldError):
    """A machine that cannot be read."""


@dataclass(frozen=True, slots=True)
class Files:
    """All paths are relative to *root*; every method raises TopologyError."""

    root: Path

    def text(self, path: str) -> str | None:
        """The content up to the first NUL (captures may hold the whole page), stripped."""
        try:
            raw = (self.root / path).read_bytes()
        except OSError as error:
            # A CPU that has just left says ENODEV on a file that was open already.
            if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ENODEV}:
                return None
            raise TopologyError(f"{self.root / path}: {error.strerror}: Pinfold must be able to read sysfs") from error
        return raw.partition(b"\0")[0].decode("ascii", "replace").strip()

    def parsed(self, path: str, parse: Callable[[str], _T]) -> _T | None:
        """What *parse* makes of the text; it raises ValueError for nonsense."""
        text = self.text(path)
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            raise TopologyError(
                f"{self.root / path} holds {text[:60]!r}, which no kernel writes there: compare with lscpu"
            ) from error

    def number(self, path: str) -> int | None:
        """One number; None for a blank file too, which captures have where reading failed."""
        return self.parsed(path, lambda text: int(text) if text else None)

    def cpus(self, directory: str, files: Mapping[str, Callable[[str], CpuSet]]) -> CpuSet | None:
        """What the first of *files* that is there holds: name → its format, ``CpuSet.parse`` or ``mask``."""
        found = (self.parsed(f"{directory}/{name}", parse) for name, parse in files.items())
        return next((cpus for cpus in found if cpus is not None), None)

    def numbered(self, directory: str, name: re.Pattern[str]) -> Sequence[tuple[int, str]]:
        """(N, entry name) for each entry that matches, ascending by N: the pattern's first group."""
        try:
            entries = [entry.name for entry in (self.root / directory).iterdir()]
        except OSError:
            entries = []
        matches = filter(None, map(name.fullmatch, entries))
        return sorted((int(match[1]), match[0]) for match in matches)


def mask(text: str) -> CpuSet:
    """Read the kernel's mask format, ``00000000,0000000f``. Raises ValueError."""
    return CpuSet(int(text.replace(",", ""), 16))
