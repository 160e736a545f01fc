"""All of a machine that Pinfold could leave a trace in, as text, and what differs between two pictures of it.

Runs in the guest.
"""

import os
import stat
import subprocess
from pathlib import Path

CGROUPS, IRQ = Path("/sys/fs/cgroup"), Path("/proc/irq")
_NO_SETTING = (
    *("cgroup.procs", "cgroup.threads", "cgroup.kill", "memory.reclaim", "memory.peak", "memory.swap.peak"),
    *("cpu.pressure", "memory.pressure", "io.pressure", "irq.pressure", "pids.peak"),
)
_EFFECTIVE = ("cpuset.cpus.effective", "cpuset.mems.effective", "cpuset.cpus.exclusive.effective")
_PROPERTIES = (
    *("Id", "UnitFileState", "FragmentPath", "DropInPaths", "Slice", "CPUAffinity", "NUMAPolicy", "NUMAMask"),
    *("AllowedCPUs", "AllowedMemoryNodes", "StartupAllowedCPUs", "StartupAllowedMemoryNodes", "EffectiveCPUs"),
    *("CPUWeight", "CPUQuotaPerSecUSec", "CPUQuotaPeriodUSec", "MemoryMin", "MemoryLow", "MemoryHigh", "MemoryMax"),
)
_FILES = ("/etc/systemd/system", "/run/systemd/transient", "/run/systemd/system.control", "/etc/pinfold")
_PLACES = ("/var/lib/pinfold", "/run/pinfold", "/etc/pinfold", "/opt/pinfold")


def picture() -> dict[str, str]:
    """Cgroup files that can be written, and effective sets; affinities; what systemd knows; files and directories."""
    return _cgroups() | _interrupts() | _units() | _files()


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    keys = [key for key in before | after if before.get(key) != after.get(key)]
    return [f"{key}: {before.get(key, 'not there')!r} -> {after.get(key, 'not there')!r}" for key in sorted(keys)]


def _cgroups() -> dict[str, str]:
    found = {}
    for folder, _, names in os.walk(CGROUPS):
        for name in names:
            path = Path(folder, name)
            if name in _NO_SETTING or not (name in _EFFECTIVE or path.stat().st_mode & stat.S_IWUSR):
                continue
            try:
                found[f"cgroup {path.relative_to(CGROUPS)}"] = path.read_text().strip()
            except OSError as error:  # cpu.max of the root, memory.oom.group while a task dies
                found[f"cgroup {path.relative_to(CGROUPS)}"] = f"errno {error.errno}"
    return found


def _interrupts() -> dict[str, str]:
    files = [*IRQ.glob("[0-9]*/smp_affinity_list"), IRQ / "default_smp_affinity"]
    return {f"interrupt {file.relative_to(IRQ)}": file.read_text().strip() for file in files}


def _units() -> dict[str, str]:
    shown = subprocess.run(
        ["systemctl", "show", "*", *(f"--property={name}" for name in _PROPERTIES)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    units = [dict(line.split("=", 1) for line in block.splitlines()) for block in shown.split("\n\n") if block.strip()]
    return {f"unit {unit['Id']} {name}": value for unit in units for name, value in unit.items() if name != "Id"}


def _files() -> dict[str, str]:
    files = [path for folder in _FILES for path in Path(folder).rglob("*") if path.is_file() or path.is_symlink()]
    texts = {f"file {path}": str(path.readlink()) if path.is_symlink() else path.read_text() for path in files}
    return texts | {f"directory {place}": "there" for place in _PLACES if Path(place).exists()}
