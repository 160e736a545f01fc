"""(d) from a process's first look at a node of 250 pods to the first state that it has verified.

As a ratio to reading the same files and doing nothing with them: each control file, manifest and file of the machine
that the start read, once, by open, read and close. What Python takes to start and to import is told apart.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from pinfold.cgroups.paths import CgroupPath
from pinfold.report.logs import configure
from tests.bench.files import FileCgroups, FileNode
from tests.bench.row import Row

PODS, OWNERS, RUNS = 250, 30, 5
BAR = 3.0
_ROOT = Path(__file__).parents[2]


class Noting(FileCgroups):
    """Notes which files are read."""

    read_files: "dict[str, None]"

    def read_all(self, path: CgroupPath, files: tuple[str, ...]) -> dict[str, str]:
        texts = super().read_all(path, files)
        self.read_files |= {f"{self.mount}/{path}/{file}": None for file in texts}
        return texts


def measured() -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="pinfold-bench-") as scratch:
        node = FileNode.boot(Path(scratch))
        for number in range(1, PODS + 1):
            node.start(number, 4 if number <= OWNERS else 0)
        for what in (f"first start, {OWNERS} pods are pinned", "start beside what stands"):
            runs = [_run(node, fresh=what.startswith("first")) for _ in range(RUNS)]
            least = min(runs, key=lambda run: run["start_s"] / run["reading_s"])
            yield Row("d", f"{what}: imports", 1000 * least["imports_s"], "ms")
            yield Row("d", f"{what}: to the first verified state", 1000 * least["start_s"], "ms")
            yield Row("d", f"reading the same {least['files']:.0f} files", 1000 * least["reading_s"], "ms")
            yield Row("d", f"{what}: over just reading", least["start_s"] / least["reading_s"], "times", BAR)


def _run(node: FileNode, *, fresh: bool) -> dict[str, float]:
    if fresh:
        release(node)
    environment = {**os.environ, "PYTHONPATH": f"{_ROOT / 'daemon'}:{_ROOT}"}
    argv = [sys.executable, "-m", "tests.bench.startup", str(node.root)]
    done = subprocess.run(argv, env=environment, stdout=subprocess.PIPE, text=True, check=True)
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


def main() -> None:
    began = time.thread_time()
    configure("json", "error")
    node = FileNode(Path(sys.argv[1]))
    Noting.read_files = {}
    fs, state = Noting(node.root / "mount", node.root, node.online), node.state()
    ready = time.thread_time()
    agent = node.agent(fs, state)
    while agent.reconcile():
        agent.sources.wait(0)
    start_s = time.thread_time() - ready - fs.kernel_s
    snapshot = agent.snapshot()
    if snapshot is None or len(owners := [pod for pod in snapshot.pods if pod.owned]) != OWNERS:
        raise SystemExit("not everybody is pinned")
    if drift := [one for pod in owners for one in pod.kernel.drift]:
        raise SystemExit(f"not verified: {drift}")
    agent.close()
    files = [*Noting.read_files, *map(str, (node.root / "manifests").iterdir()), *_machine(node)]
    print(json.dumps({"imports_s": began, "start_s": start_s, "reading_s": _reading_s(files), "files": len(files)}))


def _machine(node: FileNode) -> list[str]:
    return [str(file) for file in (node.root / "sys").rglob("*") if file.is_file()]


def _reading_s(files: list[str]) -> float:
    began = time.thread_time()
    for file in files:
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        os.read(fd, 1 << 16)
        os.close(fd)
    return time.thread_time() - began


if __name__ == "__main__":
    main()
