"""Boot a virtual machine with the kernel, the CPUs and the NUMA nodes you name, and run one command in it as root.

QEMU in software emulation; the guest is a small Debian on a throw-away disk. It has this checkout's `daemon` and
`tests` where the host has them, Pinfold's Python packages, and PYTHONPATH set to all three; what it writes is lost, so
results come back as output.
"""

import os
import re
import selectors
import shlex
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.vm import host, images
from tests.vm.host import BenchError
from tests.vm.images import CHECKOUT, GUEST, PYTHONS, SITE

LATE = 124  # the exit status of a command that ran out of time, as timeout(1) has it
# Emulated cmpxchg16b (cx16) of QEMU 7.2 corrupted the kernel's allocator now and then. SMT needs a CPU family that has
# Intel's topology leaves.
CPU = "Nehalem,-cx16"
BOOT = (
    "console=ttyS0 loglevel=4 oops=panic panic=-1 mitigations=off nokaslr no_timer_check random.trust_cpu=on audit=0"
    " rdinit=/init cryptomgr.notests initcall_blacklist=jent_mod_init,load_system_certificate_list,init_encrypted"
)
BOOT_S = 240.0
"""How long a machine may take until its command begins: 12 s, where nothing else runs."""


class _BootError(BenchError):
    """The guest did not come up: in one boot of a hundred or so the emulator trips it, or hangs."""


@dataclass(frozen=True, slots=True)
class Completed:
    """What came of the command: its exit status (124: it ran out of time), its stdout and stderr as one text."""

    status: int
    output: str
    began_s: float | None  # from power on to the command; None: it never began


def run_in_vm(
    command: Sequence[str],
    *,
    kernel: Literal["6.1", "6.12", "new"] = "6.12",
    debian: Literal["12", "13"] = "12",
    init: Literal["command", "systemd"] = "command",
    smp: str = "8",
    numa: str = "2",
    dist: str = "",
    mem_mib: int = 512,
    offline: str = "",
    append: str = "",
    packages: Sequence[str] = (),
    wheels: Sequence[str] = (),
    shares: Sequence[Path] = (),
    env: Mapping[str, str] | None = None,
    timeout_s: float = 300,
    console: Path | None = None,
    echo: bool = False,
    tty: bool = False,
) -> Completed:
    """Run *command* in a new machine and wait for it.

    *smp* is QEMU's (``8``, ``8,sockets=2,cores=2,threads=2``); *numa* a number of equal nodes, or the CPUs of each
    (``0-3/4-6,8/7/``, the last has memory only) with *mem_mib* MiB each and *dist* a row of distances for each
    (``10,21/21,10``). *offline* CPUs (``3,7``) leave before the command. *init* ``command`` has no systemd and all of
    cgroup2 to itself, with nothing enabled. *packages* are Debian's and *wheels* PyPI's that the guest has beside its
    own; *shares* are further directories to copy in. *echo* also prints the output as it comes; *tty* gives the command
    our terminal instead.

    Raises NotAvailableError where the host can't, BenchError where the machine failed.
    """
    host.check()
    vmlinuz, system = images.kernel(kernel) / "vmlinuz", images.disk(debian, packages)
    shared = [CHECKOUT / "daemon", CHECKOUT / "tests", *(share.resolve() for share in shares)]
    job = {
        "mode": init,
        "offline": offline.replace(",", " "),
        "tty": "1" if tty else "",
        "cwd": Path.cwd(),
        "shares": " ".join([SITE, *map(str, shared)]),
        "run": shlex.join(command),
    }
    exported = {"PYTHONPATH": f"{CHECKOUT / 'daemon'}:{CHECKOUT}:{SITE}", **(env or {})}
    lines = [f"{name}={shlex.quote(str(value))}\n" for name, value in job.items()]
    lines += [f"export {name}={shlex.quote(value)}\n" for name, value in exported.items()]
    with tempfile.TemporaryDirectory(prefix="pinfold-vm-") as scratch:
        drives = [system / "root.ext4", images.site(debian, wheels) / "site.ext4"]
        drives += [_copied(share, Path(scratch, f"share{place}"), debian) for place, share in enumerate(shared)]
        (initrd := Path(scratch, "initrd")).write_bytes(_first_files(vmlinuz, system / "busybox", "".join(lines)))
        console = console or Path(scratch, "console")
        argv = [
            *("setpriv", "--pdeathsig", "KILL", *images.emulator()),
            *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
            *("-M", "pc", "-cpu", CPU, "-accel", "tcg,thread=multi", *_nodes(smp, numa, dist, mem_mib)),
            *("-kernel", str(vmlinuz), "-initrd", str(initrd), "-append", f"{BOOT} {append}"),
            *("-serial", f"file:{console}", "-serial", "stdio"),
        ]
        for drive in drives:
            argv += ["-drive", f"file={drive},format=raw,if=virtio,snapshot=on,cache=unsafe"]
        try:
            try:
                return _follow(argv, Path(scratch), timeout_s, echo=echo, tty=tty)
            except _BootError as error:
                print(f"tests.vm: {error}; booting once more", file=sys.stderr)
                return _follow(argv, Path(scratch), timeout_s, echo=echo, tty=tty)
        except BenchError as error:
            raise BenchError(f"{error}; its console ended:\n{console.read_text(errors='replace')[-3000:]}") from error


def _copied(share: Path, tree: Path, debian: str) -> Path:
    """An image of what *share* holds now."""
    tree.mkdir()
    host.sh("tar -cC $1 --exclude=./.git . | tar -xC $2", share, tree)
    images.compiled(tree, str(share), PYTHONS[debian])
    images.ext4(tree, image := tree.with_suffix(".ext4"))
    return image


def _nodes(smp: str, numa: str, dist: str, mem_mib: int) -> list[str]:
    """QEMU's words for the CPUs, the nodes and their memory."""
    count, nodes = int(smp.split(",")[0]), numa.split("/")
    if numa.isdigit():
        per = count // int(numa)
        nodes = [f"{first}-{first + per - 1}" for first in range(0, per * int(numa), per)]
    argv = ["-smp", smp, "-m", f"{mem_mib * len(nodes)}M"]
    for node, cpus in enumerate(nodes):
        spans = "".join(f",cpus={span}" for span in cpus.split(",") if span)
        argv += ["-object", f"memory-backend-ram,id=m{node},size={mem_mib}M"]
        argv += ["-numa", f"node,nodeid={node},memdev=m{node}{spans}"]
    for src, row in enumerate(dist.split("/") if dist else ()):
        for dst, value in enumerate(row.split(",")):
            argv += ["-numa", f"dist,src={src},dst={dst},val={value}"]
    return argv


def _cpio(entries: list[tuple[str, int, bytes]]) -> bytes:
    """A newc archive, which is what the kernel unpacks as its first file system."""
    out = bytearray()
    for ino, (name, mode, data) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        fields = (ino, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        out += b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
        out += b"\0" * (-len(out) % 4) + data
        out += b"\0" * (-len(out) % 4)
    return bytes(out)


def _first_files(vmlinuz: Path, busybox: Path, job: str) -> bytes:
    files = {"bin/busybox": busybox.read_bytes(), "init": GUEST, "job": job.encode()}
    files |= {f"mods/{ko.name}": ko.read_bytes() for ko in sorted(vmlinuz.parent.glob("*.ko"))}
    folders = [(name, stat.S_IFDIR | 0o755, b"") for name in ("bin", "proc", "sys", "dev", "root", "mods")]
    return _cpio(folders + [(name, stat.S_IFREG | 0o755, data) for name, data in files.items()])


def _follow(argv: list[str], scratch: Path, timeout_s: float, *, echo: bool, tty: bool) -> Completed:
    """Run the machine until the guest says ``exit N`` on its third serial port, and gather what the command prints."""
    began, deadline, began_s = time.monotonic(), time.monotonic() + timeout_s, None
    said_out, said_in = os.pipe()
    vm = subprocess.Popen(
        [*argv, "-chardev", f"file,id=said,path=/dev/fd/{said_in}", "-serial", "chardev:said"],
        stdin=None if tty else subprocess.DEVNULL,
        stdout=None if tty else subprocess.PIPE,
        pass_fds=(said_in,),
        env={**os.environ, "TMPDIR": str(scratch)},  # where QEMU keeps what the guest writes
    )
    os.close(said_in)
    said, output = bytearray(), bytearray()
    try:
        with selectors.DefaultSelector() as waiting:
            waiting.register(said_out, selectors.EVENT_READ, said)
            if vm.stdout:
                waiting.register(vm.stdout, selectors.EVENT_READ, output)
            while not (ended := re.search(rb"exit (\d+)\r?\n", said)):
                end = deadline if began_s is not None else min(deadline, began + BOOT_S)
                for ready, _ in waiting.select(max(0.0, end - time.monotonic())):
                    if not (chunk := os.read(ready.fd, 65536)) and ready.data is said:
                        raise (_BootError if began_s is None else BenchError)("the machine went away")
                    ready.data.extend(chunk)
                    if echo and ready.data is output:
                        sys.stdout.buffer.write(chunk)
                        sys.stdout.flush()
                if began_s is None and b"start" in said:
                    began_s = time.monotonic() - began
                if time.monotonic() > deadline:
                    break
                if began_s is None and time.monotonic() > began + BOOT_S:
                    raise _BootError("the machine hung while it booted")
    finally:
        vm.kill()
        rest, _ = vm.communicate()
        os.close(said_out)
    if rest and echo:
        sys.stdout.buffer.write(rest)
        sys.stdout.flush()
    output += rest or b""
    return Completed(int(ended[1]) if ended else LATE, output.decode(errors="replace"), began_s)
