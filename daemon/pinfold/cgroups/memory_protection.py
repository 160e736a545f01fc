"""Memory that the kernel takes from a pod last (``memory.low``) or never (``memory.min``): a database's page cache.

Pure. The kernel hands protection down: a cgroup has at most what the one above it has. So the pod's amount stands in
its containers, in its own cgroup and, added up with its neighbours', in every cgroup above but the root. Within the pod
it goes to whoever uses memory. Source: kernel document cgroup-v2.rst, effective protection (mm/page_counter.c).
"""

from collections import Counter
from collections.abc import Iterator

from pinfold.cgroups.found import found_in
from pinfold.cgroups.layout import Node, Piece, Want
from pinfold.cgroups.paths import ROOT, CgroupPath, File, above
from pinfold.planning.protection import Level, Protections

_FILES = {Level.LOW: File.MEMORY_LOW, Level.MIN: File.MEMORY_MIN}


def protected(node: Node, protections: Protections) -> Iterator[Piece]:
    """What the cgroups of the pods *protections*, and all above them, should hold.

    Where somebody else protects more (the kubelet's MemoryQoS), that stands.
    """
    sums: Counter[tuple[CgroupPath, File]] = Counter()
    for uid, one in protections.items():
        if pod := node.tree.pods.get(uid):
            file = _FILES[one.level]
            for path in (pod.path, *(container.path for container in pod.containers)):
                yield from _at_least(node, path, file, one.size_bytes, Want("protected memory of the pod", uid))
            sums.update({(path, file): one.size_bytes for path in above(pod.path) if path != ROOT})
    for (path, file), size_bytes in sums.items():
        yield from _at_least(node, path, file, size_bytes, Want("protected memory of pods below"))


def _at_least(node: Node, path: CgroupPath, file: File, size_bytes: int, want: Want) -> Iterator[Piece]:
    state = node.held.get(path)
    if state is None or (held := state.text(file)) is None:
        return
    found = found_in(node.found, path, file)
    others = held if found is None else found
    text = others if others == "max" or int(others) >= size_bytes else str(size_bytes)
    if file is File.MEMORY_LOW:
        yield path, Want(want.why, want.pod, memory_low=text)
    else:
        yield path, Want(want.why, want.pod, memory_min=text)
