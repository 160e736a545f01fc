"""The guest's side: take planned steps on the kernel that runs here and compare all that can be read.

Standard library only, and little of it: the machine is emulated. The model comes in only to shorten a failure.
"""

import ctypes
import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

MOUNT = "/sys/fs/cgroup"
CPUS = "/sys/devices/system/cpu"
DEBUG = "/sys/kernel/debug"
SETTLE_S = 20.0  # 6.1 gives the CPUs of a removed partition back from a work queue
CAP_SYS_ADMIN = 21
UNRELATED = "sched_cpu_dying"  # a CPU that goes offline while tasks are still queued on it: a busy host, no cpuset


Rows = list[tuple[list[str], str, dict[str, str | None]]]


class Difference(Exception):  # noqa: N818 - the finding this program is for
    """The kernel's answer, or what it shows, is not what the model expected."""

    def __init__(self, at: int, lines: list[str]) -> None:
        super().__init__("; ".join(lines))
        self.at = at
        self.lines = lines


class Node(Protocol):
    """What steps are taken on: this machine, or in a test another model."""

    settle_s: float

    def take(self, packed: list[str]) -> str: ...
    def read(self, key: str) -> str: ...
    def forget(self, key: str) -> None: ...
    def clean(self) -> None: ...
    def warnings(self) -> list[str]: ...


class Machine:
    """This machine's cgroups, sleeping tasks and CPU switches."""

    def __init__(self, tasks: list[str]) -> None:
        self.pids = {task: _sleeper() for task in tasks}
        self.names = {str(pid): task for task, pid in self.pids.items()}
        self.files: dict[str, tuple[int, Callable[[bytes], str]]] = {}
        self.cpus = set(range(os.sysconf("SC_NPROCESSORS_CONF")))
        self.log = KernelLog()
        self.settle_s = SETTLE_S

    def take(self, packed: list[str]) -> str:
        """Take one step; the errno's name, or nothing."""
        op, path, file, text, task, before = packed
        where = f"{MOUNT}/{path}"
        try:
            match op:
                case "mkdir":
                    Path(where).mkdir(mode=0o755)
                case "rmdir":
                    Path(where).rmdir()
                case "write":
                    _write(f"{where}/{file}", text)
                case "write without CAP_SYS_ADMIN":
                    with _Unprivileged():
                        _write(f"{where}/{file}", text)
                case "two writes on one open file":
                    _write(f"{where}/{file}", before, text)
                case "rmdir, then write on a file that was open":
                    _write_stale(where, file, text)
                case "move a task":
                    _write(f"{where}/cgroup.procs", str(self.pids[task]))
                case "sched_setaffinity":
                    os.sched_setaffinity(self.pids[task], _cpus(text))
                case _:
                    _write(f"{CPUS}/cpu{text}/online", "1" if op == "CPU online" else "0")
        except OSError as error:
            return _name(error)
        return ""

    def read(self, key: str) -> str:
        try:
            if key not in self.files:
                path, parsed = self._path(key)
                self.files[key] = os.open(path, os.O_RDONLY), parsed
            file, parsed = self.files[key]
            return parsed(os.pread(file, 4096, 0))
        except OSError as error:
            return _name(error)

    def _path(self, key: str) -> tuple[str, Callable[[bytes], str]]:
        where, _, what = key.partition("|")
        match what:
            case "online":
                return f"{CPUS}/online", _text
            case "home":
                return f"/proc/{self.pids[where]}/cgroup", _home
            case "mask":
                return f"/proc/{self.pids[where]}/status", _mask
        return f"{MOUNT}/{where}/{what}", _text

    def forget(self, key: str) -> None:
        if key in self.files:
            os.close(self.files.pop(key)[0])

    def warnings(self) -> list[str]:
        return self.log.warnings()

    def clean(self) -> None:
        """Back to a tree with nothing in it, and to a root cgroup with all CPUs."""
        for key in list(self.files):
            self.forget(key)
        for pid in self.pids.values():
            _write(f"{MOUNT}/cgroup.procs", str(pid))
        for folder, _, _ in os.walk(MOUNT, topdown=False):
            if folder != MOUNT:
                Path(folder).rmdir()
        for cpu in self.cpus - {0}:
            _write(f"{CPUS}/cpu{cpu}/online", "1")
        _write(f"{MOUNT}/cgroup.subtree_control", "-cpuset")
        self._mend()
        for pid in self.pids.values():
            os.sched_setaffinity(pid, self.cpus)

    def _mend(self) -> None:
        """CPUs that belong to nobody on 6.12 go through a partition below the root (docs/kernel.md)."""
        with Path(f"{MOUNT}/cpuset.cpus.effective").open() as effective:
            lost = self.cpus - _cpus(effective.read())
        if lost and Path(f"{MOUNT}/cpuset.cpus.isolated").exists():
            _write(f"{MOUNT}/cgroup.subtree_control", "+cpuset")
            Path(f"{MOUNT}/mend").mkdir()
            for file, text in (("", ",".join(map(str, lost))), (".partition", "root"), (".partition", "member")):
                _write(f"{MOUNT}/mend/cpuset.cpus{file}", text)
            Path(f"{MOUNT}/mend").rmdir()
            _write(f"{MOUNT}/cgroup.subtree_control", "-cpuset")


class KernelLog:
    """What the kernel itself finds wrong: a warning means a faulty state that the model did not name."""

    def __init__(self) -> None:
        subprocess.run(["mount", "-t", "debugfs", "debugfs", DEBUG], check=True)
        self.log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        self.warnings()

    def warnings(self) -> list[str]:
        """Those since the last call. Each place in the kernel warns once until it is told to start anew."""
        found = []
        while True:
            try:
                record = os.read(self.log, 8192).decode(errors="replace")
            except BlockingIOError:
                break
            if "WARNING:" in record and UNRELATED not in record:
                found.append("the kernel says: " + record.partition(";")[2].split("\n")[0])
        if found:
            _write(f"{DEBUG}/clear_warn_once", "1")
        return found


def replay(node: Node, start: dict[str, str], rows: Rows) -> None:
    """Raises Difference."""
    node.clean()
    expected = dict(start)
    _compare(node, expected, -1)
    for at, (packed, outcome, change) in enumerate(rows):
        answer = node.take(packed)
        if answer != outcome:
            raise Difference(at, [f"the kernel answers {answer or 'ok'}, the model {outcome or 'ok'}"])
        for key, text in change.items():
            if text is None:
                del expected[key]
                node.forget(key)
            else:
                expected[key] = text
        _compare(node, expected, at)
        if found := node.warnings():
            raise Difference(at, found)


def _compare(node: Node, expected: dict[str, str], at: int) -> None:
    deadline = time.monotonic() + node.settle_s
    while differ := [key for key, text in expected.items() if node.read(key) != text]:
        if time.monotonic() > deadline:
            raise Difference(at, [f"{key}: kernel {node.read(key)!r}, model {expected[key]!r}" for key in differ])
        time.sleep(0.02)


def _name(error: OSError) -> str:
    number = error.errno or 0
    return "EOPNOTSUPP" if number == errno.EOPNOTSUPP else errno.errorcode[number]


def _sleeper() -> int:
    pid = os.fork()
    if pid == 0:
        while True:
            signal.pause()
    return pid


def _write(path: str, *texts: str) -> None:
    file = os.open(path, os.O_WRONLY)
    try:
        for text in texts:
            os.write(file, text.encode() or b"\n")
    finally:
        os.close(file)


def _write_stale(folder: str, name: str, text: str) -> None:
    file = os.open(f"{folder}/{name}", os.O_WRONLY)
    try:
        Path(folder).rmdir()
        os.write(file, text.encode() or b"\n")
    finally:
        os.close(file)


def _cpus(text: str) -> set[int]:
    spans = (item.partition("-") for item in text.split(","))
    return {cpu for first, _, last in spans for cpu in range(int(first), int(last or first) + 1)}


def _text(content: bytes) -> str:
    return content.decode().rstrip("\n")


def _home(content: bytes) -> str:
    return content.decode().rpartition("::/")[2].strip()


def _mask(content: bytes) -> str:
    return content.partition(b"Cpus_allowed_list:")[2].split(b"\n", 1)[0].decode().strip()


class _Unprivileged:
    """This process without CAP_SYS_ADMIN in its effective set, for the time of a block. Source: capset(2)."""

    _libc = ctypes.CDLL(None, use_errno=True)

    def __init__(self) -> None:
        self.header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        self.sets = (ctypes.c_uint32 * 6)()
        self._call("capget")
        self.effective = self.sets[0]

    def __enter__(self) -> None:
        self.sets[0] = self.effective & ~(1 << CAP_SYS_ADMIN)
        self._call("capset")

    def __exit__(self, *_: object) -> None:
        self.sets[0] = self.effective
        self._call("capset")

    def _call(self, name: str) -> None:
        if getattr(self._libc, name)(self.header, self.sets):
            raise OSError(ctypes.get_errno(), name)


def main() -> None:
    """Replay the sequences in the file that the first argument names; each answer is a line of JSON."""
    path, kernel, isolcpus = sys.argv[1:]
    with Path(path).open() as lines:
        tasks = json.loads(next(lines))
        machine = Machine(tasks)
        for number, line in enumerate(lines):
            start, rows = json.loads(line)
            print(json.dumps({"begins": number}), flush=True)  # for the case that the kernel does not survive it
            try:
                replay(machine, start, rows)
                print(json.dumps({"sequence": number, "passed": len(rows)}), flush=True)
            except Difference as found:
                steps = [packed for packed, _, _ in rows[: found.at + 1]]
                print(json.dumps(_shortened(machine, number, steps, found, kernel, isolcpus)), flush=True)
                if found.at < 0:
                    break  # nothing that starts here is worth comparing
    machine.clean()
    for pid in machine.pids.values():
        os.kill(pid, signal.SIGKILL)


def _shortened(
    machine: Machine, number: int, steps: list[list[str]], found: Difference, kernel: str, isolcpus: str
) -> dict[str, object]:
    from tests.differential.shrink import shortest

    shown = {"sequence": number, "passed": max(found.at, 0), "at": found.at, "lines": found.lines, "steps": steps}
    if found.at >= 0:
        shown["steps"], shown["lines"] = shortest(machine, steps, found.lines, kernel, isolcpus)
    return shown


if __name__ == "__main__":
    main()
