"""(d) from a process's first look at a node of 250 pods to the first state that it has verified.

As a ratio to reading the same and doing nothing with it: a process of its own opens, reads and closes each file that
the start read (control files, manifests, sysfs, the checkpoint), and lists each directory that it listed, once. What
the start does else counts as its own: JSON made into values, watches, files that are looked for and are not there.
Both are times of the CPU in fresh processes, the least of several; what Python takes to start and to import is told
apart.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyudev  # noqa: F401  # the first hotplug monitor would import it

from pinfold.agent.daemon import tune_interpreter
from pinfold.cgroups.paths import CgroupPath
from pinfold.report.logs import configure
from tests.bench.files import FileCgroups, FileNode
from tests.bench.row import Row

PODS, OWNERS, RUNS = 250, 30, 5
BAR = 3.0
_ROOT = Path(__file__).parents[2]


class Noting(FileCgroups):
    """Notes which files are read, and which directories are listed."""

    def __init__(self, node: FileNode) -> None:
        self.files: dict[str, None] = {}
        self.directories: dict[str, None] = {}
        super().__init__(node.root / "mount", node.root, node.online)
        self.files.clear()  # of the stand-in's own reading
        self.directories.clear()

        def heard(event: str, args: tuple[object, ...]) -> None:
            if event in {"open", "os.listdir", "os.scandir"} and str(args[0]).startswith(f"{node.root}/"):
                (self.files if event == "open" else self.directories)[str(args[0])] = None

        sys.addaudithook(heard)

    def read_all(self, path: CgroupPath, files: tuple[str, ...]) -> dict[str, str]:
        texts = super().read_all(path, files)
        self.files |= {f"{self.mount}/{path}/{file}": None for file in texts}
        return texts

    def children(self, path: CgroupPath) -> tuple[str, ...]:
        self.directories[f"{self.mount}/{path}"] = None
        return super().children(path)

    def noted(self) -> dict[str, list[str]]:
        return {
            "files": [file for file in self.files if Path(file).is_file()],
            "directories": [directory for directory in self.directories if Path(directory).is_dir()],
        }


def measured() -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="pinfold-bench-") as scratch:
        node = FileNode.boot(Path(scratch))
        for number in range(1, PODS + 1):
            node.start(number, 4 if number <= OWNERS else 0)
        for what in (f"first start, {OWNERS} pods are pinned", "start beside what stands"):
            fresh = what.startswith("first")
            same = _started(node, "note", fresh=fresh)
            starts = [_started(node, "start", fresh=fresh) for _ in range(RUNS)]
            start_s = min(start["start_s"] for start in starts)
            reading_s = min(_run("read", given=json.dumps(same))["reading_s"] for _ in range(RUNS))
            reading = f"reading the same {len(same['files'])} files, {len(same['directories'])} directories"
            yield Row("d", f"{what}: imports", 1000 * min(start["imports_s"] for start in starts), "ms")
            yield Row("d", f"{what}: to the first verified state", 1000 * start_s, "ms")
            yield Row("d", reading, 1000 * reading_s, "ms")
            yield Row("d", f"{what}: over just reading", start_s / reading_s, "times", BAR)


def _started(node: FileNode, how: str, *, fresh: bool) -> dict[str, Any]:
    if fresh:
        release(node)
    return _run(how, str(node.root))


def _run(*arguments: str, given: str = "") -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": f"{_ROOT / 'daemon'}:{_ROOT}"}
    argv = [sys.executable, "-m", "tests.bench.startup", *arguments]
    done = subprocess.run(argv, env=environment, input=given, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout))


def release(node: FileNode) -> None:
    """As if nobody had pinned anything."""
    (node.root / "state/checkpoint.json").unlink(missing_ok=True)
    for file in (node.root / "mount").rglob("cpuset.*"):
        if file.name in {"cpuset.cpus", "cpuset.cpus.exclusive", "cpuset.mems"}:
            file.write_text("\n")
        elif file.name == "cpuset.cpus.partition":
            file.write_text("member\n")
        elif file.name == "cpuset.cpus.effective":
            file.write_text(f"{node.online}\n")


def started(node: FileNode, fs: FileCgroups) -> dict[str, float]:
    state = node.state()
    began = time.thread_time()
    agent = node.agent(fs, state)
    while agent.reconcile():
        agent.sources.wait(0)
    start_s = time.thread_time() - began - fs.kernel_s
    snapshot = agent.snapshot()
    if snapshot is None or len(owners := [pod for pod in snapshot.pods if pod.owned]) != OWNERS:
        raise SystemExit("not everybody is pinned")
    if drift := [one for pod in owners for one in pod.kernel.drift]:
        raise SystemExit(f"not verified: {drift}")
    agent.close()
    return {"start_s": start_s}


def read(files: list[str], directories: list[str]) -> dict[str, float]:
    began = time.thread_time()
    for file in files:
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        os.read(fd, 1 << 16)
        os.close(fd)
    for directory in directories:
        with os.scandir(directory) as entries:
            for _ in entries:
                pass
    return {"reading_s": time.thread_time() - began}


def main() -> None:
    imports_s = time.thread_time()
    configure("json", "error")
    tune_interpreter()
    match sys.argv[1:]:
        case ["read"]:
            told: dict[str, Any] = read(**json.load(sys.stdin))
        case ["start", root]:
            node = FileNode(Path(root))
            told = {"imports_s": imports_s, **started(node, node.cgroups())}
        case ["note", root]:
            node = FileNode(Path(root))
            noting = Noting(node)
            started(node, noting)
            told = noting.noted()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
