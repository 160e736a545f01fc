"""What systemd itself should write into the slices that it manages, so that it never writes anything else.

Pure. A slice without such properties is emptied when its first container starts and whenever one of its other
properties changes (252, 257). Only what the kernel holds already becomes a property: so no write of systemd's moves
pages, or gives CPUs away, that ours has not. Source: systemd.resource-control(5), org.freedesktop.systemd1(5).
"""

from collections.abc import Container, Iterable, Mapping
from enum import StrEnum

from pinfold.cgroups.found import found_in
from pinfold.cgroups.held import CpusetState
from pinfold.cgroups.layout import Layout, Node, Want
from pinfold.cgroups.paths import CgroupPath, File, base
from pinfold.cgroups.tree import Driver
from pinfold.cpuset import CpuSet, NodeSet

UNLIMITED = (1 << 64) - 1


class Property(StrEnum):
    ALLOWED_CPUS = "AllowedCPUs"
    ALLOWED_MEMORY_NODES = "AllowedMemoryNodes"
    MEMORY_LOW = "MemoryLow"
    MEMORY_MIN = "MemoryMin"


FILES: Mapping[Property, File] = {
    Property.ALLOWED_CPUS: File.CPUS,
    Property.ALLOWED_MEMORY_NODES: File.MEMS,
    Property.MEMORY_LOW: File.MEMORY_LOW,
    Property.MEMORY_MIN: File.MEMORY_MIN,
}

Place = tuple[str, Property]
"""A unit, and one of its properties."""
Values = Mapping[Place, str]
"""As the text of the control file that the property stands for."""


def wanted_properties(node: Node, layout: Layout) -> dict[Place, str]:
    """The properties that should hold what Pinfold wrote into the slices of pods, and into those above them."""
    places = _places(node, node.found)
    return {place: text for place, path in places.items() if (text := _written(node, layout, path, place[1]))}


def given_back(node: Node, ours: Iterable[tuple[str, str]]) -> dict[Place, str]:
    """What properties of ours, as the checkpoint names them, are to be again; without those whose unit is gone.

    Nobody else sets a pod's CPUs and memory nodes; its protected memory the kubelet may (MemoryQoS).
    """
    if not (names := set(ours)):
        return {}
    return {
        place: text
        for place, path in _places(node, node.held).items()
        if place in names and (text := _found(node, path, place[1])) is not None
    }


def _found(node: Node, path: CgroupPath, name: Property) -> str | None:
    if (state := node.held.get(path)) is None:
        return None
    if name in {Property.ALLOWED_CPUS, Property.ALLOWED_MEMORY_NODES}:
        return ""
    found = found_in(node.found, path, FILES[name])
    return state.text(FILES[name]) if found is None else found


def encoded(name: Property, text: str) -> tuple[str, object]:
    """The D-Bus signature and value for the *text* of a control file: sets as little-endian bit masks."""
    match name:
        case Property.ALLOWED_CPUS:
            return "ay", _mask(CpuSet.parse(text).bits)
        case Property.ALLOWED_MEMORY_NODES:
            return "ay", _mask(NodeSet.parse(text).bits)
        case Property.MEMORY_LOW | Property.MEMORY_MIN:
            return "t", UNLIMITED if text == "max" else int(text)


def _mask(bits: int) -> bytes:
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")


def _places(node: Node, paths: Container[CgroupPath]) -> dict[Place, CgroupPath]:
    """Of pods' slices all properties; those above are populated while it matters, and lose protected memory alone.

    Of *paths* only.
    """
    if node.tree.driver is not Driver.SYSTEMD:
        return {}
    pods = [(pod.path, name) for pod in node.tree.pods.values() if pod.path in paths for name in Property]
    memory = (Property.MEMORY_LOW, Property.MEMORY_MIN)
    outer = (path for path in (*node.tree.way[1:], *node.tree.qos_slices.values()) if path in paths)
    above = ((path, name) for path in outer for name in memory)
    return {(base(path), name): path for path, name in (*pods, *above) if _is_slice(path)}


def _is_slice(path: CgroupPath) -> bool:
    """Whether systemd has its unit there: another of that name, in a container, is not the one that the bus means.

    Source: systemd.slice(5): ``a-b.slice`` lies in ``a.slice``, and that in the root.
    """
    words = base(path).removesuffix(".slice").split("-")
    slices = ("-".join(words[: end + 1]) + ".slice" for end in range(len(words)))
    return path == "/".join(slices)


def _written(node: Node, layout: Layout, path: CgroupPath, name: Property) -> str:
    """What Pinfold wrote into the file, where it still stands there; else nothing."""
    file = FILES[name]
    want, state = layout.wants.get(path), node.held.get(path, CpusetState())
    record = node.found.get(path, {}).get(file)
    if want is None or record is None or (file is File.CPUS and not _is_pool(want)):
        return ""
    text = want.texts().get(file)
    return text if text and text in record.ours and text != record.found and text == state.text(file) else ""


def _is_pool(want: Want) -> bool:
    """Whether the pod owns these CPUs by its ``cpuset.cpus``: a partition obeys another file, which systemd leaves."""
    return bool(want.cpus) and want.owns == want.cpus and not want.exclusive
