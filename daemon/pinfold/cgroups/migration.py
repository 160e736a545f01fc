"""The memory of running pods moved to their nodes, so that no write of ours stands still for it.

The kernel migrates pages inside a write to ``cpuset.mems``, and on 6.1 and 6.12 every other write to a cpuset waits for
that. So the pages are moved first, process by process, by migrate_pages(2), which holds up nobody; then the write finds
little to do. Dying in between leaves some pages moved and nothing written: the next one begins anew.
"""

import ctypes
import errno
import os
import platform
from collections.abc import Callable, Iterator
from typing import Protocol

from pinfold.cgroups.held import CpusetState, Held
from pinfold.cgroups.layout import MOVE_BYTES, Layout, may_move
from pinfold.cgroups.numa_stat import FILE, elsewhere_bytes
from pinfold.cgroups.paths import CgroupPath, File, below
from pinfold.cgroups.tree import Listing
from pinfold.cgroups.writes import Write
from pinfold.cpuset import NodeSet
from pinfold.errors import PinfoldError

_MIGRATE_PAGES = {"x86_64": 256, "aarch64": 238}
"""Its number. Source: syscall_64.tbl, asm-generic/unistd.h."""
_NODES = 64
"""As many as a mask holds: more than the machines that Pinfold reads have."""

Move = Callable[[int, NodeSet], None]
"""A process and the NUMA nodes that its pages go to: `migrate_pages`, or what plays it."""


class MigrationError(PinfoldError):
    """Pages cannot be moved on this machine; the nodes are left as they are."""


class Reading(Listing, Protocol):
    """`files.Cgroupfs`."""

    def read(self, path: CgroupPath, file: str, /) -> str | None: ...


def pending(layout: Layout, held: Held, move_bytes: int = MOVE_BYTES) -> tuple[Write, ...]:
    """The writes to ``cpuset.mems`` that the protocol leaves out, because too much would migrate inside them. Pure."""
    found = []
    for path, want in layout.wants.items():
        state = held.get(path, CpusetState())
        if state.mems is None or not want.mems or want.mems == state.mems or may_move(want, state, move_bytes):
            continue
        found.append(Write(path, File.MEMS, str(want.mems), want.why, want.pod))
    return tuple(found)


def size_bytes(fs: Reading, write: Write) -> int:
    """How much would migrate in *write*."""
    return elsewhere_bytes(fs.read(write.path, FILE) or "", NodeSet.parse(write.value))


def migrated(fs: Reading, write: Write, move: Move) -> Iterator[int]:
    """Move the pages of every process in the cgroup of *write*, until little is left or nothing goes any more.

    It yields after each process the bytes that are left elsewhere. Raises MigrationError.
    """
    to = NodeSet.parse(write.value)
    left = size_bytes(fs, write)
    before = left + MOVE_BYTES
    while MOVE_BYTES < left < before:
        before = left - left // 20  # who gets no further than that has pages that do not move
        for pid in tuple(_processes(fs, write.path)):
            move(pid, to)
            left = size_bytes(fs, write)
            yield left


def _processes(fs: Reading, path: CgroupPath) -> Iterator[int]:
    for pid in map(int, (fs.read(path, File.PROCS) or "").split()):
        if not pid:
            raise MigrationError(f"processes of {path} are not visible here: run Pinfold with hostPID")
        yield pid
    for name in fs.children(path):
        yield from _processes(fs, below(path, name))


def migrate_pages(pid: int, to: NodeSet) -> None:
    """Move the pages that a process has on other NUMA nodes; one that has ended is no fault. Raises MigrationError.

    Pages that it shares with others move too, which takes CAP_SYS_NICE. Source: migrate_pages(2).
    """
    number = _MIGRATE_PAGES.get(platform.machine())
    if number is None:
        raise MigrationError(f"migrate_pages(2) is not known on {platform.machine()}")
    old, new = _mask(~to.bits), _mask(to.bits)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, pid, _NODES + 1, ctypes.byref(old), ctypes.byref(new)) < 0:
        fault = ctypes.get_errno()
        if fault != errno.ESRCH:
            raise MigrationError(f"pages of process {pid} cannot be moved to NUMA nodes {to}: {os.strerror(fault)}")


def _mask(bits: int) -> "ctypes.Array[ctypes.c_char]":
    return ctypes.create_string_buffer((bits & (1 << _NODES) - 1).to_bytes(_NODES // 8, "little"), _NODES // 8)
