"""Sysfs of real machines, from the archives in ``../shared/topologies``, each unpacked once a session.

A test takes its machine's name from MACHINES; where the archives are absent, ``sysfs_of`` skips it and says so.
"""

import atexit
import os
import re
import shutil
import tarfile
import tempfile
from functools import cache
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("PINFOLD_SHARED", Path(__file__).resolve().parents[2] / "shared"))
TOPOLOGIES = SHARED / "topologies"
EXPECTED = TOPOLOGIES / "expected"

MACHINES = (
    "hwloc-128arm-2pa2n8cluster4co",
    "hwloc-128ia64-17n4s2c",
    "hwloc-16amd64-8n2c-cpusets",
    "hwloc-16em64t-4s2c2t-offlines",
    "hwloc-20em64t-hybrid-1p6c2t+2ca4co1t",
    "hwloc-20s390-2g6s4c",
    "hwloc-256ia64-64n2s2c",
    "hwloc-32amd64-4s2n4c-cgroup2",
    "hwloc-32em64t-2n8c+dax+nvme+mic+dimms",
    "hwloc-48amd64-4pa2n6c-sparse",
    "hwloc-64amd64-4s2n4ca2co",
    "hwloc-fakecpuid1f-64intel64-2p4d2n2c2t",
    "hwloc-fakeheterocpunuma",
    "hwloc-fakememinitiators-1np2c+1npp+gi",
    "lscpu-arm-A510-A710-A715-X3",
    "lscpu-loongarch-kvm_on_loongson_3c6000",
    "lscpu-ppc64-POWER7-64cpu",
    "lscpu-s390-lpar",
    "lscpu-vmware_fpe",
    "nri-2-socket-4-node-40-core",
    "nri-topology-aware-3-machines:4-socket-server-nosnc",
    "nri-topology-aware-3-machines:desktop",
    "nri-topology-aware-3-machines:server",
    "nto-r740xd-32cpu-smt-off",
    "nto-r740xd-80cpu-realtime",
    "nto-r750-112cpu",
)
"""Name of the archive without its ending, then ``:MACHINE`` where it holds more than one."""

_WANTED = re.compile(
    r"(?P<root>.*?)/?(?P<below>sys/devices/system/cpu/([a-z_]+|cpu\d+/(online|topology/.*"
    r"|cache/index\d/(id|level|type|shared_cpu_(list|map))))"
    r"|sys/devices/system/node/([a-z_]+|node\d+/([a-z]+|hugepages/.*))|sys/kernel/mm/hugepages/.*"
    r"|sys/bus/pci/devices/[^/]*|sys/.*/pci.*/numa_node|proc/(cmdline|meminfo))"
)


def sysfs_of(machine: str) -> Path:
    """The directory to give ``read_topology``. Skips the running test where the archive is absent."""
    archive, _, inner = machine.partition(":")
    roots = _unpacked(archive)
    return next(root for root in roots if root.name == inner or not inner)


@cache
def _unpacked(archive: str) -> list[Path]:
    """The roots in *archive*: only what tells about CPUs, memory and PCI devices is unpacked."""
    found = next(TOPOLOGIES.glob(f"{archive}.t*"), None)
    if found is None:
        pytest.skip(f"{TOPOLOGIES}: no archive {archive}")
    place = Path(tempfile.mkdtemp(prefix="pinfold-sysfs-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    roots: dict[Path, None] = {}
    with tarfile.open(found) as tar:
        for member in tar:
            match = _WANTED.fullmatch(member.name.removeprefix("./"))
            if match is None or not (member.isfile() or member.issym()):
                continue
            file = place / match[0]
            file.parent.mkdir(parents=True, exist_ok=True)
            if member.issym():
                file.symlink_to(member.linkname)
            elif content := tar.extractfile(member):
                file.write_bytes(content.read())
            if match["below"].startswith("sys/devices/system/cpu/"):
                roots[place / match["root"]] = None
    return list(roots)
