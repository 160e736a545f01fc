"""The order of the writes that turn what the kernel holds into what it should hold.

Pure. Stop after any of them, and nobody runs on a CPU beside somebody with whom he shares it neither before nor
afterwards; and nobody is without a CPU.

First the controllers are enabled, from the root down. Then the CPUs move in rounds: all that narrows, from the
innermost cgroup up; then all that widens, from the outermost down, each into those CPUs alone that its neighbours
have left. A pool that moves holds its old and its new CPUs while its containers go over. Then memory nodes, quotas
and protected memory.
"""

from collections.abc import Iterator

from pinfold.cgroups.held import MEMBER, CpusetState, Held
from pinfold.cgroups.layout import MOVE_BYTES, Layout, Want, may_move
from pinfold.cgroups.moves import Moves
from pinfold.cgroups.paths import ROOT, CgroupPath, File, parent
from pinfold.cgroups.writes import Write
from pinfold.cpuset import CpuSet

_EMPTY = CpusetState()


def ordered(held: Held, layout: Layout, move_bytes: int = MOVE_BYTES) -> tuple[Write, ...]:
    """The writes from *held* to *layout*; none where the kernel holds what it should.

    ``cpuset.mems`` of a populated cgroup is written only where it can move at most *move_bytes* (the kernel migrates
    inside the write), or only adds nodes. Pods that would have to exchange all their CPUs stay where they are: that
    takes two layouts.
    """
    free = held[ROOT].cpus_effective or CpuSet()
    if all(_is_made(want, held[path], free) for path, want in layout.wants.items() if path in held):
        return ()
    wants = {path: want for path, want in layout.wants.items() if _has_cpuset(path, held, layout)}
    outer_first = sorted(layout.wants)  # a path comes after those above it
    return (
        *_controllers(outer_first, held, layout, on=True),
        *Moves(held, wants).writes(),
        *(write for path in outer_first if path in wants for write in _memory(path, held, wants[path], move_bytes)),
        *(write for path in outer_first for write in _limits(path, held, layout.wants[path])),
        *_controllers(reversed(outer_first), held, layout, on=False),
    )


def _is_made(want: Want, state: CpusetState, free: CpuSet) -> bool:
    """Whether there is nothing to write to it; *free*: what the root cgroup has, which no partition holds."""
    if not want.stands(state):
        return False
    if want.exclusive is None:
        return True
    word = state.partition or MEMBER
    return word == (want.partition or MEMBER) and (word == MEMBER or want.exclusive.isdisjoint(free))


def _has_cpuset(path: CgroupPath, held: Held, layout: Layout) -> bool:
    """Whether the cgroup is there and has cpuset files, or will have them by the writes above it."""
    if path == ROOT or path not in held:
        return False
    above = layout.wants.get(parent(path))
    return held[path].cpus is not None or bool(above and above.gives_cpuset)


def _controllers(
    paths: Iterator[CgroupPath] | list[CgroupPath], held: Held, layout: Layout, *, on: bool
) -> Iterator[Write]:
    for path in paths:
        want = layout.wants[path]
        if want.gives_cpuset is on and path in held and held[path].gives_cpuset is not on:
            yield Write(path, File.SUBTREE_CONTROL, "+cpuset" if on else "-cpuset", want.why, want.pod)


def _memory(path: CgroupPath, held: Held, want: Want, move_bytes: int) -> Iterator[Write]:
    if want.mems is not None and want.mems != held[path].mems and may_move(want, held[path], move_bytes):
        yield Write(path, File.MEMS, str(want.mems), want.why, want.pod)


def _limits(path: CgroupPath, held: Held, want: Want) -> Iterator[Write]:
    """Quota and protected memory, from the outermost cgroup in: protection counts as far as the one above has some."""
    state, texts = held.get(path, _EMPTY), want.texts()
    for file in (File.CPU_MAX, File.MEMORY_LOW, File.MEMORY_MIN):
        if file in texts and state.text(file) not in {None, texts[file]}:
            yield Write(path, file, texts[file], want.why, want.pod)
