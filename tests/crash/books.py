"""What can happen to the checkpoint: a full disk, two daemons, other versions, other machines. In the guest, as root.

    python -m tests.vm --kernel 6.12 -- python3 -m tests.crash.books

It prints a line for each check and ends with `N passed, N failed`.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pinfold.state import FILE, VERSION, _checksum
from tests.crash.node import boot, pod, put
from tests.vm.daemon import OPTIONS, STATE, Daemon, pinfold, until
from tests.vm.main_job import Checks
from tests.vm.node import settings

SIZE_BYTES = 64 << 10
PERIOD = ("--set", "cpuManagerReconcilePeriod=2s")
Document = dict[str, Any]


def pools(daemon: Daemon) -> dict[str, str]:
    return {name: one["pool"] for name, one in daemon.pods().items() if one["pool"]}


def full_disk(check: Checks, daemon: Daemon) -> None:
    """A new pod comes while no byte is left: what cannot be remembered is not done, and is made up for."""
    before, held = pools(daemon), settings()
    with (STATE / "filler").open("wb", buffering=0) as filler:
        try:
            while filler.write(b"x" * 4096):
                pass
        except OSError as error:
            print(f"the disk says {error}", flush=True)
    put(pod(3, 2, engine=1))
    told = until("it is told", lambda: 'kind="StateError"' in daemon.get("/metrics"))
    check(told, "a full disk: it is counted", daemon.get("/metrics"))
    check(any("No space left" in one for one in daemon.status()["warnings"]), "a full disk: the status says so")
    check(pools(daemon) == before, "a full disk: pools stay", (before, pools(daemon)))
    check(settings() == held, "a full disk: not one cgroup file is written")
    (STATE / "filler").unlink()
    check(until("it is made up for", lambda: daemon.settled("test/p3")), "room again: the new pod is pinned")
    check(not any("No space" in one for one in daemon.status()["warnings"]), "room again: the status says nothing")


def second_daemon(check: Checks, daemon: Daemon) -> None:
    argv = [sys.executable, "-m", "pinfold", "run", *Daemon.ARGUMENTS, "--set", "report.listen=127.0.0.1:9799"]
    second = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
    check(second.returncode == 1, "a second daemon ends with 1", second)
    check("another pinfold" in second.stderr, "it says why", second.stderr)
    check(daemon.process.poll() is None, "the first goes on")


def older(document: Document) -> Document:
    """As the version before wrote it."""
    data = {key: value for key, value in document["data"].items() if key != "irqs"}
    return {**document, "version": 1, "data": data, "sha256": _checksum(data)}


def newer(document: Document) -> Document:
    return {**document, "version": VERSION + 1}


def of_another_machine(document: Document) -> Document:
    """Its boot, and pods that are not ours, on the CPUs of those that are."""
    data = {**document["data"], "bootID": "c0ffee00-0000-4000-8000-000000000001"}
    data["entries"] = [{**one, "uid": one["uid"][:-2] + "77", "name": "stranger"} for one in data["entries"]]
    return {**document, "data": data, "sha256": _checksum(data)}


def exchanged(check: Checks, what: str, change: Callable[[Document], Document], *, taken: bool) -> None:
    """The daemon dies and finds another checkpoint: it is *taken* up, or refused and the ledger read off the kernel."""
    daemon = Daemon(*PERIOD)
    until("all are pinned", lambda: daemon.settled("test/p1", "test/p2", "test/p3"))
    before, held = pools(daemon), settings()
    daemon.stop(signal.SIGKILL)
    path = Path(STATE / FILE)
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    daemon = Daemon(*PERIOD)
    settled = until("all are pinned", lambda: daemon.settled("test/p1", "test/p2", "test/p3"))
    check(settled and pools(daemon) == before, f"{what}: pools stay", (before, pools(daemon)))
    now = settings()
    changed = {path: (held.get(path), now.get(path)) for path in held.keys() | now.keys()}
    changed = {path: pair for path, pair in changed.items() if pair[0] != pair[1]}
    check(not changed, f"{what}: not one file changes", changed)
    lost = [event["event"] for event in daemon.events() if event["event"] in {"checkpoint.lost", "ledger.rebuilt"}]
    check(lost == ([] if taken else ["checkpoint.lost", "ledger.rebuilt"]), f"{what}: it is told, or needs not", lost)
    version = json.loads(path.read_text())["version"]
    check(version == (1 if taken else VERSION), f"{what}: it is written anew only with something to say", version)
    daemon.stop(signal.SIGKILL)


def play() -> Checks:
    check = Checks()
    STATE.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "tmpfs", STATE], check=True)
    node = boot()
    before = settings()
    daemon = Daemon(*PERIOD)
    for number in (1, 2):
        put(spec := pod(number, 2, engine=1))
        node.start_pod(spec)
    node.start_pod(pod(3, 2, engine=1))
    check(until("both are pinned", lambda: daemon.settled("test/p1", "test/p2")), "two pools are made", daemon.pods())
    full_disk(check, daemon)
    second_daemon(check, daemon)
    daemon.stop(signal.SIGKILL)
    if check.failed:
        print(*daemon.events()[-30:], sep="\n", flush=True)
    exchanged(check, "the version before", older, taken=True)
    exchanged(check, "a version to come", newer, taken=False)
    exchanged(check, "another machine's", of_another_machine, taken=False)
    done = pinfold("release", *OPTIONS)
    check(done.returncode == 0, "release ends with 0", done.stdout + done.stderr)
    partitions = [path for path, text in settings().items() if path.endswith("partition") and text != "member"]
    check(not partitions and bool(before), "no partition is left", partitions)
    return check


def main() -> int:
    check = play()
    print(f"{check.passed} passed, {check.failed} failed", flush=True)
    return check.failed > 0


if __name__ == "__main__":
    sys.exit(main())
