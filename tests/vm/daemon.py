"""Pinfold on the played node: the daemon as a process of its own, what it says over its endpoint, and the commands.

Runs in the guest.
"""

import http.client
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MANIFESTS, STATE, LOG = Path("/run/manifests"), Path("/run/pinfold"), Path("/run/pinfold.log")
OPTIONS = ("--set", f"stateDir={STATE}")
PATIENCE_S = 90.0


def until(what: str, holds: Callable[[], object], patience_s: float = PATIENCE_S) -> bool:
    deadline = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > deadline:
            print(f"gave up waiting: {what}", flush=True)
            return False
        time.sleep(0.2)
    return True


class Daemon:
    """`pinfold run` as a process, and what it says of itself over its endpoint."""

    ARGUMENTS: tuple[str, ...] = ("--manifests", str(MANIFESTS), *OPTIONS, "--set", "cpuManagerReconcilePeriod=1h")

    def __init__(self, *options: str) -> None:
        log = LOG.open("ab")
        self.began = LOG.stat().st_size
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pinfold", "run", *self.ARGUMENTS, *options], stderr=log, stdout=log
        )
        if not until("the daemon is ready", lambda: self.get("/readyz")):
            sys.exit(f"the daemon did not become ready:\n{LOG.read_text()[-3000:]}")

    def get(self, path: str) -> str:
        """The body of a 200, else nothing."""
        connection = http.client.HTTPConnection("127.0.0.1", 9732, timeout=20)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read().decode()
            return body if answer.status == 200 else ""
        except OSError:
            return ""
        finally:
            connection.close()

    def metric(self, name: str) -> float:
        """The sum of a metric's samples."""
        return sum(
            float(line.rpartition(" ")[2])
            for line in self.get("/metrics").splitlines()
            if re.match(rf"{name}[{{ ]", line)
        )

    def status(self) -> dict[str, Any]:
        return dict(json.loads(self.get("/status")))

    def pods(self) -> dict[str, Any]:
        return {f"{pod['namespace']}/{pod['name']}": pod for pod in self.status()["pods"]}

    def events(self) -> list[dict[str, Any]]:
        """This process's log lines so far."""
        lines = LOG.read_bytes()[self.began :].decode().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def settled(self, *names: str) -> bool:
        """The pods *names* (namespace/name) are pinned, in the kernel too."""
        pods = self.pods()
        return all(
            name in pods and pods[name]["outcome"] == "pinned" and pods[name]["kernel"] and not pods[name]["drift"]
            for name in names
        )

    def stop(self, signum: int) -> int:
        self.process.send_signal(signum)
        return self.process.wait(PATIENCE_S)


def pinfold(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "pinfold", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, "NO_COLOR": "1"})
