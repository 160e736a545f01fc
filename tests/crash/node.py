"""A node for the crash tests: pods with pools, a neighbour, and the promise by the kernel's word. Runs in the guest."""

import json
import shutil
from typing import Any, Literal

from tests.vm.daemon import MANIFESTS
from tests.vm.node import Node

UID = "11111111-2222-4333-8444-5555555555"


def pod(number: int, cpus: int, engine: int) -> dict[str, Any]:
    """A Guaranteed pod with a pool of *cpus* CPUs, *engine* of them alone for its engine; the proxy has the rest."""
    amounts = {"cpu": str(cpus), "memory": "64Mi"}
    own = {"cpu": str(engine), "memory": "32Mi"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"p{number}", "namespace": "test", "uid": f"{UID}{number:02}"},
        "spec": {
            "resources": {"requests": amounts, "limits": amounts},
            "containers": [
                {"name": "engine", "image": "x", "resources": {"requests": own, "limits": own}},
                {"name": "proxy", "image": "x"},
            ],
        },
    }


def boot(driver: Literal["systemd", "cgroupfs"] = "cgroupfs") -> Node:
    """The kubelet's cgroups, a noisy neighbour in system.slice and one in the root cgroup; no manifests."""
    shutil.rmtree(MANIFESTS, ignore_errors=True)
    MANIFESTS.mkdir(parents=True)
    node = Node(driver, sandbox_gap_s=0, start_gap_s=0)
    node.start_service("backup")
    node.start_task()
    return node


def put(raw: dict[str, Any]) -> None:
    """The manifest, whole or not at all."""
    draft = MANIFESTS / ".draft"
    draft.write_text(json.dumps(raw))
    draft.rename(MANIFESTS / f"{raw['metadata']['name']}.json")
