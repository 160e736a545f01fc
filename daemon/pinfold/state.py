"""The checkpoint on disk: the ledger and what was found in each file before Pinfold wrote to it.

It is written, synced and renamed before the kernel is touched, so that a crash at any point restarts into the same
allocation. What cannot be read is an error value with a sentence, never a crash: the caller rebuilds.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.errors import PinfoldError
from pinfold.planning.ledger import Block, ContainerEntry, Isolation, Ledger, PodEntry
from pinfold.planning.protection import Level, Protection
from pinfold.pods.model import ContainerKind, PodUid

VERSION = 2
"""Raised when a reader of the version before would misread the data, or forget what a release gives back."""
FILE = "checkpoint.json"
MAX_BYTES = 16 << 20

Found = Mapping[str, Mapping[str, str]]
"""Cgroup path below the mount → control file → what its last writer other than Pinfold left in it."""


class StateError(PinfoldError):
    """The state directory cannot be used, or the checkpoint in it cannot be read or written."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    ledger: Ledger = Ledger()  # noqa: RUF009 immutable
    found: Found = field(default_factory=dict)
    tasks: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Task of the root cgroup → its affinity as it was found, and as Pinfold set it."""
    irqs: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Interrupt → its affinity as it was found, and as Pinfold set it."""
    generation: int = 0
    """Counts the checkpoints of this boot."""
    properties: frozenset[tuple[str, str]] = frozenset()
    """Units of systemd and which of their properties Pinfold set, or was about to."""


def boot_id(proc: Path = Path("/proc")) -> str:
    """This boot's random id. Source: random(4)."""
    return (proc / "sys/kernel/random/boot_id").read_text().strip()


class StateDirectory:
    """One daemon's directory; open it once, it is locked until closed or until the process ends.

    Raises StateError where it cannot be made, or another daemon holds it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise StateError(f"{path} cannot be used: {error.strerror}. Name a writable stateDir.") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            raise StateError(f"{path} is held by another pinfold. Two owners would fight: stop one of them.") from None

    def close(self) -> None:
        os.close(self._fd)

    def load(self, boot: str) -> Checkpoint | None:
        """The checkpoint of boot *boot*; None where there is none yet.

        Raises StateError where it is damaged, from another boot or from another version.
        """
        return load(self._path, boot)

    def save(self, checkpoint: Checkpoint, boot: str) -> None:
        """Put *checkpoint* on disk, so that it survives a crash. Raises StateError; then the old one still stands."""
        data = _data(checkpoint, boot)
        document = {"kind": "Checkpoint", "version": VERSION, "sha256": _checksum(data), "data": data}
        draft = FILE + ".new"
        try:
            fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600, dir_fd=self._fd)
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                file.write(json.dumps(document, separators=(",", ":"), sort_keys=True))  # dump is written in Python
                file.flush()
                os.fsync(fd)
            os.rename(draft, FILE, src_dir_fd=self._fd, dst_dir_fd=self._fd)
            os.fsync(self._fd)
        except OSError as error:
            raise StateError(
                f"{self._path / FILE} cannot be written: {error.strerror}. Make room in stateDir."
            ) from error

    def discard(self) -> None:
        """Remove the checkpoint: after a release there is nothing to come back to."""
        (self._path / FILE).unlink(missing_ok=True)


def load(directory: Path, boot: str) -> Checkpoint | None:
    """Read the checkpoint of *directory* without the lock, for a look from outside. As ``StateDirectory.load``."""
    path = directory / FILE
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"{path} cannot be read: {error.strerror}.") from error
    checkpoint, own_boot = _read(text, path)
    if own_boot != boot:
        raise StateError(f"{path} is from another boot of this machine, or from another machine.")
    return checkpoint


def checkpoint_of(text: str, path: Path) -> Checkpoint:
    """The checkpoint in *text*, of whatever boot and machine: for a look at another node. Raises StateError."""
    return _read(text.encode(), path)[0]


def _read(text: bytes, path: Path) -> tuple[Checkpoint, str]:
    """The checkpoint and the boot that it is of."""
    try:
        document = json.loads(text)
        version, data = document["version"], document["data"]
        if version not in {VERSION, *_CONVERTED}:
            raise StateError(f"{path} is of version {version}, this pinfold reads {VERSION}.")
        if document["sha256"] != _checksum(data):
            raise StateError(f"{path} is damaged: its checksum does not fit.")
        data = _CONVERTED[version](data) if version in _CONVERTED else data
        return _checkpoint(data), str(data["bootID"])
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise StateError(f"{path} is damaged: {type(error).__name__}: {error}.") from error


_CONVERTED: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: lambda data: {**data, "irqs": {}}}
"""Version → its data in the form of today's."""


def _checksum(data: object) -> str:
    return hashlib.sha256(json.dumps(data, separators=(",", ":"), sort_keys=True).encode()).hexdigest()


def _data(checkpoint: Checkpoint, boot: str) -> dict[str, Any]:
    return {
        "bootID": boot,
        "generation": checkpoint.generation,
        **ledger_data(checkpoint.ledger),
        "found": {path: dict(files) for path, files in checkpoint.found.items()},
        "properties": sorted(map(list, checkpoint.properties)),
        "tasks": {task: list(masks) for task, masks in checkpoint.tasks.items()},
        "irqs": {irq: list(masks) for irq, masks in checkpoint.irqs.items()},
    }


def _checkpoint(data: Mapping[str, Any]) -> Checkpoint:
    found = {str(path): {str(name): str(text) for name, text in files.items()} for path, files in data["found"].items()}
    tasks, irqs = (
        {str(one): (str(found), str(ours)) for one, (found, ours) in data[key].items()} for key in ("tasks", "irqs")
    )
    properties = frozenset((str(unit), str(name)) for unit, name in data.get("properties", ()))
    return Checkpoint(ledger_of(data), found, tasks, irqs, int(data["generation"]), properties)


def ledger_data(ledger: Ledger) -> dict[str, Any]:
    """*ledger* as JSON values."""
    return {
        "entries": [_entry_data(entry) for entry in ledger.entries.values()],
        "protections": {uid: [one.level.value, one.size_bytes] for uid, one in ledger.protections.items()},
    }


def ledger_of(data: Mapping[str, Any]) -> Ledger:
    """What ``ledger_data`` gave. Raises KeyError, TypeError, AttributeError or ValueError where it makes no sense."""
    entries = [_entry(one) for one in data["entries"]]
    protections = {
        PodUid(uid): Protection(Level(level), int(size)) for uid, (level, size) in data.get("protections", {}).items()
    }
    ledger = Ledger({entry.uid: entry for entry in entries}, protections)
    if len(ledger.entries) != len(entries) or sum(len(one.owned) for one in entries) != len(ledger.owned):
        raise ValueError("two pods own one CPU")
    return ledger


def _entry_data(entry: PodEntry) -> dict[str, Any]:
    return {
        "uid": entry.uid,
        "namespace": entry.namespace,
        "name": entry.name,
        "cpus": str(entry.cpus),
        "mems": str(entry.mems),
        "containers": [
            {
                "name": one.name,
                "kind": one.kind.value,
                "isolation": one.isolation.value,
                "cpus": str(one.cpus),
                "blocks": [_block_data(block) for block in one.blocks],
            }
            for one in entry.containers
        ],
        "blocks": [_block_data(block) for block in entry.blocks],
        "asked": dict(entry.asked),
        "isolated": entry.isolated,
    }


def _entry(data: Mapping[str, Any]) -> PodEntry:
    return PodEntry(
        uid=PodUid(data["uid"]),
        namespace=data["namespace"],
        name=data["name"],
        cpus=CpuSet.parse(data["cpus"]),
        mems=NodeSet.parse(data["mems"]),
        containers=tuple(
            ContainerEntry(
                name=one["name"],
                kind=ContainerKind(one["kind"]),
                isolation=Isolation(one["isolation"]),
                cpus=CpuSet.parse(one["cpus"]),
                blocks=tuple(map(_block, one["blocks"])),
            )
            for one in data["containers"]
        ),
        blocks=tuple(map(_block, data["blocks"])),
        asked={str(name): int(amount) for name, amount in data["asked"].items()},
        isolated=bool(data["isolated"]),
    )


def _block_data(block: Block) -> dict[str, Any]:
    return {"nodes": str(block.nodes), "resource": block.resource, "sizeBytes": block.size_bytes}


def _block(data: Mapping[str, Any]) -> Block:
    return Block(NodeSet.parse(data["nodes"]), str(data["resource"]), int(data["sizeBytes"]))
