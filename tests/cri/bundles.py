"""Pods as CRI-O makes them, with real OCI bundles and a real crun or runc: its names, its places, and no sandbox.

CRI-O keeps no sandbox process by default (``drop_infra_ctr``), so that the first process below a pod's cgroup is an
application's. Source: CRI-O, server/container_create_linux.go and internal/config/cgmgr.
"""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Final, Literal

from tests.cri import image, probe
from tests.cri.kubelet import Ran, RunningPod
from tests.vm.node import rules
from tests.vm.node.rules import PERIOD_US, Json, Limits
from tests.vm.node.tasks import CGROUPS

_STORAGE: Final = Path("/run/containers/storage/overlay-containers")
_ROOTFS: Final = Path("/run/bundle-rootfs")
_MOUNTS: Final = (
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
)


class Bundles:
    scope, leaf = "crio", "crio-"

    def __init__(self, driver: Literal["systemd", "cgroupfs"]) -> None:
        self._driver = driver
        self._programs: dict[str, str] = {}
        """Container's id → crun or runc, as the pod's runtime class says."""
        _ROOTFS.mkdir()
        image.unpack(_ROOTFS)

    def run_sandbox(self, pod: RunningPod) -> str:
        """None: there is no process to run."""
        return f"{pod.uid}-without-a-process"

    def remove_sandbox(self, sandbox_id: str) -> None:
        """Nothing is there."""

    def create(self, pod: RunningPod, container: Json, attempt: int) -> str:
        container_id = os.urandom(32).hex()
        self._programs[container_id] = pod.spec["spec"]["runtimeClassName"]
        bundle = _STORAGE / container_id / "userdata"
        bundle.mkdir(parents=True)
        config = self._config(pod, container, attempt, container_id)
        (bundle / "config.json").write_text(json.dumps(config))
        # What a container says goes nowhere: were it a pipe, whoever reads it would wait for the container's end.
        with (bundle / "log").open("w") as log:
            argv = [*self._program(container_id), "create", "--bundle", str(bundle), container_id]
            subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return container_id

    def start(self, container_id: str) -> None:
        self._run(container_id, "start", container_id)

    def exec(self, container_id: str, argv: tuple[str, ...]) -> Ran:
        done = subprocess.run(
            [*self._program(container_id), "exec", container_id, *argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        return Ran(done.returncode, (done.stdout + done.stderr).decode())

    def update(self, container_id: str, limits: Limits) -> None:
        resources = json.dumps(_resources(limits)).encode()
        argv = [*self._program(container_id), "update", "--resources", "-", container_id]
        subprocess.run(argv, input=resources, check=True)

    def stop(self, container_id: str, grace_s: int) -> None:
        until = time.monotonic() + grace_s
        if grace_s:
            self._run(container_id, "kill", container_id, "TERM")
        while time.monotonic() < until and not self.has_ended(container_id):
            time.sleep(0.1)
        if not self.has_ended(container_id):
            self._run(container_id, "kill", container_id, "KILL")
        while not self.has_ended(container_id):
            time.sleep(0.1)

    def remove(self, container_id: str) -> None:
        self._run(container_id, "delete", "--force", container_id)
        del self._programs[container_id]
        shutil.rmtree(_STORAGE / container_id)

    def has_ended(self, container_id: str) -> bool:
        return bool(json.loads(self._run(container_id, "state", container_id))["status"] == "stopped")

    def _program(self, container_id: str) -> list[str]:
        return [self._programs[container_id], *(["--systemd-cgroup"] if self._driver == "systemd" else [])]

    def _run(self, container_id: str, *argv: str) -> str:
        words = [*self._program(container_id), *argv]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{argv}: {done.stderr.decode()}")
        return done.stdout.decode()

    def _config(self, pod: RunningPod, container: Json, attempt: int, container_id: str) -> dict[str, Any]:
        meta, parent = pod.spec["metadata"], pod.cgroup.relative_to(CGROUPS)
        systemd = self._driver == "systemd"
        mount = {"destination": probe.MOUNT, "source": str(probe.folder(pod.uid)), "options": ["rbind", "rw"]}
        return {
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": 0, "gid": 0},
                "args": probe.command(f"{container['name']}.{attempt}", container),
                "env": ["PATH=/bin"],
                "cwd": "/",
            },
            "root": {"path": str(_ROOTFS), "readonly": True},
            "mounts": [*_MOUNTS, {**mount, "type": "bind"}],
            "annotations": {
                "io.kubernetes.cri-o.ContainerType": "container",
                "io.kubernetes.container.name": container["name"],
                **{f"io.kubernetes.pod.{key}": meta[key] for key in ("name", "namespace", "uid")},
            },
            "linux": {
                "cgroupsPath": f"{parent.name}:crio:{container_id}" if systemd else f"/{parent}/crio-{container_id}",
                "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")],
                "resources": _resources(rules.container_limits(container)),
            },
        }


def _resources(limits: Limits) -> dict[str, Any]:
    cpu = {"shares": limits.cpu_shares, "period": PERIOD_US}
    if limits.quota_us is not None:
        cpu["quota"] = limits.quota_us
    return {"cpu": cpu} | ({"memory": {"limit": limits.memory_bytes}} if limits.memory_bytes else {})
