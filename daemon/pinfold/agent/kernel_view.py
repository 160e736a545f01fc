"""What the kernel holds, in the words of the report. Pure: values of ``cgroups`` in, values of ``report`` out."""

from collections.abc import Iterable, Iterator, Mapping

from pinfold.cgroups.layout import Kind, Node
from pinfold.cgroups.paths import CgroupPath, above
from pinfold.cgroups.tree import PodCgroup
from pinfold.cgroups.verify import Drift
from pinfold.cpuset import CpuSet, NodeSet
from pinfold.planning.ledger import Ledger
from pinfold.pods.model import PodUid
from pinfold.report.snapshot import Drift as ReportedDrift
from pinfold.report.snapshot import KernelView, PodInKernel


def pods_in_kernel(node: Node, drift: Iterable[Drift], uids: Iterable[PodUid]) -> dict[PodUid, PodInKernel]:
    """Of the pods *uids*, which have cgroups: what is read there, and what of *drift* is their own."""
    by_pod: dict[PodUid, list[ReportedDrift]] = {}
    for one in drift:
        if one.pod:
            by_pod.setdefault(one.pod, []).append(reported(one))
    return {uid: _pod(node, node.tree.pods[uid], tuple(by_pod.get(uid, ()))) for uid in uids}


def not_isolated(ledger: Ledger, kernel: Mapping[PodUid, PodInKernel]) -> Iterator[str]:
    """Pods that ask for ``pinfold.dev/isolated`` and whose CPUs are balanced all the same, in words."""
    for uid, entry in ledger.entries.items():
        seen = kernel.get(uid, PodInKernel()) if entry.isolated else PodInKernel()
        views = [seen.pod] if entry.cpus else [seen.containers.get(name) for name in entry.slices]
        if any(view and view.partition != Kind.ISOLATED for view in views):
            yield (
                f"{entry.namespace}/{entry.name} asks for pinfold.dev/isolated, but its CPUs {entry.owned} are no "
                "isolated partition of the kernel: load is balanced among them."
            )


def reported(drift: Drift) -> ReportedDrift:
    return ReportedDrift(drift.path, drift.file.value, drift.want, drift.have, drift.cause.value)


def _pod(node: Node, pod: PodCgroup, drift: tuple[ReportedDrift, ...]) -> PodInKernel:
    containers: dict[str, KernelView] = {}
    others: list[KernelView] = []
    for container in pod.containers:
        view = _view(node, container.path)
        if view is None:
            continue
        if name := node.names.get(container.id or ""):
            containers[name] = view
        else:
            others.append(view)
    return PodInKernel(_view(node, pod.path), containers, tuple(others), drift)


def _view(node: Node, path: CgroupPath) -> KernelView | None:
    """None where the cgroup was not read or is gone.

    Without the controller in the cgroup above there are no files: then the nearest cgroup above that has them counts.
    """
    if (state := node.held.get(path)) is None:
        return None
    line = [node.held[one] for one in (path, *above(path)) if one in node.held]
    cpus: Iterator[CpuSet] = (one.cpus_effective for one in line if one.cpus_effective is not None)
    mems: Iterator[NodeSet] = (one.mems_effective for one in line if one.mems_effective is not None)
    return KernelView(
        cgroup=path,
        cpus=next(cpus, node.topology.online),
        mems=next(mems, node.topology.memory_nodes),
        partition=state.partition or "",
    )
