"""What stood in each file before Pinfold wrote to it: what a release gives back.

Pure. "Found" is what the last *other* writer left, not what was there on the first day: so every value that Pinfold
wrote, or was about to write when it died, is kept beside it. Any other value in the file is somebody else's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pinfold.cgroups.held import MEMBER, CpusetState, Held
from pinfold.cgroups.paths import CgroupPath, File
from pinfold.cgroups.tree import PodCgroup, Tree, bears_pods_name, container
from pinfold.cgroups.writes import Write
from pinfold.topology.model import Topology


@dataclass(frozen=True, slots=True)
class Record:
    """One control file."""

    found: str
    """What its last writer other than Pinfold left in it."""
    ours: frozenset[str]
    """What Pinfold wrote, or was about to write."""


Found = Mapping[CgroupPath, Mapping[File, Record]]


def found_in(found: Found, path: CgroupPath, file: File) -> str | None:
    """What the last other writer left in a file that Pinfold wrote to; None where Pinfold never did."""
    record = found.get(path, {}).get(file)
    return None if record is None else record.found


def refreshed(found: Found, tree: Tree, held: Held, topology: Topology) -> Found:
    """*found* as of now: without what is gone (with its cgroup, or with its controller) or holds again what was found.

    What stands in a file and is none of ours, somebody else wrote since. To be done before a layout is made of it.
    """
    there = tree.owners.keys() | {*tree.way, *tree.qos_slices.values(), *tree.outsiders}
    now: dict[CgroupPath, dict[File, Record]] = {}
    for path, records in found.items():
        for file, record in records.items() if path in there else ():
            state = held.get(path)
            text = state.text(file) if state else None
            if state is None or text in record.ours:
                now.setdefault(path, {})[file] = record
            elif text is not None and text != given_back(record.found, file, state, topology):
                now.setdefault(path, {})[file] = Record(text, frozenset())
    return now


def noted(found: Found, held: Held, writes: Iterable[Write]) -> Found:
    """*found* with what stands in the files that *writes* go to. To be on disk before the first of them is done."""
    coming: dict[tuple[CgroupPath, File], set[str]] = {}
    for write in writes:
        coming.setdefault((write.path, write.file), set()).add(write.value)
    if not coming:
        return found
    noted = {path: dict(records) for path, records in found.items()}
    for (path, file), values in coming.items():
        now = held[path].text(file) or (MEMBER if file is File.PARTITION else "")  # a new file holds that
        record = noted.setdefault(path, {}).get(file, Record(now, frozenset()))
        noted[path][file] = Record(record.found, frozenset({now} & record.ours | values))
    return noted


def narrowed(found: Found, path: CgroupPath, value: str) -> Found:
    """*found* with a container that was given *value* as soon as it appeared, when nobody had given it CPUs yet."""
    records = found.get(path, {})
    ours = records[File.CPUS].ours if File.CPUS in records else frozenset[str]()
    return {**found, path: {**records, File.CPUS: Record("", ours | {value})}}


def overlooked(found: Found, paths: Iterable[CgroupPath], held: Held) -> Found:
    """*found* with the CPUs that the cgroups *paths*, of pods and containers, were given and nobody noted.

    By a Pinfold that died before it did, or while the disk was full.
    """
    for path in paths:
        if path in held and held[path].cpus and File.CPUS not in found.get(path, {}):
            found = narrowed(found, path, str(held[path].cpus))
    return found


def is_found_again(path: CgroupPath, file: File) -> bool:
    """Whether `overlooked` would find what Pinfold wrote there."""
    return file is File.CPUS and (bears_pods_name(path) or container(path).id is not None)


def left_by_kubelet(pods: Iterable[PodCgroup], held: Held) -> Found:
    """The sets that a static kubelet gave the containers of *pods*: what they are to have again when they go back."""
    paths = (one.path for pod in pods for one in pod.containers if one.path in held)
    sets = {path: str(cpus) for path in paths if (cpus := held[path].cpus)}
    return {path: {File.CPUS: Record(text, frozenset({text}))} for path, text in sets.items()}


def given_back(found: str, file: File, state: CpusetState, topology: Topology) -> str:
    """What to write so that *file* is as it was found.

    A populated cgroup takes no empty set (ENOSPC, all kernels): there all CPUs or all memory nodes mean the same.
    """
    if found or not state.populated or state.text(file) == found:
        return found
    match file:
        case File.CPUS:
            return str(topology.possible or topology.online)
        case File.MEMS:
            return str(topology.memory_nodes)
        case _:
            return found


def adopted(tree: Tree, held: Held) -> Found:
    """What Pinfold must have written into the pods' cgroups, where its own memory of that is lost.

    Nobody else writes there while the kubelet's CPU manager policy is ``none``: what was found was empty.
    """
    pods = [path for pod in tree.pods.values() for path in (pod.path, *(one.path for one in pod.containers))]
    unset = {File.CPUS: "", File.EXCLUSIVE: "", File.PARTITION: MEMBER}
    adopted: dict[CgroupPath, dict[File, Record]] = {}
    for path in (tree.kubepods, *tree.qos_slices.values(), *pods):
        for file, found in unset.items():
            state = held.get(path, CpusetState())
            text = state.text(file)
            if file is File.PARTITION and state.exclusive is None:
                continue  # a kernel without remote partitions: Pinfold makes none
            if text not in {None, found} and (path != tree.kubepods or file is not File.CPUS):  # that is the kubelet's
                adopted.setdefault(path, {})[file] = Record(found, frozenset({text or ""}))
    return adopted


def to_text(found: Found) -> dict[str, dict[str, str]]:
    """For the checkpoint: path → file → one value a line, first the found one, then ours."""
    return {
        path: {file.value: "\n".join((record.found, *sorted(record.ours))) for file, record in records.items()}
        for path, records in found.items()
    }


def from_text(text: Mapping[str, Mapping[str, str]]) -> Found:
    """Raises ValueError where a file is none of ours."""
    return {
        CgroupPath(path): {File(name): _record(lines.split("\n")) for name, lines in files.items()}
        for path, files in text.items()
    }


def _record(lines: list[str]) -> Record:
    return Record(lines[0], frozenset(lines[1:]))
