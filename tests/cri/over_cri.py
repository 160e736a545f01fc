"""Pods over the CRI socket: what the kubelet asks containerd for, with stubs that others maintain.

Source: pkg/kubelet/kuberuntime (kuberuntime_sandbox.go, kuberuntime_container.go, labels.go). Pods use the host's
network, as static pods do, so that no CNI is needed.
"""

from typing import Final

import grpc
from cri_api.v1 import api_pb2 as cri
from cri_api.v1.api_pb2_grpc import RuntimeServiceStub

from tests.cri import image, probe
from tests.cri.kubelet import Ran, RunningPod
from tests.vm.node import rules
from tests.vm.node.rules import PERIOD_US, Json, Limits
from tests.vm.node.tasks import CGROUPS

_CALL_S: Final = 300.0
"""How long a call may take: the machine is emulated."""
_STOP_S: Final = 120.0
_NAMESPACES: Final = cri.NamespaceOption(network=cri.NODE, pid=cri.CONTAINER, ipc=cri.POD)


class OverCri:
    scope, leaf = "cri-containerd", ""

    def __init__(self, stub: RuntimeServiceStub) -> None:
        self._stub = stub

    def run_sandbox(self, pod: RunningPod) -> str:
        handler = pod.spec["spec"].get("runtimeClassName", "")
        request = cri.RunPodSandboxRequest(config=_sandbox(pod), runtime_handler=handler)
        return str(self._stub.RunPodSandbox(request, timeout=_CALL_S).pod_sandbox_id)

    def remove_sandbox(self, sandbox_id: str) -> None:
        self._stub.StopPodSandbox(cri.StopPodSandboxRequest(pod_sandbox_id=sandbox_id), timeout=_CALL_S)
        self._stub.RemovePodSandbox(cri.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id), timeout=_CALL_S)

    def create(self, pod: RunningPod, container: Json, attempt: int) -> str:
        request = cri.CreateContainerRequest(
            pod_sandbox_id=pod.sandbox_id,
            config=_container(pod, container, attempt),
            sandbox_config=_sandbox(pod),
        )
        return str(self._stub.CreateContainer(request, timeout=_CALL_S).container_id)

    def start(self, container_id: str) -> None:
        self._stub.StartContainer(cri.StartContainerRequest(container_id=container_id), timeout=_CALL_S)

    def exec(self, container_id: str, argv: tuple[str, ...]) -> Ran:
        request = cri.ExecSyncRequest(container_id=container_id, cmd=argv, timeout=int(_CALL_S))
        said = self._stub.ExecSync(request, timeout=_CALL_S)
        return Ran(said.exit_code, said.stdout.decode())

    def update(self, container_id: str, limits: Limits) -> None:
        request = cri.UpdateContainerResourcesRequest(container_id=container_id, linux=_resources(limits))
        self._stub.UpdateContainerResources(request, timeout=_CALL_S)

    def stop(self, container_id: str, grace_s: int) -> None:
        request = cri.StopContainerRequest(container_id=container_id, timeout=grace_s)
        for last in (False, False, True):  # as the kubelet does, which looks at the pod again and again
            try:
                self._stub.StopContainer(request, timeout=grace_s + _STOP_S)
                return
            except grpc.RpcError:
                if last:
                    raise

    def remove(self, container_id: str) -> None:
        self._stub.RemoveContainer(cri.RemoveContainerRequest(container_id=container_id), timeout=_CALL_S)

    def has_ended(self, container_id: str) -> bool:
        said = self._stub.ContainerStatus(cri.ContainerStatusRequest(container_id=container_id), timeout=_CALL_S)
        return bool(said.status.state == cri.CONTAINER_EXITED)


def _sandbox(pod: RunningPod) -> cri.PodSandboxConfig:
    meta, parent = pod.spec["metadata"], pod.cgroup.relative_to(CGROUPS)
    return cri.PodSandboxConfig(
        metadata=cri.PodSandboxMetadata(name=meta["name"], namespace=meta["namespace"], uid=meta["uid"]),
        log_directory=f"/run/log/pods/{meta['namespace']}_{meta['name']}_{meta['uid']}",
        labels=_labels(pod.spec),
        linux=cri.LinuxPodSandboxConfig(
            cgroup_parent=parent.name if parent.suffix == ".slice" else f"/{parent}",
            security_context=cri.LinuxSandboxSecurityContext(namespace_options=_NAMESPACES),
            resources=_resources(rules.pod_limits(pod.spec)),
        ),
    )


def _container(pod: RunningPod, container: Json, attempt: int) -> cri.ContainerConfig:
    name = container["name"]
    return cri.ContainerConfig(
        metadata=cri.ContainerMetadata(name=name, attempt=attempt),
        image=cri.ImageSpec(image=image.NAME),
        command=probe.command(f"{name}.{attempt}", container),
        labels={**_labels(pod.spec), "io.kubernetes.container.name": name},
        annotations={"io.kubernetes.container.restartCount": str(attempt)},
        mounts=[cri.Mount(container_path=probe.MOUNT, host_path=str(probe.folder(pod.uid)))],
        log_path=f"{name}/{attempt}.log",
        linux=cri.LinuxContainerConfig(
            resources=_resources(rules.container_limits(container)),
            security_context=cri.LinuxContainerSecurityContext(namespace_options=_NAMESPACES),
        ),
    )


def _labels(pod: Json) -> dict[str, str]:
    return {f"io.kubernetes.pod.{key}": pod["metadata"][key] for key in ("name", "namespace", "uid")}


def _resources(limits: Limits) -> cri.LinuxContainerResources:
    return cri.LinuxContainerResources(
        cpu_period=PERIOD_US,
        cpu_quota=limits.quota_us or 0,
        cpu_shares=limits.cpu_shares or 0,
        memory_limit_in_bytes=limits.memory_bytes or 0,
    )
