"""``pinfold bundle``: one file that tells all about this node's pools, for a bug report, and nothing that is secret.

Every part is let in by name: files of sysfs, keys of the configuration, fields of a pod, control files of cgroups. What
cannot be had is told in it; ``pinfold plan --bundle FILE`` replays the last decision from it on any machine.
"""

import io
import json
import os
import re
import sys
import tarfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

from pinfold import __version__
from pinfold.agent.comparison import NodeError
from pinfold.agent.enforcement import NodeCgroups
from pinfold.cgroups.held import FILES
from pinfold.cgroups.paths import CgroupPath, File
from pinfold.cgroups.tree import NoTree
from pinfold.cli.configuration import configured
from pinfold.cli.connection import ask
from pinfold.config import Config
from pinfold.errors import PinfoldError
from pinfold.report.plain import plain
from pinfold.state import FILE, MAX_BYTES, checkpoint_of

ROOT = "pinfold-bundle"
CONFIGURATION = (
    "apiVersion",
    "kind",
    "nodeName",
    "reservedSystemCPUs",
    "cpuManagerPolicyOptions",
    "cpuManagerReconcilePeriod",
    "memoryManagerPolicy",
    "reservedMemory",
    "topologyManagerPolicy",
    "topologyManagerScope",
    "topologyManagerPolicyOptions",
    "manage",
    "onUnsatisfied",
    "minSharedCPUs",
    "allowUnscheduledPools",
    "annotationNamespaces",
    "memoryMinNamespaces",
    "cgroupRoot",
    "cgroupDriver",
    "exclusivity",
    "irqGuard",
    "cgroupMount",
    "sources.kubelet.rootDir",
    "report.events",
    "log.level",
)
"""The keys that are let in: all that a decision or a write depends on, no credential and no place of one."""

_SYSFS = (
    "sys/devices/system/cpu",
    "sys/devices/system/node",
    "sys/kernel/mm/hugepages",
)
_TOLD = re.compile(
    r"sys/devices/system/cpu/(?:online|offline|present|possible|isolated"
    r"|cpu\d+/(?:online|topology/\w+|cache/index\d+/(?:level|type|size|shared_cpu_list|shared_cpu_map)))"
    r"|sys/devices/system/node/(?:online|possible|has_cpu|has_memory"
    r"|node\d+/(?:cpulist|cpumap|distance|meminfo|hugepages/[\w-]+/nr_hugepages))"
    r"|sys/kernel/mm/hugepages/[\w-]+/nr_hugepages|proc/meminfo",
    re.ASCII,
)
_DEPTH = 4
_KERNEL = tuple(file for file in FILES if file is not File.PROCS)


class BundleError(PinfoldError):
    """A bundle that cannot be written."""


def main(options: Namespace) -> int:
    config = configured(options)
    missing: list[str] = []
    name = options.file or f"pinfold-{config.node_name or os.uname().nodename}-{int(time.time())}.tar.gz"
    with _opened(name) as stream, tarfile.open(fileobj=stream, mode="w|gz") as archive:
        for path, content in _parts(options, config, missing):
            member = tarfile.TarInfo(f"{ROOT}/{path}")
            member.size, member.mode, member.mtime = len(content), 0o600, int(time.time())
            archive.addfile(member, io.BytesIO(content))
    for fault in missing:
        print(f"pinfold: left out: {plain(fault)}", file=sys.stderr)
    if name != "-":
        print(name)
    return 0


def _opened(name: str) -> BinaryIO:
    """Never over a file that is there. Raises BundleError."""
    if name == "-":
        if sys.stdout.isatty():
            raise BundleError("a bundle is no text for a terminal. Name a file, or send it on: pinfold bundle - > FILE")
        return os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    try:
        return os.fdopen(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")
    except OSError as error:
        raise BundleError(f"{name} cannot be made: {error.strerror}. Name another file.") from error


def _parts(options: Namespace, config: Config, missing: list[str]) -> Iterator[tuple[str, bytes]]:
    """(path, content) of each part; what cannot be had is added to *missing*, which is told in the last one."""
    documents: dict[str, Callable[[], Any]] = {
        "config.json": lambda: allowed(_configuration(options, config)),
        "decision.json": lambda: ask(options, "/decision"),
        "status.json": lambda: ask(options, "/status"),
        "checkpoint.json": lambda: _checkpoint(Path(config.state_dir) / FILE),
        "cgroups.json": lambda: _cgroups(config),
    }
    for path, read in documents.items():
        try:
            yield path, _json(read())
        except PinfoldError as error:
            missing.append(f"{path}: {error}")
    yield from _sysfs(Path(config.sysfs_root))
    uname = os.uname()
    about = {
        "apiVersion": "pinfold.dev/v1alpha1",
        "kind": "Bundle",
        "version": __version__,
        "python": sys.version.split()[0],
        "kernel": uname.release,
        "architecture": uname.machine,
        "madeAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "missing": missing,
    }
    yield "bundle.json", _json(about)


def _json(document: Any) -> bytes:  # noqa: ANN401
    return json.dumps(document, indent=1).encode() + b"\n"


def _configuration(options: Namespace, config: Config) -> dict[str, Any]:
    """What the daemon runs under; where none answers, what this command was given."""
    try:
        document: dict[str, Any] = ask(options, "/configz")["pinfold"]
    except PinfoldError:
        return config.dumped()
    return document


def allowed(configuration: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for dotted in CONFIGURATION:
        *way, key = dotted.split(".")
        source, target = configuration, kept
        for part in way:
            source, target = source.get(part, {}), target.setdefault(part, {})
        if key in source:
            target[key] = source[key]
    return kept


def _checkpoint(path: Path) -> Any:  # noqa: ANN401
    """As it is on disk, where it is one of ours and whole. Raises PinfoldError."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise NodeError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    checkpoint_of(text, path)
    return json.loads(text)


def _cgroups(config: Config) -> dict[str, dict[str, str]]:
    """What the kernel holds: the control files of every cgroup down to the containers. Raises PinfoldError."""
    with closing(NodeCgroups(config)) as cgroups:
        tree = cgroups.discover()
        if isinstance(tree, NoTree):
            raise NodeError(tree.message)
        pods = [path for pod in tree.pods.values() for path in (pod.path, *(one.path for one in pod.containers))]
        paths: tuple[CgroupPath, ...] = (*tree.way, *tree.qos_slices.values(), *tree.outsiders, *pods)
        return {path or "/": cgroups.fs.read_all(path, _KERNEL) for path in paths}


def _sysfs(root: Path) -> Iterator[tuple[str, bytes]]:
    """The files that tell about CPUs and memory, as they read. What cannot be read is not told by this machine."""
    for path in (Path("proc/meminfo"), *(file for top in _SYSFS for file in _below(root, Path(top), _DEPTH))):
        if _TOLD.fullmatch(str(path)):
            try:
                yield str(path), (root / path).read_bytes()
            except OSError:
                continue


def _below(root: Path, directory: Path, depth: int) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(root / directory), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        path = directory / entry.name
        if entry.is_file(follow_symlinks=False):
            yield path
        elif depth and entry.is_dir(follow_symlinks=False):
            yield from _below(root, path, depth - 1)
