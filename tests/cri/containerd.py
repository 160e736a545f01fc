"""containerd as a service of the guest, with runc and crun below it, and its CRI socket."""

import os
import subprocess
from pathlib import Path
from typing import Literal

import grpc
from cri_api.v1 import api_pb2 as cri
from cri_api.v1.api_pb2_grpc import ImageServiceStub, RuntimeServiceStub

from tests.cri import image
from tests.vm.daemon import until
from tests.vm.node.tasks import CGROUPS

HANDLERS = ("runc", "crun")
_CONFIG_FILE = Path("/etc/containerd/config.toml")
_COPIED_INTO_SANDBOXES = (Path("/etc/hosts"), Path("/etc/resolv.conf"))
_HOME = Path("/run/cri")  # all of it in memory
_LOG = _HOME / "log"
_SOCKET = "/run/containerd/containerd.sock"
_CONFIG = """
version = 2
root = "{home}/root"
state = "/run/containerd"
disabled_plugins = [{disabled}]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{image}"
  disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "native"
  default_runtime_name = "runc"
"""
_RUNTIME = """
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{name}]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{name}.options]
  BinaryName = "/usr/{bin}/{name}"
  SystemdCgroup = {systemd}
"""
_UNUSED = (
    *(f"io.containerd.snapshotter.v1.{name}" for name in ("aufs", "btrfs", "devmapper", "overlayfs", "zfs")),
    *("io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"),
)
_FEW_THREADS = "GOMAXPROCS=2"
"""Go takes a thread for each CPU, and all of them search for work: too dear where sixteen CPUs are emulated on two."""
_CALL_S = 300.0
"""How long a call may take: the machine is emulated."""


class Containerd:
    """Running, with the image of `image` in its store."""

    def __init__(self, driver: Literal["systemd", "cgroupfs"]) -> None:
        _HOME.mkdir(exist_ok=True)
        for file in _COPIED_INTO_SANDBOXES:
            file.touch()
        _CONFIG_FILE.parent.mkdir(exist_ok=True)
        _CONFIG_FILE.write_text(_configuration(driver))
        if Path("/run/systemd/system").is_dir():
            subprocess.run(["systemctl", "set-environment", _FEW_THREADS], check=True)
            subprocess.run(["systemctl", "start", "containerd"], check=True)
        else:
            with _LOG.open("w") as log:
                argv = ["env", _FEW_THREADS, "/usr/bin/containerd"]
                subprocess.Popen(argv, stderr=log, preexec_fn=_in_a_cgroup_of_its_own)
        if not until("containerd listens", Path(_SOCKET).exists):
            raise TimeoutError(_SOCKET)
        self._channel = grpc.insecure_channel(f"unix://{_SOCKET}")
        grpc.channel_ready_future(self._channel).result(_CALL_S)
        self.runtime = RuntimeServiceStub(self._channel)
        self._import()

    def version(self) -> str:
        said = self.runtime.Version(cri.VersionRequest(), timeout=_CALL_S)
        return f"{said.runtime_name} {said.runtime_version}"

    def _import(self) -> None:
        image.write(path := _HOME / "image.tar")
        argv = ["ctr", "-n", "k8s.io", "images", "import", "--snapshotter", "native", str(path)]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        images, asked = ImageServiceStub(self._channel), cri.ImageStatusRequest(image=cri.ImageSpec(image=image.NAME))
        if not until("the image is there", lambda: images.ImageStatus(asked, timeout=_CALL_S).image.id):
            raise TimeoutError(image.NAME)


def _configuration(driver: str) -> str:
    disabled = ", ".join(f'"{name}"' for name in _UNUSED)
    text = _CONFIG.format(home=_HOME, disabled=disabled, image=image.NAME)
    for name in HANDLERS:
        folder = "sbin" if Path(f"/usr/sbin/{name}").exists() else "bin"
        text += _RUNTIME.format(name=name, bin=folder, systemd=str(driver == "systemd").lower())
    return text


def _in_a_cgroup_of_its_own() -> None:
    (cgroup := CGROUPS / "containerd").mkdir(exist_ok=True)
    (cgroup / "cgroup.procs").write_text(str(os.getpid()))
