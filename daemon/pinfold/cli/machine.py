"""The machine that a command is about: this one, or another whose sysfs lies in a directory or a tar archive."""

import re
from pathlib import Path

from pinfold.errors import PinfoldError
from pinfold.topology.model import Topology
from pinfold.topology.shape import is_shape, shaped
from pinfold.topology.sysfs import read_topology

MAX_FILE_BYTES = 1 << 16
"""No file that is read for a topology is larger."""

_TOLD = re.compile(
    r"(?P<root>.*?)/?(?P<below>sys/devices/system/cpu/(?:\w+|cpu\d+/(?:online|topology/\w+|cache/index\d+/\w+))"
    r"|sys/devices/system/node/(?:\w+|node\d+/(?:\w+|hugepages/[\w-]+/\w+))"
    r"|sys/kernel/mm/hugepages/[\w-]+/\w+|proc/\w+)",
    re.ASCII,
)
"""What tells about CPUs and memory, and no more: a capture may hold a hundred thousand files."""


class MachineError(PinfoldError):
    """A place where no machine's sysfs is."""


def machine(place: str | None) -> Topology:
    """Read this machine (None), ``<place>/sys``, or an archive of it; ARCHIVE:DIR is one of several in an archive.

    Or make the regular one that the words mean, ``2x8x2``. Raises MachineError, TopologyError, ShapeError.
    """
    if place is None:
        return read_topology()
    if is_shape(place):
        return shaped(place)
    path, inner = Path(place), ""
    if path.is_dir():
        return read_topology(path)
    if not path.exists() and ":" in place:
        file, _, inner = place.rpartition(":")
        path = Path(file)
    if not path.is_file():
        raise MachineError(f"{place} is not there. Name a directory that holds sys/, or a tar archive of one.")
    import tempfile  # half the time of a command that needs neither this nor tarfile

    with tempfile.TemporaryDirectory(prefix="pinfold-") as scratch:
        roots = _unpacked(path, Path(scratch))
        return read_topology(_one_of(roots, inner, path))


def _one_of(roots: dict[str, Path], inner: str, archive: Path) -> Path:
    if not roots:
        raise MachineError(f"{archive} holds no sys/devices/system/cpu. Name a tar archive of a machine's sysfs.")
    if inner and inner not in roots:
        raise MachineError(f"{archive} holds no machine {inner}. It holds: {', '.join(roots)}.")
    if not inner and len(roots) > 1:
        names = ", ".join(f"{archive}:{name}" for name in roots)
        raise MachineError(f"{archive} holds several machines. Name one: {names}.")
    return roots[inner] if inner else next(iter(roots.values()))


def _unpacked(archive: Path, scratch: Path) -> dict[str, Path]:
    """The machines in *archive*, by the name of the directory that holds their ``sys/``.

    Written are plain files under names of ours: no link, no owner and no path of the archive's comes in.
    """
    import lzma
    import tarfile
    import zlib

    roots: dict[str, Path] = {}
    try:
        with tarfile.open(archive) as members:
            for member in members:
                match = _TOLD.fullmatch(member.name.removeprefix("./"))
                content = members.extractfile(member) if match and member.isreg() else None
                if match and content and member.size <= MAX_FILE_BYTES:
                    name = match["root"].rpartition("/")[2]
                    file = roots.setdefault(name, scratch / f"machine-{len(roots)}") / match["below"]
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(content.read())
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise MachineError(
            f"{archive} cannot be unpacked: {error}. Name a tar archive of a machine's sysfs."
        ) from error
    return {name: root for name, root in roots.items() if (root / "sys/devices/system/cpu").is_dir()}
